//! A guarded HTTP client for URLs from untrusted sources, which does not reach internal networks
//! (see threats 1 to 3 in SECURITY.md).
//!
//! All addresses of a name are checked, and the connection goes to a checked address, so a name
//! cannot change between the check and its use (DNS rebinding). There are no redirects, cookies,
//! proxies, decompression and connection reuse.

mod dns;

mod resolver;

mod address;
mod options;

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use presence_core::TRACE_TARGET;
use reqwest::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use tokio::sync::Semaphore;
use tracing::field::Empty;
use tracing::{Instrument, Span};
use url::{Host, Url};

use self::dns::DnsLookup;
pub use self::options::{FetchLimits, GuardOptions};
use self::resolver::{GuardedResolver, Lookup, ResolveError};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// A response of any status except a redirect.
#[derive(Clone, PartialEq, Eq)]
pub struct FetchedResponse {
    /// The HTTP status.
    pub status: u16,
    /// The media type with its parameters, as sent.
    pub content_type: Option<String>,
    /// The time that the response may be cached by `Cache-Control`: zero if it must not be cached,
    /// `None` if the response does not specify it.
    pub max_age: Option<Duration>,
    /// The whole body, as sent.
    pub body: Vec<u8>,
}

impl fmt::Debug for FetchedResponse {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("FetchedResponse")
            .field("status", &self.status)
            .field("length", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The error of a request. One variant covers all failures of the connection, TLS and HTTP, so that
/// the errors are of little use to explore a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The scheme, port, user name or host of the URL is not allowed.
    #[error("the address must be https, on port 443 or 80, and without a user name")]
    NotAllowed,
    /// The host name has no address.
    #[error("the host name cannot be resolved")]
    NotResolvable,
    /// An address of the host is not a public one.
    #[error("the host has an address that is not public")]
    ForbiddenAddress,
    /// Too many requests of this client are in progress.
    #[error("too many requests to other hosts are in progress")]
    Busy,
    /// The time limit is exceeded.
    #[error("the host did not respond in time")]
    Timeout,
    /// The response is a redirect.
    #[error("the host responded with a redirect, which is not followed")]
    Redirect,
    /// The body is longer than the limit.
    #[error("the response is too long")]
    TooLarge,
    /// The connection, the TLS handshake or the HTTP response failed.
    #[error("no connection, no valid TLS certificate, or no valid response")]
    Connection,
}

impl FetchError {
    /// Returns the name of the error in traces.
    fn name(self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed",
            Self::NotResolvable => "not_resolvable",
            Self::ForbiddenAddress => "forbidden_address",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::Redirect => "redirect",
            Self::TooLarge => "too_large",
            Self::Connection => "connection",
        }
    }
}

/// The error of setting up the HTTP client, for example if the machine has no root certificates.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client")]
pub struct SetUpError(#[source] reqwest::Error);

/// An HTTP client for URLs from untrusted sources.
#[derive(Debug, Clone)]
pub struct GuardedClient {
    client: Client,
    options: GuardOptions,
    limits: FetchLimits,
    /// One permit for each request in progress. Clones share them; another client has its own.
    permits: Arc<Semaphore>,
    /// The purpose of its requests, for traces.
    purpose: &'static str,
}

impl GuardedClient {
    /// Creates a client with the default [`FetchLimits`].
    ///
    /// # Errors
    /// [`SetUpError`] if TLS cannot be set up.
    pub fn new(options: GuardOptions) -> Result<Self, SetUpError> {
        Self::with_limits(options, FetchLimits::default())
    }

    /// Creates a client with these limits.
    ///
    /// # Errors
    /// [`SetUpError`] if TLS cannot be set up.
    pub fn with_limits(options: GuardOptions, limits: FetchLimits) -> Result<Self, SetUpError> {
        Self::with_lookup(options, limits, Arc::new(DnsLookup::default()))
    }

    fn with_lookup(
        options: GuardOptions,
        limits: FetchLimits,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, SetUpError> {
        let resolver = GuardedResolver::new(lookup, options, limits.connect);
        let client = plain_client(resolver, limits.connect)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .pool_max_idle_per_host(0)
            .build()
            .map_err(SetUpError)?;
        let permits = Arc::new(Semaphore::new(limits.concurrent));
        Ok(Self { client, options, limits, permits, purpose: "fetch" })
    }

    /// Names the purpose of its requests, for traces.
    #[must_use]
    pub fn for_purpose(self, purpose: &'static str) -> Self {
        Self { purpose, ..self }
    }

    /// Sends a GET request to `url`.
    ///
    /// # Errors
    /// [`FetchError`] if there is no response, or if it is a redirect. Other statuses are no error.
    pub async fn get(&self, url: &Url) -> Result<FetchedResponse, FetchError> {
        self.check_url(url)?;
        self.fetch("GET", self.client.get(url.clone())).await
    }

    /// Posts a form to `url`, with the value of an `Authorization` header if one is given.
    ///
    /// # Errors
    /// The same as [`GuardedClient::get`].
    pub async fn post_form(
        &self,
        url: &Url,
        form: String,
        authorization: Option<&str>,
    ) -> Result<FetchedResponse, FetchError> {
        self.check_url(url)?;
        let request = self.client.post(url.clone()).header(CONTENT_TYPE, FORM).header(ACCEPT, JSON);
        let request = match authorization {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        };
        self.fetch("POST", request.body(form)).await
    }

    /// Checks the URL. An IP address in it is checked here, because it does not reach the resolver.
    fn check_url(&self, url: &Url) -> Result<(), FetchError> {
        let host = url.host().ok_or(FetchError::NotAllowed)?;
        let port = url.port_or_known_default().ok_or(FetchError::NotAllowed)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::NotAllowed);
        }
        let local = self.options.allow_loopback && is_loopback_host(&host);
        let scheme_fits = match url.scheme() {
            "https" => true,
            "http" => self.options.allow_http || local,
            _ => false,
        };
        let any_port_and_address = local || self.options.allow_internal;
        if !scheme_fits || !(any_port_and_address || matches!(port, 443 | 80)) {
            return Err(FetchError::NotAllowed);
        }
        let literal = match host {
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
        };
        if any_port_and_address || address::is_public(literal) {
            Ok(())
        } else {
            Err(FetchError::ForbiddenAddress)
        }
    }

    /// Sends a request in a span. Neither the host nor the URL is named, since the domain of an
    /// e-mail may belong to one person.
    async fn fetch(
        &self,
        method: &'static str,
        request: RequestBuilder,
    ) -> Result<FetchedResponse, FetchError> {
        let span = tracing::info_span!(
            target: TRACE_TARGET,
            "fetch",
            otel.kind = "client",
            "presence.fetch.purpose" = self.purpose,
            "http.request.method" = method,
            "http.response.status_code" = Empty,
            "error.type" = Empty,
            otel.status_code = Empty,
        );
        let result = self.send_within_limits(request).instrument(span.clone()).await;
        record_result(&span, &result);
        result
    }

    async fn send_within_limits(
        &self,
        request: RequestBuilder,
    ) -> Result<FetchedResponse, FetchError> {
        // All work of a request is in its future, so nothing goes on after the permit is returned.
        let _permit = self.permits.try_acquire().map_err(|_full| FetchError::Busy)?;
        tokio::time::timeout(self.limits.total, self.send(request))
            .await
            .map_err(|_| FetchError::Timeout)?
    }

    async fn send(&self, request: RequestBuilder) -> Result<FetchedResponse, FetchError> {
        let response = request.send().await.map_err(|error| fetch_error(&error))?;
        if response.status().is_redirection() {
            return Err(FetchError::Redirect);
        }
        let content_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let max_age = max_age(response.headers());
        let status = response.status().as_u16();
        Ok(FetchedResponse { status, content_type, max_age, body: self.read_body(response).await? })
    }

    /// Reads the body and counts its bytes: the announced length is not trusted.
    async fn read_body(&self, mut response: Response) -> Result<Vec<u8>, FetchError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| fetch_error(&error))? {
            if chunk.len() > self.limits.body.saturating_sub(body.len()) {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Returns a client for a host that the operator chose, which may have any address. `connect` is
/// the time to reach it, and `request` that of one request with its response.
pub fn internal_client(connect: Duration, request: Duration) -> ClientBuilder {
    let options = GuardOptions { allow_internal: true, ..GuardOptions::default() };
    let resolver = GuardedResolver::new(Arc::new(DnsLookup::default()), options, connect);
    plain_client(resolver, connect).timeout(request)
}

/// Returns a client that follows no redirects, repeats no request, and uses no proxy.
fn plain_client(resolver: GuardedResolver, connect: Duration) -> ClientBuilder {
    Client::builder()
        .dns_resolver(resolver)
        .no_proxy()
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only()
        .connect_timeout(connect)
        .user_agent(concat!("presence/", env!("CARGO_PKG_VERSION")))
}

fn record_result(span: &Span, result: &Result<FetchedResponse, FetchError>) {
    match result {
        Ok(response) => {
            span.record("http.response.status_code", i64::from(response.status));
        }
        Err(error) => {
            span.record("error.type", error.name()).record("otel.status_code", "error");
        }
    }
}

/// Returns the time that a response may be cached by `Cache-Control`.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = || {
        let values = headers.get_all(CACHE_CONTROL).into_iter();
        values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
    };
    let has_directive =
        |name: &str| directives().any(|text| text.trim().eq_ignore_ascii_case(name));
    if has_directive("no-store") || has_directive("no-cache") {
        return Some(Duration::ZERO);
    }
    let seconds = directives().find_map(|text| {
        let (name, value) = text.trim().split_once('=')?;
        if name.eq_ignore_ascii_case("max-age") {
            value.trim_matches('"').parse().ok()
        } else {
            None
        }
    });
    seconds.map(Duration::from_secs)
}

fn is_loopback_host(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == resolver::LOCALHOST,
        Host::Ipv4(address) => *address == Ipv4Addr::LOCALHOST,
        Host::Ipv6(address) => *address == Ipv6Addr::LOCALHOST,
    }
}

/// Converts an error of the library, without the addresses in it.
fn fetch_error(error: &reqwest::Error) -> FetchError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<ResolveError>() {
            return match error {
                ResolveError::NoAddress => FetchError::NotResolvable,
                ResolveError::Forbidden => FetchError::ForbiddenAddress,
                ResolveError::Timeout => FetchError::Timeout,
            };
        }
        cause = error.source();
    }
    if error.is_timeout() { FetchError::Timeout } else { FetchError::Connection }
}

#[cfg(test)]
mod tests;
