//! Calls of the REST API.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use presence_protocol::Errno;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Method, RequestBuilder};
use serde_json::Value;

use crate::{CertificateAuthority, TIMEOUT};

/// The time limit of a request, which is longer than any delay of the server.
const LONGEST: Duration = Duration::from_mins(1);
/// The pause between two repetitions of a request.
const PAUSE: Duration = Duration::from_millis(50);

/// The REST API of a server, which follows a restart to another address. It follows no redirect and
/// keeps no cookies.
#[derive(Debug, Clone)]
pub struct RestClient {
    client: Client,
    address: Arc<Mutex<SocketAddr>>,
    scheme: &'static str,
}

impl RestClient {
    pub(crate) fn new(address: Arc<Mutex<SocketAddr>>, tls: Option<&CertificateAuthority>) -> Self {
        let root = tls.map(|authority| Certificate::from_der(authority.root()).unwrap());
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tls_certs_only(root)
            .timeout(LONGEST)
            .build()
            .unwrap();
        Self { client, address, scheme: if tls.is_some() { "https" } else { "http" } }
    }

    /// Returns a call, which is made when it is awaited.
    pub fn call(&self, method: &str, path: &str) -> RestCall {
        let url = format!("{}://{}{path}", self.scheme, self.address.lock().unwrap());
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        RestCall { request: self.client.request(method, url), headers: HeaderMap::new() }
    }

    /// Returns a call of another address, which is made when it is awaited.
    pub(crate) fn get(&self, url: &str) -> RestCall {
        RestCall { request: self.client.get(url), headers: HeaderMap::new() }
    }
}

/// A REST call, which is made when it is awaited.
#[derive(Debug)]
pub struct RestCall {
    request: RequestBuilder,
    headers: HeaderMap,
}

impl RestCall {
    /// Adds a bearer credential: the token of a session or an API key.
    #[must_use]
    pub fn bearer(self, credential: &str) -> Self {
        self.header("authorization", &format!("Bearer {credential}"))
    }

    /// Sets a header, and replaces one of the same name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sets a form as the body, as a browser posts it.
    #[must_use]
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let encoded: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", percent(name), percent(value)))
            .collect();
        self.body("application/x-www-form-urlencoded", encoded.join("&"))
    }

    /// Sets any body.
    #[must_use]
    pub fn body(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.request = self.request.body(body.into());
        self.header("content-type", media_type)
    }
}

/// Repeats a call until it is refused, and returns the refusal.
pub async fn wait_until_refused(call: impl Fn() -> RestCall) -> RestResponse {
    let refused = async {
        loop {
            let answer = call().await;
            if answer.status != 200 {
                return answer;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let refused = tokio::time::timeout(TIMEOUT, refused).await;
    refused.unwrap_or_else(|_| panic!("allowed for {TIMEOUT:?}"))
}

impl IntoFuture for RestCall {
    type Output = RestResponse;
    type IntoFuture = Pin<Box<dyn Future<Output = RestResponse> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let response = self.request.headers(self.headers).send().await;
            let response = response.unwrap_or_else(|error| panic!("no response: {error:?}"));
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let text = response.text().await.unwrap();
            RestResponse { status, headers, text }
        })
    }
}

/// The response to a REST call.
#[derive(Debug)]
pub struct RestResponse {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl RestResponse {
    /// Returns the body as JSON, or `null` if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// Returns the body of a call that succeeded.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "refused: {} {}", self.status, self.text);
        self.json()
    }

    /// Returns a header as text, which is empty if the header is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Checks that the response is an error object with this errno, with the HTTP status of that
    /// errno.
    #[track_caller]
    pub fn assert_error(&self, errno: Errno) {
        let body = self.json();
        let actual = (self.status, body["result"].as_str(), body["errno"].as_u64());
        let expected = (errno.http_status(), Some("KO"), Some(u64::from(errno.number())));
        assert_eq!(actual, expected, "{}", self.text);
        assert!(body["error"].is_string(), "{}", self.text);
    }
}

fn percent(text: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes()
        .map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
