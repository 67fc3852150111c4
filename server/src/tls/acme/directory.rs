//! The HTTP client of the directory of a certificate authority. Answers are bounded in time and
//! size, and redirects are not followed.

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Request, Response};
use http_body_util::BodyExt;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use presence_identity::fetch::internal_client;
use reqwest::{Certificate, Client};

/// The maximum time for resolving and connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum time of a request, up to the last byte of the answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum number of bytes of an answer. A chain of certificates has some thousands.
const MAX_BODY: usize = 256 * 1024;

/// The client of a directory. Clones share it.
#[derive(Clone)]
pub(super) struct DirectoryClient {
    client: Client,
    /// The `Retry-After` of the last answer that was an error.
    retry_after: Arc<Mutex<Option<Duration>>>,
}

/// An answer that is too long.
#[derive(Debug, thiserror::Error)]
#[error("the answer of the certificate authority is longer than {MAX_BODY} bytes")]
struct AnswerTooLong;

impl DirectoryClient {
    /// Creates a client that trusts the certificates in a file only, or those of the machine.
    ///
    /// # Errors
    ///
    /// The reason in one line, if the file cannot be used.
    pub(super) fn new(trusted: Option<&Path>) -> Result<Self, String> {
        let mut builder = internal_client(CONNECT_TIMEOUT, REQUEST_TIMEOUT).https_only(true);
        if let Some(path) = trusted {
            builder = builder.tls_certs_only(certificates(path)?);
        }
        let client =
            builder.build().map_err(|error| format!("acme_directory cannot be used: {error}"))?;
        Ok(Self { client, retry_after: Arc::default() })
    }

    /// Returns the time that the authority has demanded with its last error.
    pub(super) fn take_retry_after(&self) -> Option<Duration> {
        self.retry_after.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Checks that the directory can be read.
    ///
    /// # Errors
    ///
    /// The error of the request.
    pub(super) async fn check(&self, url: &str) -> Result<(), Error> {
        let request = Request::get(url).body(BodyWrapper::default())?;
        let mut answer = self.request(request).await?;
        let body = answer.body.into_bytes().await.map_err(Error::Other)?;
        let directory: serde_json::Value = serde_json::from_slice(&body)?;
        if directory.get("newOrder").is_some() { Ok(()) } else { Err(Error::Str("newOrder")) }
    }

    async fn send(&self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes);
        let body = body.unwrap_or_else(|never| match never {});
        let request =
            reqwest::Request::try_from(Request::from_parts(parts, body)).map_err(other)?;
        let mut response = self.client.execute(request).await.map_err(other)?;
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = response.status();
        parts.headers = std::mem::take(response.headers_mut());
        if !parts.status.is_success() {
            self.note_retry_after(&parts.headers);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(other)? {
            if chunk.len() > MAX_BODY.saturating_sub(body.len()) {
                return Err(Error::Other(Box::new(AnswerTooLong)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(BytesResponse { parts, body: Box::new(Bytes::from(body)) })
    }

    fn note_retry_after(&self, headers: &http::HeaderMap) {
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let mut noted = self.retry_after.lock().unwrap_or_else(PoisonError::into_inner);
        *noted = seconds.map(Duration::from_secs);
    }
}

impl HttpClient for DirectoryClient {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.clone();
        Box::pin(async move { client.send(request).await })
    }
}

fn other(error: reqwest::Error) -> Error {
    Error::Other(Box::new(error))
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, String> {
    let shown = path.display();
    let pem = std::fs::read(path)
        .map_err(|error| format!("acme_directory_ca: {shown} cannot be read: {error}"))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(format!("acme_directory_ca: {shown} holds no certificate in PEM")),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn the_delay_that_the_last_error_demands_is_taken_once() {
        let client = DirectoryClient::new(None).unwrap();
        let note = |value| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            client.note_retry_after(&headers);
        };
        note("3600");
        assert_eq!(client.take_retry_after(), Some(Duration::from_hours(1)));
        assert_eq!(client.take_retry_after(), None);
        note("60");
        note("soon");
        assert_eq!(client.take_retry_after(), None);
    }
}
