//! Tickets, with which a page of a signed-in user opens a device connection.
//!
//! The page's scripts cannot read the session's cookie, and a cookie must not open a socket. A
//! ticket is valid once, for a minute, for a device connection only. The connection ends with the
//! session.

use std::time::Duration;

use moka::sync::Cache;
use presence_core::UnixMillis;
use secrecy::{ExposeSecret, SecretString};

use crate::secret::{self, SecretKind};

/// The time for which a ticket is valid.
pub const TICKET_LIFETIME: Duration = Duration::from_mins(1);
/// The maximum number of unused tickets.
const MAX_UNUSED: u64 = 100_000;

/// A ticket that was not used yet.
#[derive(Clone)]
struct UnusedTicket {
    /// The digest of the session's token.
    session: [u8; 32],
    expires_at: UnixMillis,
}

/// The tickets that were not used yet, by digest.
pub(crate) struct Tickets(Cache<[u8; 32], UnusedTicket>);

impl Default for Tickets {
    fn default() -> Self {
        // The cache only frees memory: the injected clock decides whether a ticket is still valid.
        Self(Cache::builder().max_capacity(MAX_UNUSED).time_to_live(TICKET_LIFETIME).build())
    }
}

impl Tickets {
    /// Issues a ticket for the session with this digest.
    pub(crate) fn issue(&self, session: [u8; 32], now: UnixMillis) -> SecretString {
        let ticket = secret::generate(SecretKind::Token);
        self.insert(ticket.expose_secret(), session, now + TICKET_LIFETIME);
        ticket
    }

    /// Uses a ticket up, and returns the digest of its session.
    pub(crate) fn redeem(&self, ticket: &str, now: UnixMillis) -> Option<[u8; 32]> {
        let unused = self.0.remove(&secret::sha256(ticket))?;
        (now < unused.expires_at).then_some(unused.session)
    }

    fn insert(&self, ticket: &str, session: [u8; 32], expires_at: UnixMillis) {
        self.0.insert(secret::sha256(ticket), UnusedTicket { session, expires_at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> UnixMillis {
        UnixMillis::new(millis)
    }

    fn with(ticket: &str, expires_at: UnixMillis) -> Tickets {
        let tickets = Tickets::default();
        tickets.insert(ticket, [7; 32], expires_at);
        tickets
    }

    #[test]
    fn a_ticket_is_valid_once() {
        let tickets = with("prt_x", at(10));
        assert_eq!(tickets.redeem("prt_y", at(0)), None);
        assert_eq!(tickets.redeem("prt_x", at(0)), Some([7; 32]));
        assert_eq!(tickets.redeem("prt_x", at(0)), None);
    }

    #[test]
    fn a_ticket_expires() {
        assert_eq!(with("prt_x", at(10)).redeem("prt_x", at(10)), None);
    }
}
