//! Support documents asked from their hosts: `https://HOST/.well-known/browserid?domain=DOMAIN` (rule 18).
//!
//! Bounded in every way, since the host is chosen by whoever made the assertion: answers are remembered, also that there is none,
//! one question a host is under way at a time, and few in all. Which hosts may be asked at all is for [`super::AllowListed`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::Expiry;
use moka::future::Cache;
use tokio::sync::Semaphore;
use url::Url;

use super::key_source::{KeySource, NoAnswer};
use super::support_document::SupportDocument;
use crate::fetch::{FetchError, Fetched, GuardedClient};

/// How many hosts are remembered.
const HOSTS: u64 = 10_000;
/// How long a document is taken for fresh.
const FRESH: Duration = Duration::from_hours(1);
/// How long a host without a document is not asked again.
const ABSENT: Duration = Duration::from_mins(10);
/// How long a host that could not be reached is not asked again.
const UNREACHABLE: Duration = Duration::from_secs(10);
/// How many questions are under way at once.
const AT_ONCE: usize = 16;

type Answer = Result<Option<SupportDocument>, NoAnswer>;

/// Asks the hosts themselves.
pub struct Discovery {
    client: GuardedClient,
    remembered: Cache<(String, String), Answer>,
    room: Arc<Semaphore>,
}

impl Discovery {
    /// Asks through a guarded client, which should allow `https` only.
    pub fn new(client: GuardedClient) -> Self {
        let remembered = Cache::builder().max_capacity(HOSTS).expire_after(ByAnswer).build();
        Self { client, remembered, room: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    async fn ask(&self, host: &str, domain: &str) -> Answer {
        let mut url = Url::parse(&format!("https://{host}/.well-known/browserid"))
            .map_err(|_| NoAnswer::Unreachable)?;
        url.query_pairs_mut().append_pair("domain", domain);
        match self.client.get(&url).await {
            Ok(fetched) => Ok(read(fetched).await),
            // The host answered, though not with a document.
            Err(FetchError::Redirect | FetchError::TooLarge) => Ok(None),
            Err(
                FetchError::NotAllowed
                | FetchError::NotResolvable
                | FetchError::ForbiddenAddress
                | FetchError::Timeout
                | FetchError::Connection,
            ) => Err(NoAnswer::Unreachable),
        }
    }
}

#[async_trait]
impl KeySource for Discovery {
    async fn document(&self, host: &str, domain: &str) -> Answer {
        let key = (host.to_owned(), domain.to_owned());
        if let Some(answer) = self.remembered.get(&key).await {
            return answer;
        }
        let Ok(_place) = self.room.try_acquire() else { return Err(NoAnswer::Busy) };
        self.remembered.get_with(key, self.ask(host, domain)).await
    }
}

/// Keys cost arithmetic to read, so strangers' documents are read off the async threads.
async fn read(fetched: Fetched) -> Option<SupportDocument> {
    let parse = move || {
        let Fetched { status, content_type, body, .. } = fetched;
        SupportDocument::from_response(status, content_type.as_deref(), &body)
    };
    tokio::task::spawn_blocking(parse).await.ok().flatten()
}

struct ByAnswer;

impl Expiry<(String, String), Answer> for ByAnswer {
    fn expire_after_create(
        &self,
        _: &(String, String),
        answer: &Answer,
        _: Instant,
    ) -> Option<Duration> {
        Some(match answer {
            Ok(Some(_)) => FRESH,
            Ok(None) => ABSENT,
            Err(_) => UNREACHABLE,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::GuardOptions;

    #[tokio::test]
    async fn a_host_that_cannot_be_reached_is_not_said_to_have_no_document() {
        let discovery = Discovery::new(GuardedClient::new(GuardOptions::default()).unwrap());
        for host in ["issuer.invalid", "127.0.0.1", "localhost"] {
            let answer = discovery.document(host, "user.invalid").await;
            assert_eq!(answer.unwrap_err(), NoAnswer::Unreachable, "{host}");
        }
    }
}
