//! The origin of a request, and the cookie of a session.

use std::net::IpAddr;
use std::sync::Arc;

use poem::http::header;
use poem::{FromRequest, Request, RequestBody};
use presence_protocol::Errno;

use crate::client_address;
use crate::context::ServerContext;
use crate::cookie::{Cookie, SetCookie};

use super::error_response::ErrorResponse;

/// The server's context, and the origin and address that a request comes from.
pub(crate) struct RequestContext {
    /// The context that all handlers share.
    pub(crate) context: Arc<ServerContext>,
    /// Indicates that the request comes from a page of this server's own origin.
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
    /// Reads the context of a request.
    pub(crate) fn of(request: &Request) -> Result<Self, ErrorResponse> {
        let context = context(request)?;
        let same_origin = is_same_origin(request, &context);
        Ok(Self { context, same_origin, client: client_address::of(request) })
    }
}

/// Returns the server's context.
pub(super) fn context(request: &Request) -> Result<Arc<ServerContext>, ErrorResponse> {
    request.data::<Arc<ServerContext>>().cloned().ok_or(Errno::Internal.into())
}

fn is_same_origin(request: &Request, context: &ServerContext) -> bool {
    let is_other_site =
        request.header("sec-fetch-site").is_some_and(|relation| relation != "same-origin");
    let origin = request.header(header::ORIGIN);
    !is_other_site
        && origin.is_some_and(|origin| context.own_origins.iter().any(|own| own == origin))
}

/// Returns the session token in the cookie.
pub(super) fn session_of(request: &Request, context: &ServerContext) -> Option<String> {
    Cookie::SESSION.read(request, context.is_secure())
}

/// Returns the header that sets the session cookie for a number of seconds.
pub(crate) fn session_cookie(context: &ServerContext, token: &str, seconds: u64) -> SetCookie {
    Cookie::SESSION.set(context.is_secure(), token, seconds)
}

/// Returns the header that removes the session cookie.
pub(super) fn clear_cookie(context: &ServerContext) -> SetCookie {
    Cookie::SESSION.remove(context.is_secure())
}
