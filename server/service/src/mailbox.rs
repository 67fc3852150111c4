//! The notifications to be written to one device connection.

mod proofs;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use presence_core::{CredentialGeneration, Notification, UnixMillis};
use presence_protocol::CloseCode;

pub(crate) use self::proofs::Admissions;
use self::proofs::MailboxProofs;
use crate::socket_waker::SocketWaker;

/// A notification to be delivered to the devices of its user.
#[derive(Debug, Clone)]
pub struct PendingDelivery {
    /// The notification.
    pub notification: Arc<Notification>,
    /// Set if its grant was paused, so that later notifications may have been accepted before.
    pub resumed: bool,
}

/// The mailbox of one device connection. A full one closes its connection: the notifications are
/// still in the queue of the user, and are delivered after the reconnect.
#[derive(Debug)]
pub struct Mailbox {
    waker: Arc<SocketWaker>,
    /// The digest of the proof that opened the connection. Its session ends the connection too.
    session: [u8; 32],
    proofs: Mutex<MailboxProofs>,
    deliveries: Mutex<VecDeque<PendingDelivery>>,
    /// The pending notifications that were loaded, where several servers share presence.
    loaded: Mutex<Loaded>,
}

/// The pending notifications that were loaded for a connection.
#[derive(Debug)]
enum Loaded {
    /// The connection itself has not loaded them yet. Set if there was a look meanwhile, which may
    /// have found ones that the load does not.
    NotYet { was_looked_at: bool },
    /// The `seq` of each, in ascending order.
    All(Vec<i64>),
}

impl Default for Loaded {
    fn default() -> Self {
        Self::NotYet { was_looked_at: false }
    }
}

impl Mailbox {
    /// The maximum number of notifications.
    pub const CAPACITY: usize = 1_000;

    /// Creates the empty mailbox of a connection. `session` is the digest of its proof.
    pub fn new(waker: Arc<SocketWaker>, session: [u8; 32]) -> Self {
        Self {
            waker,
            session,
            proofs: Mutex::default(),
            deliveries: Mutex::default(),
            loaded: Mutex::default(),
        }
    }

    /// Sets the generation of the newest proof.
    pub fn set_generation(&self, generation: &CredentialGeneration) {
        self.proofs().others_mut().generation = Some(generation.clone());
    }

    /// Expects a proof with this generation, before the generation is recorded: who sees the
    /// recorded one must not take the connection for an outdated one.
    pub(crate) fn expect_generation(&self, generation: &CredentialGeneration) {
        self.proofs().others_mut().expected = Some(generation.clone());
    }

    /// Ends the expectation. If the generation was recorded, it is that of the newest proof.
    pub(crate) fn end_expectation(&self, is_recorded: bool) {
        let mut proofs = self.proofs();
        let others = proofs.others_mut();
        let expected = others.expected.take();
        if is_recorded {
            others.generation = expected.or(others.generation.take());
        }
    }

    /// Records that the connection was renewed with a further proof.
    pub fn renew(&self, session: [u8; 32]) {
        let earlier = {
            let mut proofs = self.proofs();
            let others = proofs.others_mut();
            others.last_session_until = None;
            others.digest.replace(session)
        };
        if let Some(earlier) = earlier {
            self.admit(&Admissions(vec![earlier]));
        }
    }

    /// Records further sessions that let the device in.
    pub fn admit(&self, admissions: &Admissions) {
        if !admissions.0.is_empty() && admissions.0 != [self.session] {
            self.proofs().others_mut().earlier.add(&admissions.0);
        }
    }

    /// Records that the proof with this digest is a session, and its end.
    pub(crate) fn mark_session(&self, digest: &[u8; 32], until: UnixMillis) {
        let mut proofs = self.proofs();
        if self.session == *digest {
            proofs.first_session_until = Some(until);
        }
        if let Some(others) = &mut proofs.others
            && others.digest.as_ref() == Some(digest)
        {
            others.last_session_until = Some(until);
        }
    }

    /// Returns the digests of the sessions that hold the connection open and have not expired: a
    /// sign-out ends one of them before its time.
    pub(crate) fn held_sessions(&self, now: UnixMillis) -> Vec<[u8; 32]> {
        let proofs = self.proofs();
        let is_valid = |until: Option<UnixMillis>| until.is_some_and(|until| until > now);
        let first = is_valid(proofs.first_session_until).then_some(self.session);
        let last = proofs.others.as_ref().filter(|others| is_valid(others.last_session_until));
        first.into_iter().chain(last.and_then(|others| others.digest)).collect()
    }

    /// Returns the sessions that let the device in.
    pub fn admissions(&self) -> Admissions {
        let proofs = self.proofs();
        let mut all = proofs.others.as_ref().map(|it| it.earlier.clone()).unwrap_or_default();
        all.add(proofs.renewed_by().as_slice());
        all.add(&[self.session]);
        all
    }

    /// Adds a notification.
    pub fn post(&self, delivery: PendingDelivery) {
        let fits = self.with(|deliveries| {
            let fits = deliveries.len() < Self::CAPACITY;
            if fits {
                deliveries.push_back(delivery);
            }
            fits
        });
        if fits {
            self.waker.wake();
        } else {
            self.waker.close(CloseCode::TooSlowOrTooFast);
        }
    }

    /// Takes the oldest notifications, at most `limit`.
    pub fn take(&self, limit: usize) -> Vec<Arc<Notification>> {
        self.with(|deliveries| {
            let count = deliveries.len().min(limit);
            deliveries.drain(..count).map(|item| item.notification).collect()
        })
    }

    /// Removes those that a load has found, too: `loaded` are the `seq` of all pending ones up to
    /// the sequence number `up_to`, in ascending order.
    pub fn remove_loaded(&self, loaded: &[i64], up_to: i64) {
        self.with(|deliveries| {
            deliveries.retain(|item| {
                let seq = item.notification.seq;
                seq > up_to || (item.resumed && loaded.binary_search(&seq).is_err())
            });
        });
    }

    /// Removes those that were sent already: a resumed grant delivers its queue again. `sent` are
    /// their `seq` in ascending order.
    pub fn remove_sent(&self, sent: &[i64]) {
        self.with(|deliveries| {
            deliveries.retain(|item| sent.binary_search(&item.notification.seq).is_err());
        });
    }

    /// Returns those of the pending notifications, by their `seq`, that no load has found before;
    /// none before the first load of the connection itself.
    pub(crate) fn unknown_of(&self, pending: &[i64]) -> Vec<i64> {
        match &mut *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) {
            Loaded::NotYet { was_looked_at } => {
                *was_looked_at = true;
                Vec::new()
            }
            Loaded::All(known) => {
                let is_unknown = |seq: &i64| known.binary_search(seq).is_err();
                pending.iter().copied().filter(is_unknown).collect()
            }
        }
    }

    /// Records the `seq` of each pending notification, in ascending order, of which those in
    /// `found` were read. Returns those that are to be posted. Those that are neither known nor
    /// found stay unknown, so that another look finds them.
    pub(crate) fn note_pending(
        &self,
        mut pending: Vec<i64>,
        found: impl Fn(i64) -> bool,
    ) -> Vec<i64> {
        match &mut *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) {
            Loaded::NotYet { was_looked_at } => {
                *was_looked_at = true;
                Vec::new()
            }
            Loaded::All(known) => {
                let is_known = |seq: &i64| known.binary_search(seq).is_ok();
                let new = pending.iter().copied().filter(|seq| !is_known(seq) && found(*seq));
                let new: Vec<i64> = new.collect();
                pending.retain(|seq| is_known(seq) || found(*seq));
                *known = pending;
                new
            }
        }
    }

    /// Records the `seq` of each pending notification, in ascending order, that the connection has
    /// loaded itself. Returns true if another look is needed.
    pub(crate) fn note_own_load(&self, pending: Vec<i64>) -> bool {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *loaded, Loaded::All(pending));
        matches!(before, Loaded::NotYet { was_looked_at: true })
    }

    /// Returns the number of notifications.
    pub fn depth(&self) -> usize {
        self.with(|deliveries| deliveries.len())
    }

    /// Closes the connection.
    pub fn close(&self, code: CloseCode) {
        self.waker.close(code);
    }

    /// Returns true if the proof with this digest opened the connection or renewed it last.
    pub fn depends_on_session(&self, digest: &[u8; 32]) -> bool {
        self.session == *digest || self.proofs().renewed_by() == Some(*digest)
    }

    /// Returns the digests of the proofs that opened the connection and renewed it last.
    pub fn sessions(&self) -> impl Iterator<Item = [u8; 32]> + use<> {
        std::iter::once(self.session).chain(self.proofs().renewed_by())
    }

    /// Returns the generation of the newest proof, if its issuer counts them. A newer one that is
    /// expected counts already.
    pub(crate) fn generation(&self) -> Option<CredentialGeneration> {
        let proofs = self.proofs();
        let others = proofs.others.as_ref()?;
        let own = others.generation.as_ref()?;
        let expected = others.expected.as_ref().filter(|new| own.is_older_than(new));
        Some(expected.unwrap_or(own).clone())
    }

    /// Returns true if the newest proof has an older generation.
    pub fn has_older_generation_than(&self, generation: &CredentialGeneration) -> bool {
        let proofs = self.proofs();
        let own = proofs.others.as_ref().and_then(|others| others.generation.as_ref());
        own.is_some_and(|own| own.is_older_than(generation))
    }

    fn proofs(&self) -> MutexGuard<'_, MailboxProofs> {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, work: impl FnOnce(&mut VecDeque<PendingDelivery>) -> T) -> T {
        work(&mut self.deliveries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use presence_core::{UnixMillis, UserId};
    use presence_protocol::{AppId, NotificationId, Puid};

    use super::*;

    fn delivery(seq: i64, resumed: bool) -> PendingDelivery {
        let notification = Arc::new(Notification {
            seq,
            id: NotificationId::from_bits(seq.unsigned_abs().into()),
            app: AppId::from_bits(1),
            source: "App".into(),
            application: "App".into(),
            domain: "app.example".into(),
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
        let waker = Arc::new(SocketWaker::default());
        let mailbox = Mailbox::new(Arc::clone(&waker), [0; 32]);
        for _ in 0..Mailbox::CAPACITY {
            mailbox.post(delivery(1, false));
        }
        assert_eq!(waker.closing(), None);
        mailbox.post(delivery(1, false));
        assert_eq!(waker.closing(), Some(CloseCode::TooSlowOrTooFast));
        assert_eq!(mailbox.take(usize::MAX).len(), Mailbox::CAPACITY);
    }

    #[test]
    fn a_connection_depends_on_the_session_that_opened_it_and_on_the_one_that_renewed_it_last() {
        let mailbox = Mailbox::new(Arc::default(), [1; 32]);
        mailbox.renew([2; 32]);
        mailbox.renew([3; 32]);
        let of = [1, 2, 3].map(|n| mailbox.depends_on_session(&[n; 32]));
        assert_eq!(of, [true, false, true]);
    }

    #[test]
    fn a_connection_remembers_all_that_let_its_device_in() {
        let (first, second) = ([1; 32], [2; 32]);
        let earlier = Mailbox::new(Arc::default(), first);
        let mailbox = Mailbox::new(Arc::default(), second);
        mailbox.renew([3; 32]);
        mailbox.renew([4; 32]);
        mailbox.admit(&earlier.admissions());
        let mut admissions = mailbox.admissions();
        admissions.0.sort_unstable();
        assert_eq!(admissions.0, [first, second, [3; 32], [4; 32]]);
        (0..100).for_each(|n| mailbox.renew([n; 32]));
        let last = mailbox.admissions().0;
        assert!(
            last.len() <= proofs::MAX_EARLIER && last.contains(&second) && last.contains(&[99; 32])
        );
    }

    #[test]
    fn a_connection_is_older_than_a_newer_generation_of_the_same_issuer() {
        let of = |issuer: &str, number| CredentialGeneration { issuer: issuer.into(), number };
        let mailbox = Mailbox::new(Arc::default(), [1; 32]);
        assert!(!mailbox.has_older_generation_than(&of("idp.example", 9)));
        mailbox.set_generation(&of("idp.example", 5));
        assert!(mailbox.has_older_generation_than(&of("idp.example", 6)));
        assert!(!mailbox.has_older_generation_than(&of("idp.example", 5)));
        assert!(!mailbox.has_older_generation_than(&of("other.example", 6)));
    }

    #[test]
    fn an_expected_generation_counts_until_it_was_not_recorded() {
        let of = |issuer: &str, number| CredentialGeneration { issuer: issuer.into(), number };
        let mailbox = Mailbox::new(Arc::default(), [1; 32]);
        mailbox.set_generation(&of("idp.example", 5));
        // One of another issuer says nothing, and a smaller one will be refused.
        for other in [of("other.example", 9), of("idp.example", 4)] {
            mailbox.expect_generation(&other);
            assert_eq!(mailbox.generation(), Some(of("idp.example", 5)));
        }
        mailbox.expect_generation(&of("idp.example", 6));
        assert_eq!(mailbox.generation(), Some(of("idp.example", 6)));
        mailbox.end_expectation(false);
        assert_eq!(mailbox.generation(), Some(of("idp.example", 5)));
        mailbox.expect_generation(&of("idp.example", 6));
        mailbox.end_expectation(true);
        assert_eq!(mailbox.generation(), Some(of("idp.example", 6)));
    }

    #[test]
    fn a_look_before_the_load_of_the_connection_is_to_be_made_again() {
        let mailbox = Mailbox::new(Arc::default(), [0; 32]);
        assert!(mailbox.unknown_of(&[7]).is_empty());
        assert!(mailbox.note_own_load(vec![1]), "the load may not have found 7");
        assert_eq!(mailbox.unknown_of(&[1, 7]), [7]);
        assert!(!Mailbox::new(Arc::default(), [0; 32]).note_own_load(vec![1]));
    }

    #[test]
    fn a_notification_is_known_once_it_was_read_and_stays_unknown_after_an_error() {
        let mailbox = Mailbox::new(Arc::default(), [0; 32]);
        mailbox.note_own_load(vec![1, 2]);
        // The notifications that were found could not be read.
        assert_eq!(mailbox.unknown_of(&[2, 3, 4]), [3, 4]);
        assert_eq!(mailbox.unknown_of(&[2, 3, 4]), [3, 4]);
        assert_eq!(mailbox.note_pending(vec![2, 3, 4], |seq| seq == 3), [3]);
        assert_eq!(mailbox.unknown_of(&[2, 3, 4]), [4]);
        assert_eq!(mailbox.note_pending(vec![2, 3, 4], |_| true), [4], "3 is posted once");
    }

    #[test]
    fn loaded_notifications_are_not_taken_twice_and_resumed_ones_are_not_lost() {
        let mailbox = Mailbox::new(Arc::default(), [0; 32]);
        for (seq, resumed) in [(1, false), (2, true), (3, true), (6, false)] {
            mailbox.post(delivery(seq, resumed));
        }
        mailbox.remove_loaded(&[3], 5);
        let left: Vec<_> = mailbox.take(usize::MAX).iter().map(|item| item.seq).collect();
        assert_eq!(left, [2, 6]);
    }

    #[test]
    fn the_oldest_are_taken_first_and_those_that_were_sent_are_not_taken() {
        let mailbox = Mailbox::new(Arc::default(), [0; 32]);
        for seq in 1..=5 {
            mailbox.post(delivery(seq, true));
        }
        mailbox.remove_sent(&[2, 4]);
        let seqs = |taken: Vec<Arc<Notification>>| -> Vec<i64> {
            taken.iter().map(|item| item.seq).collect()
        };
        assert_eq!((seqs(mailbox.take(2)), seqs(mailbox.take(2))), (vec![1, 3], vec![5]));
    }
}
