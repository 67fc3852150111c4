//! Who may pass as the operator: by a cookie of its own, which browsers send from pages of this server only.

use std::sync::Arc;

use poem::{FromRequest, Request, RequestBody};
use presence_protocol::Errno;
use presence_service::PresenceService;
use presence_service::sessions::{csrf_token, is_csrf_token};
use secrecy::{ExposeSecret, SecretString};

use crate::context::ServerContext;
use crate::http::{ErrorResponse, RequestContext, cookie};
use crate::operator_console::OperatorConsole;
use crate::page::{self, Place, Shell};
use crate::web::form::Fields;
use crate::web::{Form, Visitor};

/// Returns the operator's console, or an error as for an unknown path if no operator is configured.
pub(super) fn console(context: &ServerContext) -> Result<&OperatorConsole, ErrorResponse> {
    context.operator.as_ref().ok_or(Errno::NotFound.into())
}

/// An operator who is signed in.
pub(super) struct Operator {
    context: Arc<ServerContext>,
    session: SecretString,
}

impl Operator {
    /// Who asks, if it is an operator.
    pub(super) fn of(request: &Request) -> Result<Self, ErrorResponse> {
        let RequestContext { context, .. } = RequestContext::of(request)?;
        let session = cookie(request, cookie_name(&context));
        let known = session.filter(|session| {
            context.operator.as_ref().is_some_and(|console| console.access.is_open(session))
        });
        console(&context)?;
        let session = known.ok_or(Errno::NotAuthenticated)?.into();
        Ok(Self { context, session })
    }

    pub(super) fn service(&self) -> &PresenceService {
        &self.context.service
    }

    pub(super) fn console(&self) -> Result<&OperatorConsole, ErrorResponse> {
        console(&self.context)
    }

    /// What the forms of this session carry.
    pub(super) fn csrf_token(&self) -> String {
        csrf_token(self.session.expose_secret())
    }

    /// Ends the session; gives the header that takes the cookie away.
    pub(super) fn sign_out(&self) -> Result<String, ErrorResponse> {
        self.console()?.access.sign_out(self.session.expose_secret());
        Ok(session_cookie(&self.context, "", 0))
    }
}

/// Anybody else is sent to the entrance.
impl<'a> FromRequest<'a> for Operator {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        Self::of(request).map_err(|refusal| {
            if refusal.ko().errno == Errno::NotAuthenticated {
                poem::Error::from_response(page::see_other("/admin"))
            } else {
                refusal.into()
            }
        })
    }
}

/// A form of the operator, from a page that was made for this session.
pub(super) struct OperatorForm {
    pub(super) operator: Operator,
    pub(super) fields: Fields,
}

impl<'a> FromRequest<'a> for OperatorForm {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        let operator = Operator::from_request(request, body).await?;
        let Form { fields, .. } = Form::from_request(request, body).await?;
        let given = fields.get("csrf_token").unwrap_or_default();
        if !is_csrf_token(operator.session.expose_secret(), given) {
            return Err(ErrorResponse::from(Errno::Forbidden).into());
        }
        Ok(Self { operator, fields })
    }
}

/// The frame of the operator's pages: it does not say who is signed in as a user of this browser.
pub(super) fn shell(visitor: &Visitor, title: &str) -> Shell {
    Shell { viewer: None, ..visitor.shell(title, Place::Operator) }
}

/// The header that gives the session to the browser.
pub(super) fn enter_cookie(
    context: &ServerContext,
    console: &OperatorConsole,
    session: &SecretString,
) -> String {
    session_cookie(context, session.expose_secret(), console.access.session_lifetime().as_secs())
}

fn session_cookie(context: &ServerContext, session: &str, seconds: u64) -> String {
    let name = cookie_name(context);
    let secure = if context.is_secure() { "; Secure" } else { "" };
    format!("{name}={session}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

fn cookie_name(context: &ServerContext) -> &'static str {
    if context.is_secure() { "__Host-presence-operator" } else { "presence-operator" }
}
