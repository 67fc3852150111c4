//! What a page sends.

use std::sync::Arc;

use poem::{FromRequest, Request, RequestBody};
use presence_core::UserId;
use presence_protocol::{ApiError, Errno};
use presence_service::PresenceService;
use url::form_urlencoded;

use crate::context::ServerContext;
use crate::http::{AuthenticatedRequest, ErrorResponse, FORM, RequestContext, read_body};

/// The fields of a form.
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    async fn of(request: &Request, body: &mut RequestBody) -> Result<Self, ErrorResponse> {
        let (text, _) = read_body(request, body, &[FORM]).await?;
        Ok(Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect()))
    }

    /// A field, trimmed; none where it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let field = self.0.iter().find(|(known, _)| known == name);
        field.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// A field that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, ErrorResponse> {
        self.get(name).ok_or_else(|| ApiError::detailed(Errno::MissingField, name).into())
    }
}

/// A form of somebody who need not be signed in. It must come from a page of this server.
pub(crate) struct Form {
    /// What every handler may use.
    pub(crate) context: Arc<ServerContext>,
    /// The fields.
    pub(crate) fields: Fields,
}

impl<'a> FromRequest<'a> for Form {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        let RequestContext { context, same_origin, .. } = RequestContext::of(request)?;
        if !same_origin {
            return Err(ErrorResponse::from(Errno::Forbidden).into());
        }
        let fields = Fields::of(request, body).await?;
        Ok(Self { context, fields })
    }
}

/// A form of somebody who is signed in, from a page of this server that was made for this session.
pub(crate) struct SignedForm {
    /// Who sent it.
    pub(crate) user: AuthenticatedRequest,
    /// The fields.
    pub(crate) fields: Fields,
}

impl SignedForm {
    /// The service.
    pub(crate) fn service(&self) -> &PresenceService {
        self.user.service()
    }

    /// The user.
    pub(crate) fn me(&self) -> UserId {
        self.user.caller.user
    }
}

impl<'a> FromRequest<'a> for SignedForm {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        let user = AuthenticatedRequest::of(request).await?;
        user.check_scope()?;
        let fields = Fields::of(request, body).await?;
        user.check_write(fields.get("csrf_token"))?;
        Ok(Self { user, fields })
    }
}
