//! What hosts answered, remembered, so that strangers cannot have them asked over and over (threat
//! 2).
//!
//! A document is fresh for as long as its host says, within bounds; it is asked for again before
//! that is over, and serves on where its host is down. That there is none is remembered too. One
//! question to a host is under way at a time, and few in all.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use presence_core::{Clock, Steady};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::key_source::NoAnswer;
use super::shares::Shares;
use super::support_document::SupportDocument;

/// How many hosts are remembered.
const PLACES: u64 = 10_000;
/// How many questions to hosts that nobody listed are under way at once.
const AT_ONCE: usize = 16;
/// How many may wait for an answer of such hosts, and as many for those of listed ones.
const WAITING: usize = 256;

/// How long a document is fresh where its host does not say.
const FRESH: Duration = Duration::from_hours(1);
const FRESH_AT_LEAST: Duration = Duration::from_mins(5);
const FRESH_AT_MOST: Duration = Duration::from_hours(24);
/// How long a document serves after that, while its host is down. As long does nobody else speak
/// for its domain.
const STALE: Duration = Duration::from_hours(24);

/// How long a host without a document is not asked again.
const ABSENT: Duration = Duration::from_mins(10);
/// How long a host that cannot be reached is not asked again.
const UNREACHABLE: Duration = Duration::from_mins(5);
/// As long for a listed host at first, then twice as long each time, up to [`UNREACHABLE`]: its
/// operator waits for it.
const LISTED: Duration = Duration::from_secs(10);

type Answer = Result<Option<SupportDocument>, NoAnswer>;

/// Asks hosts.
#[async_trait]
pub(super) trait Ask: Send + Sync + 'static {
    async fn ask(&self, host: &str, domain: &str) -> Told;
}

/// What a host said.
#[derive(Debug, Clone)]
pub(super) enum Told {
    /// A document, and how long it may be kept.
    Document { document: SupportDocument, max_age: Option<Duration> },
    /// Something else.
    Nothing,
    /// It said nothing.
    Unreachable,
}

/// A document that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) host: String,
    /// The domain of the e-mail for whose sake it is asked.
    pub(super) domain: String,
    /// Whether the operator named the host.
    pub(super) is_listed: bool,
}

/// The answers of hosts.
pub(super) struct Remembered<A> {
    asker: Arc<A>,
    clock: Arc<dyn Clock>,
    places: Cache<Place, Arc<Entry>>,
    room: Arc<Semaphore>,
    seats: Semaphore,
    seats_of_listed: Semaphore,
    shares: Shares,
}

/// Held while a question is under way.
struct Admission(
    #[expect(dead_code, reason = "it is held, and dropped")] Option<OwnedSemaphorePermit>,
);

impl<A: Ask> Remembered<A> {
    pub(super) fn new(asker: A, clock: Arc<dyn Clock>) -> Self {
        // The idle time only frees memory: whether an answer is still good is decided by the clock.
        let places = Cache::builder()
            .max_capacity(PLACES)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(FRESH_AT_MOST + STALE);
        Self {
            asker: Arc::new(asker),
            places: places.build(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
            seats: Semaphore::new(WAITING),
            seats_of_listed: Semaphore::new(WAITING),
            shares: Shares::new(Arc::clone(&clock)),
            clock,
        }
    }

    /// The document, from memory or by asking for it.
    ///
    /// # Errors
    /// [`NoAnswer::Busy`] at once where there is no room to ask or to wait.
    pub(super) async fn document(&self, place: Place, client: Option<IpAddr>) -> Answer {
        let (entry, admitted) = if let Some(entry) = self.places.get(&place) {
            (entry, None)
        } else {
            // Admitted first, so that a stranger cannot fill the memory with more hosts than may be
            // asked.
            let admitted = self.admit(&place, client)?;
            (self.places.get_with(place.clone(), Arc::default), Some(admitted))
        };
        match entry.look(self.clock.steady()) {
            Look::Known { answer, renew } => {
                if renew {
                    self.renew(&place, &entry);
                }
                return answer;
            }
            Look::Ask => {}
        }
        let seats = if place.is_listed { &self.seats_of_listed } else { &self.seats };
        let _seat = seats.try_acquire().map_err(|_full| NoAnswer::Busy)?;
        let turn = Arc::clone(&entry.turn).lock_owned().await;
        // Who had the turn before may have asked.
        if let Look::Known { answer, .. } = entry.look(self.clock.steady()) {
            return answer;
        }
        let admitted = admitted.map_or_else(|| self.admit(&place, client), Ok)?;
        let asked = self.ask(place, entry, (turn, admitted));
        asked.await.unwrap_or(Err(NoAnswer::Unreachable))
    }

    /// Whether one more host may be asked.
    fn admit(&self, place: &Place, client: Option<IpAddr>) -> Result<Admission, NoAnswer> {
        if place.is_listed {
            return Ok(Admission(None));
        }
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(|_full| NoAnswer::Busy)?;
        if client.is_some_and(|client| !self.shares.take(client)) {
            return Err(NoAnswer::Busy);
        }
        Ok(Admission(Some(room)))
    }

    /// Asks again before a document is not fresh any more, where nobody does and there is room.
    fn renew(&self, place: &Place, entry: &Arc<Entry>) {
        let Ok(turn) = Arc::clone(&entry.turn).try_lock_owned() else { return };
        let Ok(admitted) = self.admit(place, None) else { return };
        drop(self.ask(place.clone(), Arc::clone(entry), (turn, admitted)));
    }

    /// Asks in a task of its own, so that the answer is remembered even where who asked for it does
    /// not wait any more.
    #[expect(
        clippy::disallowed_methods,
        reason = "nothing is lost where the process ends before it, and the guarded fetch ends it within seconds"
    )]
    fn ask(
        &self,
        place: Place,
        entry: Arc<Entry>,
        held: (OwnedMutexGuard<()>, Admission),
    ) -> JoinHandle<Answer> {
        let (asker, clock) = (Arc::clone(&self.asker), Arc::clone(&self.clock));
        tokio::spawn(async move {
            let told = asker.ask(&place.host, &place.domain).await;
            let answer = entry.record(told, place.is_listed, clock.steady());
            drop(held);
            answer
        })
    }
}

/// What is known of a place.
#[derive(Default)]
struct Entry {
    known: Mutex<Known>,
    /// Held by who asks.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Known {
    document: Option<Kept>,
    miss: Option<Miss>,
}

/// A document.
struct Kept {
    document: SupportDocument,
    renew_at: Steady,
    fresh_until: Steady,
    stale_until: Steady,
}

/// A question that brought no document.
struct Miss {
    /// When it may be asked again.
    again_at: Steady,
    /// How many there were one after the other.
    times: u32,
    /// Whether the host answered at all.
    answered: bool,
}

enum Look {
    Known { answer: Answer, renew: bool },
    Ask,
}

impl Entry {
    fn look(&self, now: Steady) -> Look {
        let known = self.known();
        let may_ask = known.miss.as_ref().is_none_or(|miss| now >= miss.again_at);
        if let Some(kept) = &known.document
            && now < kept.fresh_until
        {
            let renew = may_ask && now >= kept.renew_at;
            return Look::Known { answer: Ok(Some(kept.document.clone())), renew };
        }
        if may_ask {
            return Look::Ask;
        }
        Look::Known { answer: known.without_asking(now), renew: false }
    }

    fn record(&self, told: Told, is_listed: bool, now: Steady) -> Answer {
        let mut known = self.known();
        let answered = match told {
            Told::Document { document, max_age } => {
                let fresh = max_age.unwrap_or(FRESH).clamp(FRESH_AT_LEAST, FRESH_AT_MOST);
                known.miss = None;
                known.document = Some(Kept {
                    document: document.clone(),
                    renew_at: now + fresh * 4 / 5,
                    fresh_until: now + fresh,
                    stale_until: now + fresh + STALE,
                });
                return Ok(Some(document));
            }
            Told::Nothing => true,
            Told::Unreachable => false,
        };
        let times = known.miss.as_ref().map_or(0, |miss| miss.times.saturating_add(1));
        let again_at = now + pause(answered, times, is_listed);
        known.miss = Some(Miss { again_at, times, answered });
        known.without_asking(now)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// What is answered while the host is not to be asked.
    fn without_asking(&self, now: Steady) -> Answer {
        let kept = self.document.as_ref().filter(|kept| now < kept.stale_until);
        let answered = self.miss.as_ref().is_some_and(|miss| miss.answered);
        match kept {
            Some(kept) if !answered => Ok(Some(kept.document.clone())),
            // It had a document just now, so that nobody else is to speak for it yet.
            Some(kept) if kept.document != SupportDocument::Disabled => Err(NoAnswer::Unreachable),
            Some(_) | None if answered => Ok(None),
            Some(_) | None => Err(NoAnswer::Unreachable),
        }
    }
}

/// How long a host is not asked again.
fn pause(answered: bool, times: u32, is_listed: bool) -> Duration {
    match (is_listed, answered) {
        (true, _) => LISTED.saturating_mul(2_u32.saturating_pow(times)).min(UNREACHABLE),
        (false, true) => ABSENT,
        (false, false) => UNREACHABLE,
    }
}

#[cfg(test)]
mod tests;
