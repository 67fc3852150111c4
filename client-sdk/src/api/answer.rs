//! What came back: what was asked for, a refusal of ours, or somebody else's page.

use http::header::RETRY_AFTER;
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use presence_protocol::error::RawReply;
use presence_protocol::{ApiError, Errno};
use serde::de::DeserializeOwned;

use crate::error::Error;

/// An answer in whole.
pub(super) struct Answer {
    status: StatusCode,
    /// Seconds.
    retry_after: Option<f64>,
    body: Vec<u8>,
}

impl Answer {
    pub(super) fn new(head: &Parts, body: Vec<u8>) -> Self {
        Self { status: head.status, retry_after: retry_after(&head.headers), body }
    }

    /// Reads it as what was asked for. No text in the error is from the body, which may hold a secret, but for that of a refusal.
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T, Error> {
        if !self.status.is_success() {
            return Err(self.refusal());
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let (kind, line, column) = (error.classify(), error.line(), error.column());
            Error::Unexpected(format!(
                "an answer that cannot be read: {kind:?} error at line {line}, column {column}"
            ))
        })
    }

    fn refusal(&self) -> Error {
        let body = serde_json::from_slice::<RawReply>(&self.body);
        let said = body.ok().filter(|said| said.is_ok() == Some(false));
        if let Some(ko) = said.and_then(RawReply::into_error) {
            let retry_after = ko.retry_after.or(self.retry_after);
            return Error::Refused(ApiError { retry_after, ..ko });
        }
        self.strange()
    }

    /// The answer of something before the server, or of a server that knows more errors.
    fn strange(&self) -> Error {
        match self.status.as_u16() {
            429 => ApiError { retry_after: self.retry_after, ..Errno::SlowDown.into() }.into(),
            // What gateways say when they do not reach what is behind them; those from 520 on are a vendor's own.
            408 | 502..=504 | 520..=530 => {
                Error::Unreachable(format!("HTTP {}, by no Presence server", self.status.as_u16()))
            }
            300..=399 => Error::Unexpected(format!(
                "HTTP {}, a redirect, which is not followed; the URL of the server may be wrong",
                self.status.as_u16()
            )),
            status => Error::Unexpected(format!("HTTP {status} without an error that is known")),
        }
    }
}

/// The wait in whole seconds. The other form, a date, would need a clock that is right.
fn retry_after(headers: &HeaderMap) -> Option<f64> {
    let seconds: u32 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(f64::from(seconds))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Response;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct CredentialReason {
        number: u64,
    }

    fn answer(status: u16, retry_after: &str, body: &str) -> Answer {
        let response = Response::builder().status(status).header(RETRY_AFTER, retry_after).body(());
        Answer::new(&response.unwrap().into_parts().0, body.as_bytes().to_vec())
    }

    fn read(status: u16, retry_after: &str, body: &str) -> Result<CredentialReason, Error> {
        answer(status, retry_after, body).read()
    }

    #[test]
    fn what_is_newer_in_an_answer_is_skipped() {
        assert_eq!(
            read(200, "", r#"{"number":7,"new":{}}"#).unwrap(),
            CredentialReason { number: 7 }
        );
        assert_eq!(read(201, "", r#"{"number":7}"#).unwrap(), CredentialReason { number: 7 });
    }

    #[test]
    fn a_refusal_is_an_entry_of_the_registry_with_its_wait() {
        let ko = r#"{"result":"KO","errno":20,"error":"Slow down","retry_after":0.5}"#;
        let error = read(429, "1", ko).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::SlowDown));
        assert_eq!(error.retry_after(), Some(Duration::from_millis(500)));
        let ko = r#"{"result":"KO","errno":51,"error":"Storage is unavailable"}"#;
        let error = read(503, "7", ko).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::StorageUnavailable));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(read(503, "soon", ko).unwrap_err().retry_after(), None);
    }

    #[test]
    fn a_stranger_is_worth_another_attempt_only_where_it_stands_before_the_server() {
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
    fn an_error_that_is_newer_is_unexpected_unless_waiting_helps() {
        let newer = r#"{"result":"KO","errno":99,"error":"Newer"}"#;
        assert!(matches!(read(400, "", newer), Err(Error::Unexpected(_))));
        assert!(read(503, "", newer).unwrap_err().retryable());
        let no_refusal = r#"{"result":"OK","errno":34,"error":"Invalid assertion"}"#;
        assert!(matches!(read(401, "", no_refusal), Err(Error::Unexpected(_))));
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_not_repeated() {
        for body in [r#"{"number":"secret"}"#, r#"{"secret":1}"#, "secret", "", "[]", "null"] {
            let Err(Error::Unexpected(text)) = read(200, "", body) else { panic!("{body}") };
            assert!(!text.contains("secret"), "{text}");
        }
    }
}
