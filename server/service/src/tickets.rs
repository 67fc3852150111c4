//! Tickets, with which a page of a signed-in user opens a device connection.
//!
//! The page's scripts cannot read the session's cookie, and a cookie must not open a socket. A
//! ticket is valid once, for a minute, for a device connection only. The connection ends with the
//! session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use presence_core::expiring_map::{ExpiringMap, MapLimits, Moment};
use presence_core::{Clock, UnixMillis, UserId};
use presence_protocol::ApiError;
use presence_store::{Live, NewOneTimeValue, OneTimeKind, OneTimeOutcome, Store};
use secrecy::{ExposeSecret, SecretString};

use crate::errors::from_store;
use crate::rates::slow_down;
use crate::secret::{self, SecretKind};

/// The time for which a ticket is valid.
pub const TICKET_LIFETIME: Duration = Duration::from_mins(1);
/// The maximum numbers of unused tickets. None is forgotten: a further one is not issued.
const LIMITS: MapLimits = MapLimits { total: 100_000, for_each_owner: 100 };

/// A ticket that was not used yet.
struct UnusedTicket {
    /// The digest of the session's token.
    session: [u8; 32],
    expires_at: UnixMillis,
}

/// The tickets that were not used yet, by digest. If several servers share presence, they are in
/// the database.
pub(crate) enum Tickets {
    /// Those of a server that is alone.
    Own(OwnTickets),
    /// Those of all servers.
    Shared(Live, Arc<dyn Clock>),
}

impl Tickets {
    /// Creates the register of a store.
    pub(crate) fn new(store: &Store, clock: Arc<dyn Clock>) -> Self {
        match store.live() {
            Some(live) => Self::Shared(live.clone(), clock),
            None => Self::Own(OwnTickets::new(clock)),
        }
    }

    /// Issues a ticket for the session of a user with this digest.
    ///
    /// # Errors
    ///
    /// `slow_down` if the user, or all users, have too many unused tickets, `storage_unavailable`.
    pub(crate) async fn issue(
        &self,
        owner: UserId,
        session: [u8; 32],
    ) -> Result<SecretString, ApiError> {
        let (live, clock) = match self {
            Self::Own(tickets) => return tickets.issue(owner, session),
            Self::Shared(live, clock) => (live, clock),
        };
        let (ticket, now) = (secret::generate(SecretKind::Token), clock.now());
        let value = NewOneTimeValue {
            kind: OneTimeKind::Ticket,
            digest: secret::sha256(ticket.expose_secret()),
            owner,
            content: &session,
            expires_at: now + TICKET_LIFETIME,
        };
        let added = live.add_one_time(value, LIMITS.for_each_owner, now).await;
        match added.map_err(from_store)? {
            OneTimeOutcome::Full(until) => Err(slow_down(until - now)),
            OneTimeOutcome::New | OneTimeOutcome::Known(_) => Ok(ticket),
        }
    }

    /// Uses a ticket up, and returns the digest of its session.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub(crate) async fn redeem(&self, ticket: &str) -> Result<Option<[u8; 32]>, ApiError> {
        match self {
            Self::Own(tickets) => Ok(tickets.redeem(ticket)),
            Self::Shared(live, clock) => {
                let (digest, now) = (secret::sha256(ticket), clock.now());
                let taken = live.take_one_time(OneTimeKind::Ticket, &digest, now).await;
                Ok(taken.map_err(from_store)?.and_then(|session| session.try_into().ok()))
            }
        }
    }
}

/// The tickets of a server that is alone.
pub(crate) struct OwnTickets {
    unused: Mutex<ExpiringMap<[u8; 32], UserId, UnusedTicket>>,
    clock: Arc<dyn Clock>,
}

impl OwnTickets {
    /// Creates a register without tickets.
    fn new(clock: Arc<dyn Clock>) -> Self {
        Self { unused: Mutex::new(ExpiringMap::new(LIMITS)), clock }
    }

    fn issue(&self, user: UserId, session: [u8; 32]) -> Result<SecretString, ApiError> {
        let (ticket, moment) = (secret::generate(SecretKind::Token), Moment::of(&*self.clock));
        let expires_at = moment.now + TICKET_LIFETIME;
        let unused = UnusedTicket { session, expires_at };
        let digest = secret::sha256(ticket.expose_secret());
        let added = self.lock().insert(digest, (user, unused), expires_at, moment);
        added.map_err(|full| slow_down(full.retry_after))?;
        Ok(ticket)
    }

    fn redeem(&self, ticket: &str) -> Option<[u8; 32]> {
        let unused = self.lock().remove(&secret::sha256(ticket))?;
        (self.clock.now() < unused.expires_at).then_some(unused.session)
    }

    fn lock(&self) -> MutexGuard<'_, ExpiringMap<[u8; 32], UserId, UnusedTicket>> {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use presence_core::ManualClock;
    use presence_protocol::Errno;

    use super::*;

    const ALICE: UserId = UserId(1);

    fn tickets() -> (OwnTickets, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::default());
        (OwnTickets::new(Arc::<ManualClock>::clone(&clock)), clock)
    }

    #[test]
    fn a_ticket_is_valid_once() {
        let (tickets, _) = tickets();
        let ticket = tickets.issue(ALICE, [7; 32]).unwrap();
        assert_eq!(tickets.redeem("prt_y"), None);
        assert_eq!(tickets.redeem(ticket.expose_secret()), Some([7; 32]));
        assert_eq!(tickets.redeem(ticket.expose_secret()), None);
    }

    #[test]
    fn a_ticket_expires() {
        let (tickets, clock) = tickets();
        let ticket = tickets.issue(ALICE, [7; 32]).unwrap();
        clock.advance(TICKET_LIFETIME);
        assert_eq!(tickets.redeem(ticket.expose_secret()), None);
    }

    #[test]
    fn a_user_with_many_tickets_has_to_wait_and_takes_no_ticket_from_others() {
        let (tickets, clock) = tickets();
        let of_bob = tickets.issue(UserId(2), [8; 32]).unwrap();
        assert!((0..100).all(|_| tickets.issue(ALICE, [7; 32]).is_ok()));
        let error = tickets.issue(ALICE, [7; 32]).unwrap_err();
        assert_eq!((error.errno, error.retry_after), (Errno::SlowDown, Some(60.0)));
        assert_eq!(tickets.redeem(of_bob.expose_secret()), Some([8; 32]));
        clock.advance(TICKET_LIFETIME);
        assert!(tickets.issue(ALICE, [7; 32]).is_ok());
    }
}
