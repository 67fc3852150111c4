//! The tunnel through an HTTP proxy: the method `CONNECT`.

use std::error::Error as StdError;

use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::destination::Destination;
use super::stream::NetStream;
use super::transport_error::TransportError;
use crate::error::{ProxyErrorKind, limited_wait};
use crate::retry_header::requested_wait;

/// The maximum number of bytes of the head of an answer.
const MAX_ANSWER_BYTES: usize = 8 << 10;

/// Asks the proxy at the other end of a stream for a connection to a server.
pub(super) async fn open(
    stream: NetStream,
    destination: &Destination,
    authorization: Option<&HeaderValue>,
) -> Result<NetStream, TransportError> {
    let request = request(destination, authorization)?;
    let mut builder = http1::Builder::new();
    builder.title_case_headers(true).max_buf_size(MAX_ANSWER_BYTES);
    let handshake = builder.handshake::<_, String>(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| failure(&error))?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|error| failure(&error))?;
        if !answer.status().is_success() {
            return Err(refusal(answer.status(), answer.headers()));
        }
        hyper::upgrade::on(answer).await.map_err(|error| failure(&error))
    };
    let connection = connection.with_upgrades();
    tokio::pin!(exchange, connection);
    let upgraded = tokio::select! {
        upgraded = &mut exchange => upgraded?,
        // The connection has passed its stream on, or has failed, and the exchange with it.
        _ = &mut connection => exchange.await?,
    };
    match upgraded.downcast::<TokioIo<NetStream>>() {
        Ok(parts) if parts.read_buf.is_empty() => Ok(parts.io.into_inner()),
        // In HTTP and TLS the client speaks first, so that these bytes are not of the server.
        _ => Err(invalid_answer("there were bytes after the answer")),
    }
}

fn request(
    destination: &Destination,
    authorization: Option<&HeaderValue>,
) -> Result<Request<String>, TransportError> {
    let authority = destination.authority();
    let mut request = Request::connect(&authority).header(HOST, &authority);
    if let Some(value) = authorization {
        request = request.header(PROXY_AUTHORIZATION, value);
    }
    request.body(String::new()).map_err(|error| TransportError::new(&error))
}

fn refusal(status: StatusCode, headers: &HeaderMap) -> TransportError {
    let kind = match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED | StatusCode::UNAUTHORIZED => {
            ProxyErrorKind::NotAuthorised
        }
        StatusCode::FORBIDDEN => ProxyErrorKind::Forbidden,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            ProxyErrorKind::ServerUnreachable
        }
        _ => ProxyErrorKind::Other,
    };
    let reason = format!("the proxy refused the connection: HTTP status {}", status.as_u16());
    let wait = requested_wait(headers).map(limited_wait);
    TransportError::in_proxy(kind, reason).with_retry_after(wait)
}

fn failure(error: &hyper::Error) -> TransportError {
    if error.is_parse() {
        return invalid_answer(&error.to_string());
    }
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    let reason = format!("the proxy closed the connection: {error}{cause}");
    TransportError::in_proxy(ProxyErrorKind::Unreachable, reason)
}

fn invalid_answer(reason: &str) -> TransportError {
    let reason = format!("the answer of the proxy is not valid: {reason}");
    TransportError::in_proxy(ProxyErrorKind::InvalidAnswer, reason)
}
