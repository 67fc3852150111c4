//! Support documents asked from their hosts: `https://HOST/.well-known/browserid?domain=DOMAIN`
//! (rule 18).
//!
//! The host is chosen by whoever made the assertion, so a [`Reach`] says which may be asked at all,
//! the guarded client refuses what is no public address, and [`Remembered`] bounds how much is
//! asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use presence_core::Clock;
use url::Url;

use super::key_source::{KeySource, NoAnswer, Question};
use super::names;
use super::remembered::{Ask, Place, Remembered, Told};
use super::support_document::SupportDocument;
use crate::fetch::{FetchError, Fetched, GuardedClient};

/// Which hosts may be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// The hosts that the operator named. They are asked whenever that is due, whatever strangers
    /// have asked for. Only here may a host of this machine stand (`localhost` and a port, asked by
    /// plain `http`), and the guarded client must allow it too.
    pub listed: BTreeSet<String>,
    /// Whether all other hosts may be asked too.
    pub open: bool,
}

impl Reach {
    fn holds(&self, host: &str) -> bool {
        self.listed.contains(host) || (self.open && !names::is_local(host))
    }
}

/// Asks the hosts themselves.
pub struct Discovery {
    reach: Reach,
    remembered: Remembered<Hosts>,
}

impl Discovery {
    /// Asks through a guarded client, which should allow `https` only. The clock decides how long
    /// answers are kept.
    pub fn new(client: GuardedClient, reach: Reach, clock: Arc<dyn Clock>) -> Self {
        Self { reach, remembered: Remembered::new(Hosts { client }, clock) }
    }
}

#[async_trait]
impl KeySource for Discovery {
    async fn document(&self, question: Question<'_>) -> Result<Option<SupportDocument>, NoAnswer> {
        let Question { host, domain, client } = question;
        if !self.reach.holds(host) {
            return Ok(None);
        }
        let place = Place {
            host: host.to_owned(),
            domain: domain.to_owned(),
            is_listed: self.reach.listed.contains(host),
        };
        self.remembered.document(place, client).await
    }
}

/// The hosts, over the network.
struct Hosts {
    client: GuardedClient,
}

#[async_trait]
impl Ask for Hosts {
    async fn ask(&self, host: &str, domain: &str) -> Told {
        let scheme = if names::is_local(host) { "http" } else { "https" };
        let Ok(mut url) = Url::parse(&format!("{scheme}://{host}/.well-known/browserid")) else {
            return Told::Unreachable;
        };
        url.query_pairs_mut().append_pair("domain", domain);
        match self.client.get(&url).await {
            // The host answered, though not with a document.
            Err(FetchError::Redirect | FetchError::TooLarge) => Told::Nothing,
            // A host in trouble says nothing of whether it has a document.
            Ok(Fetched { status: 429 | 500.., .. })
            | Err(
                FetchError::NotAllowed
                | FetchError::NotResolvable
                | FetchError::ForbiddenAddress
                | FetchError::Timeout
                | FetchError::Connection,
            ) => Told::Unreachable,
            Ok(fetched) => read(fetched).await,
        }
    }
}

/// Keys cost arithmetic to read, so strangers' documents are read off the async threads. As few are
/// read at once as are asked.
async fn read(fetched: Fetched) -> Told {
    let parse = move || {
        let Fetched { status, content_type, max_age, body } = fetched;
        let document = SupportDocument::from_response(status, content_type.as_deref(), &body)?;
        Some(Told::Document { document, max_age })
    };
    tokio::task::spawn_blocking(parse).await.ok().flatten().unwrap_or(Told::Nothing)
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
    async fn a_host_that_cannot_be_reached_is_not_said_to_have_no_document() {
        let discovery = discovery(GuardOptions::default(), &[], true);
        for host in ["issuer.invalid", "127.0.0.1"] {
            let answer = ask(&discovery, host).await;
            assert_eq!(answer.unwrap_err(), NoAnswer::Unreachable, "{host}");
        }
    }

    #[tokio::test]
    async fn only_listed_hosts_are_asked_unless_discovery_is_open() {
        let host = serve("200 OK", r#"{"disabled":true}"#).await;
        for (listed, open, expected) in [
            (&[host.as_str()][..], false, Some(SupportDocument::Disabled)),
            (&["other.example"], false, None),
            // A host of this machine must be named even then.
            (&[], true, None),
        ] {
            let discovery = discovery(LOCAL, listed, open);
            assert_eq!(ask(&discovery, &host).await, Ok(expected), "{listed:?} {open}");
        }
    }

    #[tokio::test]
    async fn a_listed_host_of_this_machine_is_refused_by_the_guard_where_that_allows_none() {
        let host = serve("200 OK", r#"{"disabled":true}"#).await;
        let discovery = discovery(GuardOptions::default(), &[host.as_str()], false);
        assert_eq!(ask(&discovery, &host).await, Err(NoAnswer::Unreachable));
    }

    #[tokio::test]
    async fn a_host_in_trouble_is_not_said_to_have_no_document() {
        for (status, expected) in [
            ("500 Internal Server Error", Err(NoAnswer::Unreachable)),
            ("503 Service Unavailable", Err(NoAnswer::Unreachable)),
            ("429 Too Many Requests", Err(NoAnswer::Unreachable)),
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
        Discovery::new(client, Reach { listed, open }, Arc::<ManualClock>::default())
    }

    async fn ask(discovery: &Discovery, host: &str) -> Result<Option<SupportDocument>, NoAnswer> {
        discovery.document(Question { host, domain: "user.invalid", client: None }).await
    }

    /// A host of this machine that gives the same answer to everybody.
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
                let asked = String::from_utf8(request).unwrap();
                assert!(asked.starts_with("GET /.well-known/browserid?domain=user.invalid "));
                let length = body.len();
                let head = "content-type: application/json\r\nlocation: /x";
                let answer = format!(
                    "HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                peer.write_all(answer.as_bytes()).await.unwrap();
                let _ = peer.shutdown().await;
            }
        });
        format!("localhost:{port}")
    }
}
