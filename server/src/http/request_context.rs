//! Browsers: where a request comes from, and the cookie of a session.

use std::net::IpAddr;
use std::sync::Arc;

use poem::http::header;
use poem::{FromRequest, Request, RequestBody};
use presence_protocol::Errno;

use crate::client_address;
use crate::context::ServerContext;

use super::error_response::ErrorResponse;

/// What every handler may use, and where the request comes from: whether from a page of this server's own origin, and from whom.
pub(crate) struct RequestContext {
    pub(crate) context: Arc<ServerContext>,
    pub(crate) same_origin: bool,
    /// The address of the client.
    pub(crate) client: IpAddr,
}

impl<'a> FromRequest<'a> for RequestContext {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self::of(request)?)
    }
}

impl RequestContext {
    /// Where a request comes from.
    pub(crate) fn of(request: &Request) -> Result<Self, ErrorResponse> {
        let context = context(request)?;
        let same_origin = is_same_origin(request, &context);
        Ok(Self { context, same_origin, client: client_address::of(request) })
    }
}

/// What every handler may use.
pub(super) fn context(request: &Request) -> Result<Arc<ServerContext>, ErrorResponse> {
    request.data::<Arc<ServerContext>>().cloned().ok_or(Errno::Internal.into())
}

fn is_same_origin(request: &Request, context: &ServerContext) -> bool {
    let told_otherwise =
        request.header("sec-fetch-site").is_some_and(|relation| relation != "same-origin");
    let origin = request.header(header::ORIGIN);
    !told_otherwise
        && origin.is_some_and(|origin| context.own_origins.iter().any(|own| own == origin))
}

/// The name of the cookie; over TLS one that browsers keep to this host.
fn cookie_name(context: &ServerContext) -> &'static str {
    if context.is_secure() { "__Host-presence" } else { "presence" }
}

/// The session token in the cookie.
pub(super) fn session_of(request: &Request, context: &ServerContext) -> Option<String> {
    cookie(request, cookie_name(context))
}

/// A cookie by its name.
pub(crate) fn cookie(request: &Request, name: &str) -> Option<String> {
    request
        .headers()
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, token)| token.to_owned())
}

/// The header that sets the cookie for so many seconds.
pub(crate) fn session_cookie(context: &ServerContext, token: &str, seconds: u64) -> String {
    let (name, secure) = (cookie_name(context), if context.is_secure() { "; Secure" } else { "" });
    format!("{name}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

/// The header that takes the cookie away.
pub(super) fn clear_cookie(context: &ServerContext) -> String {
    session_cookie(context, "", 0)
}
