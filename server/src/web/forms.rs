//! Forms as arguments of page handlers. Each of them was verified before a handler gets it.

use std::sync::Arc;

use poem::{Request, RequestBody};
use presence_core::UserId;
use presence_protocol::{ApiError, Errno};
use presence_service::PresenceService;

use crate::cookie::SetCookie;
use crate::form::{CsrfCheck, UnverifiedForm, VerifiedForm};
use crate::http::{AuthenticatedRequest, ErrorResponse, FORM, RequestContext, read_body};

use super::page_routes::{FromPageRequest, PageError, VerifiedSubmission};
use super::visitor::Visitor;

/// Reads the form in the body of a request.
///
/// # Errors
///
/// Returns `UnsupportedMediaType` if the body is no form, or `TooLarge`.
pub(super) async fn read_form(request: &Request) -> Result<UnverifiedForm, ErrorResponse> {
    let (text, _) = read_body(request, &[FORM]).await?;
    Ok(UnverifiedForm::parse(&text))
}

/// A form of a visitor who need not be signed in. It was sent by a page of this server.
pub(crate) struct AnonymousForm {
    visitor: Visitor,
    form: VerifiedForm,
}

impl AnonymousForm {
    /// Returns the visitor who sent the form.
    pub(crate) fn visitor(&self) -> &Visitor {
        &self.visitor
    }

    /// Returns the fields.
    pub(crate) fn fields(&self) -> &VerifiedForm {
        &self.form
    }
}

impl FromPageRequest for AnonymousForm {
    async fn from_page_request(request: &Request, _: &mut RequestBody) -> Result<Self, PageError> {
        let visitor = Visitor::of(request).await?;
        let csrf = CsrfCheck::Anonymous { same_origin: RequestContext::of(request)?.same_origin };
        // A form of another site is rejected before it is read.
        csrf.check()?;
        let form = read_form(request).await?.verify(&csrf)?;
        Ok(Self { visitor, form })
    }
}

impl VerifiedSubmission for AnonymousForm {}

/// A form of a user who is signed in. It was sent by a page that was made for this session.
pub(crate) struct UserForm {
    visitor: Visitor,
    user: UserId,
    form: VerifiedForm,
}

impl UserForm {
    /// Returns the visitor who sent the form.
    pub(crate) fn visitor(&self) -> &Visitor {
        &self.visitor
    }

    /// Returns the service.
    pub(crate) fn service(&self) -> &PresenceService {
        self.visitor.service()
    }

    /// Returns the user.
    pub(crate) fn user_id(&self) -> UserId {
        self.user
    }

    /// Returns the header that removes the session cookie, if the session came by the cookie.
    pub(crate) fn clear_cookie(&self) -> Option<SetCookie> {
        self.visitor.session().and_then(AuthenticatedRequest::clear_cookie)
    }

    /// Returns the fields.
    pub(crate) fn fields(&self) -> &VerifiedForm {
        &self.form
    }

    /// Returns a field that must be present, as another type.
    ///
    /// # Errors
    ///
    /// Returns `MissingField` or `InvalidField`.
    pub(crate) fn parse<T: std::str::FromStr>(&self, name: &str) -> Result<T, ApiError> {
        let text = self.form.required(name)?;
        text.parse().map_err(|_| ApiError::detailed(Errno::InvalidField, name))
    }
}

impl FromPageRequest for UserForm {
    async fn from_page_request(request: &Request, _: &mut RequestBody) -> Result<Self, PageError> {
        let user = AuthenticatedRequest::of(request).await?;
        user.check_scope()?;
        let form = read_form(request).await?.verify(&user.csrf_check())?;
        let (context, id) = (Arc::clone(&user.context), user.caller.user);
        Ok(Self { visitor: Visitor::new(request, context, Some(user)), user: id, form })
    }
}

impl VerifiedSubmission for UserForm {}
