//! The reading of a REST response: a reply, an error of the server, or the page of a proxy.

use http::StatusCode;
use http::response::Parts;
use presence_protocol::error::RawReply;
use presence_protocol::{ApiError, Errno};
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::retry_header::requested_wait;

/// A complete response.
pub(super) struct RestResponse {
    status: StatusCode,
    /// The wait that the header asks for, in seconds.
    retry_after: Option<f64>,
    body: Vec<u8>,
}

impl RestResponse {
    pub(super) fn new(head: &Parts, body: Vec<u8>) -> Self {
        Self { status: head.status, retry_after: requested_wait(&head.headers), body }
    }

    /// Reads the body. The error holds no text of the body, which may be secret, except the text of
    /// an error of the server.
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T, Error> {
        if !self.status.is_success() {
            return Err(self.error());
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let (kind, line, column) = (error.classify(), error.line(), error.column());
            Error::Unexpected(format!(
                "the reply cannot be read: {kind:?} error at line {line}, column {column}"
            ))
        })
    }

    fn error(&self) -> Error {
        let body = serde_json::from_slice::<RawReply>(&self.body);
        let reply = body.ok().filter(|reply| reply.is_ok() == Some(false));
        if let Some(error) = reply.and_then(RawReply::into_error) {
            let retry_after = error.retry_after.or(self.retry_after);
            let retry_after = retry_after.or_else(|| self.wait_of_unknown(error.errno));
            return Error::Refused(ApiError { retry_after, ..error });
        }
        self.unknown_error()
    }

    /// Returns the wait after an error of a newer server whose status says that it is temporary.
    fn wait_of_unknown(&self, errno: Errno) -> Option<f64> {
        let is_temporary = matches!(self.status.as_u16(), 429 | 502..=504);
        (is_temporary && matches!(errno, Errno::Unknown(_))).then_some(1.0)
    }

    /// Returns the error for a response of a proxy.
    fn unknown_error(&self) -> Error {
        match self.status.as_u16() {
            429 => ApiError { retry_after: self.retry_after, ..Errno::SlowDown.into() }.into(),
            // The statuses of gateways that do not reach the server. Some use 520 and above.
            408 | 502..=504 | 520..=530 => Error::Unreachable(format!(
                "HTTP status {}, not from a Presence server",
                self.status.as_u16()
            )),
            300..=399 => Error::Unexpected(format!(
                "HTTP status {}: redirects are not followed, the URL of the server may be wrong",
                self.status.as_u16()
            )),
            status => Error::Unexpected(format!("HTTP status {status} without a known error")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Response;
    use http::header::RETRY_AFTER;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct SampleReply {
        number: u64,
    }

    fn response(status: u16, retry_after: &str, body: &str) -> RestResponse {
        let head = Response::builder().status(status).header(RETRY_AFTER, retry_after).body(());
        RestResponse::new(&head.unwrap().into_parts().0, body.as_bytes().to_vec())
    }

    fn read(status: u16, retry_after: &str, body: &str) -> Result<SampleReply, Error> {
        response(status, retry_after, body).read()
    }

    #[test]
    fn unknown_fields_of_a_reply_are_ignored() {
        assert_eq!(read(200, "", r#"{"number":7,"new":{}}"#).unwrap(), SampleReply { number: 7 });
        assert_eq!(read(201, "", r#"{"number":7}"#).unwrap(), SampleReply { number: 7 });
    }

    #[test]
    fn an_error_of_the_server_has_its_errno_and_its_wait() {
        let error_body = r#"{"result":"KO","errno":20,"error":"Slow down","retry_after":0.5}"#;
        let error = read(429, "1", error_body).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::SlowDown));
        assert_eq!(error.retry_after(), Some(Duration::from_millis(500)));
        let error_body = r#"{"result":"KO","errno":51,"error":"Storage is unavailable"}"#;
        let error = read(503, "7", error_body).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::StorageUnavailable));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(read(503, "soon", error_body).unwrap_err().retry_after(), None);
    }

    #[test]
    fn a_response_of_a_proxy_is_retryable_only_if_it_did_not_reach_the_server() {
        let page = "<html>secret</html>";
        for status in [408, 502, 503, 504, 522] {
            assert!(matches!(read(status, "", page), Err(Error::Unreachable(_))), "{status}");
        }
        for status in [301, 302, 307, 400, 401, 403, 404, 413, 500, 501] {
            assert!(matches!(read(status, "", page), Err(Error::Unexpected(_))), "{status}");
        }
        let error = read(429, "3", page).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::SlowDown));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
    }

    #[test]
    fn an_unknown_error_keeps_its_number_and_is_retryable_only_if_the_server_says_so() {
        let newer = r#"{"result":"KO","errno":99,"error":"Newer"}"#;
        let error = read(400, "", newer).unwrap_err();
        assert_eq!((error.errno(), error.retryable()), (Some(Errno::Unknown(99)), false));
        assert_eq!(error.to_string(), "Newer");
        let error = read(400, "3", newer).unwrap_err();
        assert_eq!((error.retry_after(), error.retryable()), (Some(Duration::from_secs(3)), true));
        assert!(read(503, "", newer).unwrap_err().retryable());
        let no_refusal = r#"{"result":"OK","errno":34,"error":"Invalid assertion"}"#;
        assert!(matches!(read(401, "", no_refusal), Err(Error::Unexpected(_))));
    }

    #[test]
    fn the_text_of_an_unreadable_reply_is_not_printed() {
        for body in [r#"{"number":"secret"}"#, r#"{"secret":1}"#, "secret", "", "[]", "null"] {
            let Err(Error::Unexpected(text)) = read(200, "", body) else { panic!("{body}") };
            assert!(!text.contains("secret"), "{text}");
        }
    }
}
