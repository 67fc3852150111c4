//! What waits to be written to one device connection.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use presence_core::{CredentialGeneration, Notification};
use presence_protocol::CloseCode;

use crate::socket_waker::SocketWaker;

/// A notification in a mailbox.
#[derive(Debug, Clone)]
pub struct PendingDelivery {
    /// The notification.
    pub notification: Arc<Notification>,
    /// Whether it had waited for a paused grant, and so may be older than what was accepted last.
    pub resumed: bool,
}

/// The mailbox of one device connection. A full one closes its connection: what it held is still in the queue of the user, and
/// comes again after the reconnect.
#[derive(Debug)]
pub struct Mailbox {
    bell: Arc<SocketWaker>,
    /// What the connection was opened with, so that the end of a session ends it too.
    session: [u8; 32],
    proof: Mutex<Proof>,
    waiting: Mutex<VecDeque<PendingDelivery>>,
}

/// What else holds a connection open. Boxed, since most connections have neither.
#[derive(Debug, Default)]
struct Proof {
    /// What renewed it last.
    renewed: Option<Box<[u8; 32]>>,
    /// The generation of the newest proof, where its issuer counts them.
    generation: Option<Box<CredentialGeneration>>,
}

impl Mailbox {
    /// The most notifications.
    pub const CAPACITY: usize = 1_000;

    /// An empty mailbox of a connection that was opened with this proof.
    pub fn new(bell: Arc<SocketWaker>, session: [u8; 32]) -> Self {
        Self { bell, session, proof: Mutex::default(), waiting: Mutex::new(VecDeque::new()) }
    }

    /// The connection is held open by a proof of this generation.
    pub fn set_generation(&self, generation: &CredentialGeneration) {
        self.proof().generation = Some(Box::new(generation.clone()));
    }

    /// The connection was renewed with a further proof.
    pub fn renew(&self, session: [u8; 32]) {
        self.proof().renewed = Some(Box::new(session));
    }

    /// Puts a notification in.
    pub fn post(&self, posted: PendingDelivery) {
        let fits = self.with(|waiting| {
            let fits = waiting.len() < Self::CAPACITY;
            if fits {
                waiting.push_back(posted);
            }
            fits
        });
        if fits {
            self.bell.wake();
        } else {
            self.bell.close(CloseCode::TooSlowOrTooFast);
        }
    }

    /// Takes everything out.
    pub fn take(&self) -> Vec<Arc<Notification>> {
        self.with(|waiting| waiting.drain(..).map(|posted| posted.notification).collect())
    }

    /// Takes everything out that is not among what was `loaded`, which reflects all that was accepted up to a place.
    pub fn take_beside(&self, loaded: &[Notification], up_to: i64) -> Vec<Arc<Notification>> {
        let is_new = |posted: &PendingDelivery| {
            let loaded = || loaded.iter().any(|item| item.id == posted.notification.id);
            posted.notification.seq > up_to || (posted.resumed && !loaded())
        };
        self.with(|waiting| {
            waiting.drain(..).filter(is_new).map(|posted| posted.notification).collect()
        })
    }

    /// How many wait.
    pub fn depth(&self) -> usize {
        self.with(|waiting| waiting.len())
    }

    /// Has the connection closed.
    pub fn close(&self, code: CloseCode) {
        self.bell.close(code);
    }

    /// Whether the connection was opened, or renewed last, with this proof.
    pub fn is_of_session(&self, digest: &[u8; 32]) -> bool {
        self.session == *digest || self.proof().renewed.as_deref() == Some(digest)
    }

    /// Whether the connection is held open by a proof of an older generation.
    pub fn is_older_than(&self, generation: &CredentialGeneration) -> bool {
        self.proof().generation.as_ref().is_some_and(|own| own.is_older_than(generation))
    }

    fn proof(&self) -> MutexGuard<'_, Proof> {
        self.proof.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, work: impl FnOnce(&mut VecDeque<PendingDelivery>) -> T) -> T {
        work(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use presence_core::{UnixMillis, UserId};
    use presence_protocol::{AppId, NotificationId, Puid};

    use super::*;

    fn posted(seq: i64, resumed: bool) -> PendingDelivery {
        let notification = Arc::new(Notification {
            seq,
            id: NotificationId::from_bits(seq.unsigned_abs().into()),
            app: AppId::from_bits(1),
            source: "App".into(),
            puid: Puid::from_bits(1),
            user: UserId(1),
            message: "m".into(),
            action: "".into(),
            sent_at: UnixMillis::new(0),
            expires_at: UnixMillis::new(1),
        });
        PendingDelivery { notification, resumed }
    }

    #[test]
    fn a_full_mailbox_closes_its_connection_instead_of_growing() {
        let bell = Arc::new(SocketWaker::default());
        let mailbox = Mailbox::new(Arc::clone(&bell), [0; 32]);
        for _ in 0..Mailbox::CAPACITY {
            mailbox.post(posted(1, false));
        }
        assert_eq!(bell.closing(), None);
        mailbox.post(posted(1, false));
        assert_eq!(bell.closing(), Some(CloseCode::TooSlowOrTooFast));
        assert_eq!(mailbox.take().len(), Mailbox::CAPACITY);
    }

    #[test]
    fn a_connection_belongs_to_what_opened_it_and_to_what_renewed_it_last() {
        let mailbox = Mailbox::new(Arc::default(), [1; 32]);
        mailbox.renew([2; 32]);
        mailbox.renew([3; 32]);
        let of = [1, 2, 3].map(|n| mailbox.is_of_session(&[n; 32]));
        assert_eq!(of, [true, false, true]);
    }

    #[test]
    fn a_connection_is_older_than_a_greater_generation_of_the_same_issuer() {
        let of = |issuer: &str, number| CredentialGeneration { issuer: issuer.into(), number };
        let mailbox = Mailbox::new(Arc::default(), [1; 32]);
        assert!(!mailbox.is_older_than(&of("idp.example", 9)));
        mailbox.set_generation(&of("idp.example", 5));
        assert!(mailbox.is_older_than(&of("idp.example", 6)));
        assert!(!mailbox.is_older_than(&of("idp.example", 5)));
        assert!(!mailbox.is_older_than(&of("other.example", 6)));
    }

    #[test]
    fn what_was_loaded_is_not_taken_twice_and_what_was_resumed_is_not_lost() {
        let mailbox = Mailbox::new(Arc::default(), [0; 32]);
        for (seq, resumed) in [(1, false), (2, true), (3, true), (6, false)] {
            mailbox.post(posted(seq, resumed));
        }
        let loaded = [Notification::clone(&posted(3, false).notification)];
        let left: Vec<_> = mailbox.take_beside(&loaded, 5).iter().map(|item| item.seq).collect();
        assert_eq!(left, [2, 6]);
    }
}
