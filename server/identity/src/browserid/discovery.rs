//! Discovery: fetches support documents from `https://HOST/.well-known/browserid?domain=DOMAIN`
//! (rule 18).
//!
//! The client chooses the host, so a [`DiscoveryScope`] limits the hosts, the guarded client
//! rejects addresses that are not public, and the [`DocumentCache`] limits the number of requests.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use presence_core::Clock;
use url::Url;

use super::document_cache::{CacheKey, DocumentCache, DocumentFetcher, FetchOutcome};
use super::key_source::{DocumentQuery, KeySource, LookupError};
use super::names;
use super::support_document::SupportDocument;
use crate::fetch::{FetchError, FetchedResponse, GuardedClient};

/// The hosts that discovery may ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiscoveryScope {
    /// The hosts that the operator listed. Requests to them are not limited by those to other
    /// hosts. Only this list may contain `localhost:PORT`, which is fetched over plain `http`; the
    /// guarded client must allow it too.
    pub listed: BTreeSet<String>,
    /// Allows all other public hosts too.
    pub open: bool,
}

impl DiscoveryScope {
    fn contains(&self, host: &str) -> bool {
        self.listed.contains(host) || (self.open && !names::is_local(host))
    }
}

/// The source that fetches documents from their hosts.
pub struct Discovery {
    scope: DiscoveryScope,
    cache: DocumentCache<HttpDocumentFetcher>,
}

impl Discovery {
    /// Creates a source that uses a guarded client, which should allow `https` only. The clock
    /// decides how long documents are cached.
    pub fn new(client: GuardedClient, scope: DiscoveryScope, clock: Arc<dyn Clock>) -> Self {
        Self { scope, cache: DocumentCache::new(HttpDocumentFetcher { client }, clock) }
    }
}

#[async_trait]
impl KeySource for Discovery {
    async fn document(
        &self,
        query: DocumentQuery<'_>,
    ) -> Result<Option<SupportDocument>, LookupError> {
        let DocumentQuery { host, domain, client } = query;
        if !self.scope.contains(host) {
            return Ok(None);
        }
        let key = CacheKey {
            host: host.to_owned(),
            domain: domain.to_owned(),
            is_listed: self.scope.listed.contains(host),
        };
        self.cache.document(key, client).await
    }
}

/// The fetcher over the network.
struct HttpDocumentFetcher {
    client: GuardedClient,
}

#[async_trait]
impl DocumentFetcher for HttpDocumentFetcher {
    async fn fetch(&self, host: &str, domain: &str) -> FetchOutcome {
        let scheme = if names::is_local(host) { "http" } else { "https" };
        let Ok(mut url) = Url::parse(&format!("{scheme}://{host}/.well-known/browserid")) else {
            return FetchOutcome::Unreachable;
        };
        url.query_pairs_mut().append_pair("domain", domain);
        match self.client.get(&url).await {
            // The host responded, but not with a document.
            Err(FetchError::Redirect | FetchError::TooLarge) => FetchOutcome::NoDocument,
            // After an error of the host it is unknown if it has a document.
            Ok(FetchedResponse { status: 429 | 500.., .. })
            | Err(
                FetchError::NotAllowed
                | FetchError::NotResolvable
                | FetchError::ForbiddenAddress
                | FetchError::Busy
                | FetchError::Timeout
                | FetchError::Connection,
            ) => FetchOutcome::Unreachable,
            Ok(fetched) => parse_response(fetched).await,
        }
    }
}

/// Parses a response on a blocking thread, because its keys can need expensive arithmetic. The
/// limit of concurrent requests is also the limit of these threads.
async fn parse_response(fetched: FetchedResponse) -> FetchOutcome {
    let parse = move || {
        let FetchedResponse { status, content_type, max_age, body } = fetched;
        let document = SupportDocument::from_response(status, content_type.as_deref(), &body)?;
        Some(FetchOutcome::Document { document, max_age })
    };
    tokio::task::spawn_blocking(parse).await.ok().flatten().unwrap_or(FetchOutcome::NoDocument)
}

#[cfg(test)]
mod tests {
    use presence_core::ManualClock;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::fetch::GuardOptions;

    const LOCAL: GuardOptions =
        GuardOptions { allow_http: false, allow_loopback: true, allow_internal: false };

    #[tokio::test]
    async fn a_host_that_cannot_be_reached_is_not_reported_as_absent() {
        let discovery = discovery(GuardOptions::default(), &[], true);
        for host in ["issuer.invalid", "127.0.0.1"] {
            let outcome = ask(&discovery, host).await;
            assert_eq!(outcome.unwrap_err(), LookupError::Unreachable, "{host}");
        }
    }

    #[tokio::test]
    async fn requests_go_only_to_listed_hosts_unless_discovery_is_open() {
        let host = serve("200 OK", r#"{"disabled":true}"#).await;
        for (listed, open, expected) in [
            (&[host.as_str()][..], false, Some(SupportDocument::Disabled)),
            (&["other.example"], false, None),
            // Open discovery does not include loopback hosts.
            (&[], true, None),
        ] {
            let discovery = discovery(LOCAL, listed, open);
            assert_eq!(ask(&discovery, &host).await, Ok(expected), "{listed:?} {open}");
        }
    }

    #[tokio::test]
    async fn a_listed_loopback_host_is_rejected_if_the_guard_does_not_allow_it() {
        let host = serve("200 OK", r#"{"disabled":true}"#).await;
        let discovery = discovery(GuardOptions::default(), &[host.as_str()], false);
        assert_eq!(ask(&discovery, &host).await, Err(LookupError::Unreachable));
    }

    #[tokio::test]
    async fn a_host_with_a_server_error_is_not_reported_as_absent() {
        for (status, expected) in [
            ("500 Internal Server Error", Err(LookupError::Unreachable)),
            ("503 Service Unavailable", Err(LookupError::Unreachable)),
            ("429 Too Many Requests", Err(LookupError::Unreachable)),
            ("302 Found", Ok(None)),
            ("404 Not Found", Ok(None)),
        ] {
            let host = serve(status, r#"{"disabled":true}"#).await;
            let discovery = discovery(LOCAL, &[host.as_str()], false);
            assert_eq!(ask(&discovery, &host).await, expected, "{status}");
        }
    }

    fn discovery(options: GuardOptions, listed: &[&str], open: bool) -> Discovery {
        let listed = listed.iter().map(|host| (*host).to_owned()).collect();
        let client = GuardedClient::new(options).unwrap();
        Discovery::new(client, DiscoveryScope { listed, open }, Arc::<ManualClock>::default())
    }

    async fn ask(
        discovery: &Discovery,
        host: &str,
    ) -> Result<Option<SupportDocument>, LookupError> {
        discovery.document(DocumentQuery { host, domain: "user.invalid", client: None }).await
    }

    /// Starts a loopback host that gives the same response to each request.
    #[expect(clippy::disallowed_methods, reason = "the runtime of a test ends with it")]
    async fn serve(status: &'static str, body: &'static str) -> String {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut peer, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(peer.read_u8().await.unwrap());
                }
                let request = String::from_utf8(request).unwrap();
                assert!(request.starts_with("GET /.well-known/browserid?domain=user.invalid "));
                let length = body.len();
                let head = "content-type: application/json\r\nlocation: /x";
                let response = format!(
                    "HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                peer.write_all(response.as_bytes()).await.unwrap();
                let _ = peer.shutdown().await;
            }
        });
        format!("localhost:{port}")
    }
}
