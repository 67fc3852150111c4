//! One request to an address that a stranger chose, without letting them reach into our network
//! (threats 1 to 3).
//!
//! Each answer of the resolver is vetted as a whole and the connection goes to a vetted address, so
//! a name cannot be good when it is checked and bad when it is used. Deliberately without
//! redirects, cookies, proxies, decompression and connection reuse.

mod resolver;

mod address;

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use url::{Host, Url};

use self::resolver::{GuardedResolver, Lookup, Refusal, SystemLookup};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// Where a [`GuardedClient`] may go beyond `https` on public addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GuardOptions {
    /// Plain `http` is allowed too.
    pub allow_http: bool,
    /// Development only: `localhost`, `127.0.0.1` and `[::1]` are allowed, by `http` too and on
    /// every port.
    pub allow_loopback: bool,
    /// Every address and every port is allowed. Only for addresses that the operator chose.
    pub allow_internal: bool,
}

/// How much time and room a fetch has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For resolving and connecting.
    pub connect: Duration,
    /// For everything, up to the last byte of the body.
    pub total: Duration,
    /// For the body, in bytes.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(3), total: Duration::from_secs(5), body: 64 * 1024 }
    }
}

/// An answer, of whatever status but a redirect.
#[derive(Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The HTTP status.
    pub status: u16,
    /// The media type with its parameters, as it was sent.
    pub content_type: Option<String>,
    /// How long the answer may be kept, where it says so (`Cache-Control`); nothing where it may
    /// not be kept.
    pub max_age: Option<Duration>,
    /// The whole body, as it was sent.
    pub body: Vec<u8>,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Fetched")
            .field("status", &self.status)
            .field("length", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Why there is no answer: enough for the owner of the address, too little to explore a network
/// with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The URL itself: scheme, port, user name or host.
    #[error("the address must be https, on port 443 or 80, and without a user name")]
    NotAllowed,
    /// The name has no address.
    #[error("the host name cannot be resolved")]
    NotResolvable,
    /// An address of the host is not a public one.
    #[error("the host has an address that is not public")]
    ForbiddenAddress,
    /// It took too long.
    #[error("the host did not answer in time")]
    Timeout,
    /// The answer points elsewhere.
    #[error("the host answered with a redirect, which is not followed")]
    Redirect,
    /// The body is too long.
    #[error("the answer is too long")]
    TooLarge,
    /// No connection, no valid TLS certificate, or no HTTP.
    #[error("no connection, no valid TLS certificate, or no valid answer")]
    Connection,
}

/// The HTTP client cannot be set up, for example since this machine has no root certificates.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client")]
pub struct SetUpError(#[source] reqwest::Error);

/// An HTTP client for addresses that strangers chose.
#[derive(Debug, Clone)]
pub struct GuardedClient {
    client: Client,
    options: GuardOptions,
    limits: Limits,
}

impl GuardedClient {
    /// A client with the default [`Limits`].
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(options: GuardOptions) -> Result<Self, SetUpError> {
        Self::with_limits(options, Limits::default())
    }

    /// A client with these limits.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn with_limits(options: GuardOptions, limits: Limits) -> Result<Self, SetUpError> {
        Self::with_lookup(options, limits, Arc::new(SystemLookup))
    }

    fn with_lookup(
        options: GuardOptions,
        limits: Limits,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, SetUpError> {
        let client = Client::builder()
            .dns_resolver(GuardedResolver::new(lookup, options))
            .no_proxy()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .http1_only()
            .pool_max_idle_per_host(0)
            .connect_timeout(limits.connect)
            .user_agent(concat!("presence/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(SetUpError)?;
        Ok(Self { client, options, limits })
    }

    /// Gets `url`.
    ///
    /// # Errors
    /// As [`FetchError`] says. A status other than 3xx is an answer, not an error.
    pub async fn get(&self, url: &Url) -> Result<Fetched, FetchError> {
        self.check(url)?;
        self.fetch(self.client.get(url.clone())).await
    }

    /// Posts a form to `url`, with the value of an `Authorization` header where one is given.
    ///
    /// # Errors
    /// As [`GuardedClient::get`].
    pub async fn post_form(
        &self,
        url: &Url,
        form: String,
        authorization: Option<&str>,
    ) -> Result<Fetched, FetchError> {
        self.check(url)?;
        let request = self.client.post(url.clone()).header(CONTENT_TYPE, FORM).header(ACCEPT, JSON);
        let request = match authorization {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        };
        self.fetch(request.body(form)).await
    }

    /// What can be told from the URL alone. Addresses in it are vetted here, since no resolver will
    /// see them.
    fn check(&self, url: &Url) -> Result<(), FetchError> {
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
        let anywhere = local || self.options.allow_internal;
        if !scheme_fits || !(anywhere || matches!(port, 443 | 80)) {
            return Err(FetchError::NotAllowed);
        }
        let literal = match host {
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
        };
        if anywhere || address::is_public(literal) {
            Ok(())
        } else {
            Err(FetchError::ForbiddenAddress)
        }
    }

    async fn fetch(&self, request: RequestBuilder) -> Result<Fetched, FetchError> {
        tokio::time::timeout(self.limits.total, self.send(request))
            .await
            .map_err(|_| FetchError::Timeout)?
    }

    async fn send(&self, request: RequestBuilder) -> Result<Fetched, FetchError> {
        let response = request.send().await.map_err(|error| coarse(&error))?;
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
        Ok(Fetched { status, content_type, max_age, body: self.body(response).await? })
    }

    /// Reads the body, counting: what the answer says about its length is no limit.
    async fn body(&self, mut response: Response) -> Result<Vec<u8>, FetchError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| coarse(&error))? {
            if chunk.len() > self.limits.body.saturating_sub(body.len()) {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// What `Cache-Control` says of how long an answer may be kept.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = || {
        let values = headers.get_all(CACHE_CONTROL).into_iter();
        values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
    };
    let named = |name: &str| directives().any(|text| text.trim().eq_ignore_ascii_case(name));
    if named("no-store") || named("no-cache") {
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

/// The error of the library without the addresses in it.
fn coarse(error: &reqwest::Error) -> FetchError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<Refusal>() {
            return match refusal {
                Refusal::NoAddress => FetchError::NotResolvable,
                Refusal::Forbidden => FetchError::ForbiddenAddress,
            };
        }
        cause = error.source();
    }
    if error.is_timeout() { FetchError::Timeout } else { FetchError::Connection }
}

#[cfg(test)]
mod tests;
