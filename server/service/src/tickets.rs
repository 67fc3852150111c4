//! Tickets: what a page of a signed-in user opens a device's socket with. Its scripts cannot read the session's cookie, and a
//! socket must not be opened by one. A ticket is good once, for a minute, for a socket only; the socket ends with the session.

use std::time::Duration;

use moka::sync::Cache;
use presence_core::UnixMillis;
use secrecy::{ExposeSecret, SecretString};

use crate::secret::{self, Kind};
use crate::service::PresenceService;
use crate::sessions::AuthenticatedUser;

/// The time in which a ticket can be used.
pub const TICKET_LIFETIME: Duration = Duration::from_mins(1);
/// How many unused tickets are remembered.
const REMEMBERED: u64 = 100_000;

/// A ticket that nobody has used.
#[derive(Clone)]
struct Unused {
    session: [u8; 32],
    ends_at: UnixMillis,
}

/// The tickets that nobody has used, by digest.
pub(crate) struct Tickets(Cache<[u8; 32], Unused>);

impl Default for Tickets {
    fn default() -> Self {
        // Only frees memory: whether a ticket is still good is decided by the injected clock.
        Self(Cache::builder().max_capacity(REMEMBERED).time_to_live(TICKET_LIFETIME).build())
    }
}

impl Tickets {
    /// The session of a ticket, which is used up by this.
    pub(crate) fn redeem(&self, ticket: &str, now: UnixMillis) -> Option<[u8; 32]> {
        let unused = self.0.remove(&secret::sha256(ticket))?;
        (now < unused.ends_at).then_some(unused.session)
    }
}

impl PresenceService {
    /// A ticket for a socket of a signed-in user.
    pub fn ticket(&self, caller: &AuthenticatedUser) -> SecretString {
        let ticket = secret::mint(Kind::Token);
        let unused = Unused { session: caller.digest, ends_at: self.now() + TICKET_LIFETIME };
        self.tickets.0.insert(secret::sha256(ticket.expose_secret()), unused);
        ticket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> UnixMillis {
        UnixMillis::new(millis)
    }

    fn with(ticket: &str, ends_at: UnixMillis) -> Tickets {
        let tickets = Tickets::default();
        tickets.0.insert(secret::sha256(ticket), Unused { session: [7; 32], ends_at });
        tickets
    }

    #[test]
    fn a_ticket_is_good_once() {
        let tickets = with("prt_x", at(10));
        assert_eq!(tickets.redeem("prt_y", at(0)), None);
        assert_eq!(tickets.redeem("prt_x", at(0)), Some([7; 32]));
        assert_eq!(tickets.redeem("prt_x", at(0)), None);
    }

    #[test]
    fn a_ticket_is_no_good_after_its_time() {
        assert_eq!(with("prt_x", at(10)).redeem("prt_x", at(10)), None);
    }
}
