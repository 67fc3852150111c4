//! The operator's session, and the arguments of page handlers that need one. The session has a
//! cookie of its own, which browsers send from pages of this server only.

use std::sync::Arc;

use poem::{Request, RequestBody};
use presence_protocol::{ApiError, Errno};
use presence_service::PresenceService;
use presence_service::sessions::csrf_token;
use secrecy::{ExposeSecret, SecretString};

use crate::context::ServerContext;
use crate::cookie::{Cookie, SetCookie};
use crate::form::{CsrfCheck, VerifiedForm};
use crate::http::{ErrorResponse, RequestContext};
use crate::operator_console::OperatorConsole;
use crate::page::{Layout, LocalPath, PageResponse, Section};
use crate::web::forms::read_form;
use crate::web::page_routes::{FromPageRequest, PageAccess, PageError, VerifiedSubmission};
use crate::web::visitor::Visitor;

/// Returns the operator's console.
///
/// # Errors
///
/// Returns `NotFound` if no operator is configured, as if there were no such pages.
pub(super) fn console(context: &ServerContext) -> Result<&OperatorConsole, Errno> {
    context.operator.as_ref().ok_or(Errno::NotFound)
}

/// Returns the layout of the operator's pages. It does not show the user of this browser.
pub(super) fn layout(visitor: &Visitor, title: &str) -> Layout {
    Layout { user: None, ..visitor.layout(title, Section::Operator) }
}

/// Returns the header that gives a session to the browser.
pub(super) fn session_cookie(context: &ServerContext, session: &SecretString) -> Option<SetCookie> {
    let seconds = context.operator.as_ref()?.access.session_lifetime().as_secs();
    Some(Cookie::OPERATOR.set(context.is_secure(), session.expose_secret(), seconds))
}

/// The session of an operator who is signed in.
pub(super) struct OperatorSession {
    context: Arc<ServerContext>,
    token: SecretString,
}

impl OperatorSession {
    /// Returns the session that a request carries.
    ///
    /// # Errors
    ///
    /// Returns `NotFound` if no operator is configured, or `NotAuthenticated`.
    async fn of(request: &Request) -> Result<Self, ErrorResponse> {
        let RequestContext { context, .. } = RequestContext::of(request)?;
        let access = &console(&context)?.access;
        let token = Cookie::OPERATOR.read(request, context.is_secure());
        let token = token.ok_or(Errno::NotAuthenticated)?;
        if !access.is_open(&token).await? {
            return Err(Errno::NotAuthenticated.into());
        }
        Ok(Self { context, token: token.into() })
    }

    /// Returns the service.
    pub(super) fn service(&self) -> &PresenceService {
        &self.context.service
    }

    /// Returns the operator's console.
    pub(super) fn console(&self) -> Result<&OperatorConsole, Errno> {
        console(&self.context)
    }

    /// Returns the token that the forms of this session carry.
    pub(super) fn csrf_token(&self) -> String {
        csrf_token(self.token.expose_secret())
    }

    /// Ends the session; returns the header that removes the cookie.
    pub(super) async fn sign_out(&self) -> Result<SetCookie, ApiError> {
        self.console()?.access.sign_out(self.token.expose_secret()).await?;
        Ok(Cookie::OPERATOR.remove(self.context.is_secure()))
    }
}

/// The operator, for a script: a request without a session gets an error.
pub(super) struct OperatorCall(pub(super) OperatorSession);

impl FromPageRequest for OperatorCall {
    async fn from_page_request(request: &Request, _: &mut RequestBody) -> Result<Self, PageError> {
        Ok(Self(OperatorSession::of(request).await?))
    }
}

impl PageAccess for OperatorCall {}

/// The visitor of an operator's page that shows a form to sign in if there is no session.
pub(super) struct OperatorVisitor {
    pub(super) visitor: Visitor,
    pub(super) session: Option<OperatorSession>,
}

impl FromPageRequest for OperatorVisitor {
    async fn from_page_request(request: &Request, _: &mut RequestBody) -> Result<Self, PageError> {
        let visitor = Visitor::of(request).await?;
        let session = match OperatorSession::of(request).await {
            Ok(session) => Some(session),
            Err(error) if error.api_error().errno == Errno::NotAuthenticated => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { visitor, session })
    }
}

impl PageAccess for OperatorVisitor {}

/// The operator, for a page: a request without a session is sent to the page to sign in.
pub(super) struct Operator {
    pub(super) visitor: Visitor,
    pub(super) session: OperatorSession,
}

impl FromPageRequest for Operator {
    async fn from_page_request(request: &Request, _: &mut RequestBody) -> Result<Self, PageError> {
        let visitor = Visitor::of(request).await?;
        Ok(Self { visitor, session: session_or_sign_in(request).await? })
    }
}

/// Returns the session that a request carries, or a redirect to the page to sign in.
async fn session_or_sign_in(request: &Request) -> Result<OperatorSession, PageError> {
    OperatorSession::of(request).await.map_err(|error| {
        if error.api_error().errno == Errno::NotAuthenticated {
            PageResponse::see_other(&LocalPath::fixed("/admin")).into()
        } else {
            error.into()
        }
    })
}

impl PageAccess for Operator {}

/// A form of the operator. It was sent by a page that was made for this session.
pub(super) struct OperatorForm {
    session: OperatorSession,
    form: VerifiedForm,
}

impl OperatorForm {
    /// Returns the session.
    pub(super) fn session(&self) -> &OperatorSession {
        &self.session
    }

    /// Returns the fields.
    pub(super) fn fields(&self) -> &VerifiedForm {
        &self.form
    }
}

impl FromPageRequest for OperatorForm {
    async fn from_page_request(request: &Request, _: &mut RequestBody) -> Result<Self, PageError> {
        let session = session_or_sign_in(request).await?;
        let same_origin = RequestContext::of(request)?.same_origin;
        // A form of another site is rejected before it is read.
        CsrfCheck::Anonymous { same_origin }.check()?;
        let form = read_form(request).await?;
        let token = session.token.expose_secret();
        let form = form.verify(&CsrfCheck::Cookie { session: token, same_origin, header: None })?;
        Ok(Self { session, form })
    }
}

impl VerifiedSubmission for OperatorForm {}
