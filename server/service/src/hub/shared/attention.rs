//! The second look at what other servers, or this one, have changed: connections whose proofs have
//! ended, devices that are connected elsewhere, new notifications, Applications that were stopped.
//!
//! Notes say where to look. After any doubt, such as a lost connection, a server looks everywhere.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use presence_core::model::ApplicationState;
use presence_core::roster::ConnectionNumber;
use presence_core::{Steady, UserId};
use presence_protocol::{AppId, CloseCode};
use presence_store::{Announced, Notes, NotesReader, PENDING_PAGE, StoreError};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::SharedHub;
use super::seats::Seat;
use crate::errors::or_logged;
use crate::mailbox::{Mailbox, PendingDelivery};

/// The time between two questions for what a server was not told.
const POLL: Duration = Duration::from_secs(1);
/// The time between two looks at everything that a server holds.
const FULL_LOOK: Duration = Duration::from_mins(10);
/// The time between two looks at whether changes are seen.
const SIGHT: Duration = Duration::from_millis(250);
/// The maximum number of users that are looked at together.
const USERS: usize = 500;

impl SharedHub {
    /// Listens to the database, forever. A connection that is lost is opened again, and then
    /// everything is looked at.
    pub(super) async fn run_attention(self: &Arc<Self>) {
        let mut reader = NotesReader::default();
        let mut is_first = true;
        loop {
            match self.attend(&mut reader, is_first).await {
                Ok(()) => {}
                Err(error) => {
                    self.store.doubt_credentials();
                    or_logged::<()>("the database is not listened to", Err(error));
                    sleep(POLL).await;
                }
            }
            is_first = false;
        }
    }

    /// Listens until the connection is lost.
    async fn attend(
        self: &Arc<Self>,
        reader: &mut NotesReader,
        is_first: bool,
    ) -> Result<(), StoreError> {
        let mut announcements = self.live.listen().await?;
        if is_first {
            *reader = self.live.notes_reader().await?;
        } else {
            self.look_everywhere().await?;
        }
        self.see(self.clock.steady()).await?;
        let mut asks = interval(POLL);
        asks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // An announcement can be lost while others come all the time. One that is given up for
            // a tick is made good by it.
            let announced = tokio::select! {
                biased;
                _ = asks.tick() => None,
                announced = announcements.next() => Some(announced?),
            };
            let asked = self.clock.steady();
            self.attend_to(announced, reader).await?;
            self.see(asked).await?;
        }
    }

    /// Reads what was announced, or asks for what was not.
    async fn attend_to(
        self: &Arc<Self>,
        announced: Option<Announced>,
        reader: &mut NotesReader,
    ) -> Result<(), StoreError> {
        let Some(announced) = announced else {
            self.deliver_again().await?;
            self.read_notes(reader).await?;
            return self.catch_up_all().await;
        };
        if announced.interrupted {
            return self.look_everywhere().await;
        }
        if announced.notes {
            self.read_notes(reader).await?;
        }
        if announced.all_streams {
            return self.catch_up_all().await;
        }
        self.followed.catch_up(&announced.streams).await
    }

    /// Records that what was announced before `asked` was read: the answer itself may be old. After
    /// some time without an answer everything is looked at, before the sockets know that this
    /// server sees changes again.
    async fn see(self: &Arc<Self>, mut asked: Steady) -> Result<(), StoreError> {
        if self.sight.is_stale() {
            asked = self.clock.steady();
            self.look_everywhere().await?;
        }
        if self.sight.see(asked) {
            tracing::info!("live.sees_again");
            self.followed.topics().iter().for_each(|(_, topic)| topic.set_stale(false));
        }
        Ok(())
    }

    /// Looks everywhere from time to time, though nothing is in doubt, forever.
    pub(super) async fn run_full_looks(self: &Arc<Self>) {
        loop {
            sleep(FULL_LOOK).await;
            or_logged("what this server holds is not looked at", self.look_everywhere().await);
        }
    }

    /// Lets the sockets know when changes are not seen for too long, forever.
    pub(super) async fn run_sight(&self) {
        let mut looks = interval(SIGHT);
        loop {
            looks.tick().await;
            if self.sight.becomes_stale(self.clock.steady()) {
                tracing::warn!("live.stale: the database does not answer");
                self.followed.topics().iter().for_each(|(_, topic)| topic.set_stale(true));
            }
        }
    }

    async fn catch_up_all(&self) -> Result<(), StoreError> {
        let apps: Vec<AppId> = self.followed.topics().iter().map(|(app, _)| *app).collect();
        self.followed.catch_up(&apps).await
    }

    async fn read_notes(self: &Arc<Self>, reader: &mut NotesReader) -> Result<(), StoreError> {
        let now = self.clock.steady();
        let notes = self.live.read_notes(reader).await?;
        self.store.take_in_changes(&notes, now);
        self.look(notes).await
    }

    /// Looks at what notes name.
    async fn look(self: &Arc<Self>, mut notes: Notes) -> Result<(), StoreError> {
        notes.receivers.append(&mut notes.users.clone());
        for users in [&mut notes.users, &mut notes.receivers] {
            users.sort_unstable();
            users.dedup();
        }
        for users in notes.users.chunks(USERS) {
            self.look_at_connections(users).await?;
        }
        for users in notes.receivers.chunks(USERS) {
            self.deliver(users).await?;
        }
        let apps: BTreeSet<AppId> = notes.apps.into_iter().collect();
        for app in apps {
            self.look_at_application(app).await?;
        }
        Ok(())
    }

    /// Looks at everything that this server holds.
    pub(super) async fn look_everywhere(self: &Arc<Self>) -> Result<(), StoreError> {
        self.store.doubt_credentials();
        let apps: Vec<AppId> = self.followed.topics().iter().map(|(app, _)| *app).collect();
        self.followed.catch_up(&apps).await?;
        self.look(Notes { users: self.registry.all_users(), apps, ..Notes::default() }).await
    }

    /// Closes the connections of users whose proofs have ended, or whose devices are connected
    /// elsewhere or were ended.
    pub(super) async fn look_at_connections(&self, users: &[UserId]) -> Result<(), StoreError> {
        let connections = self.registry.confirmed(users);
        if connections.is_empty() {
            return Ok(());
        }
        let users: Vec<UserId> = connections.keys().copied().collect();
        let identity = self.identity();
        let mut rosters = self.live.rosters(&users).await?;
        if !self.live.is_current(identity.epoch.id, identity.node).await? {
            // The live tables were emptied, or this server was declared dead. Its connections are
            // missing until they are put back.
            return Ok(());
        }
        let now = self.clock.now();
        let held = |seat: &Seat| seat.mailbox.held_sessions(now);
        let known: Vec<[u8; 32]> = connections.values().flatten().flat_map(held).collect();
        let existing = self.store.existing_sessions(&known).await?;
        let existing: HashSet<[u8; 32]> = existing.into_iter().collect();
        for (user, seats) in connections {
            let found = rosters.remove(&user);
            for seat in seats.iter().filter(|seat| !seat.is_restoring) {
                if held(seat).iter().any(|digest| !existing.contains(digest))
                    || self.is_outdated(user, seat).await?
                {
                    seat.mailbox.close(CloseCode::NotAuthorised);
                    continue;
                }
                let connection = found.as_ref().map(|(_, roster)| roster);
                let connection = connection.and_then(|roster| roster.connection_of(&seat.device));
                match connection {
                    Some((number, _)) if number == ConnectionNumber(seat.number) => {}
                    // The newer connection may be lost already.
                    Some(_) => seat.mailbox.close(CloseCode::Replaced),
                    None => seat.mailbox.close(CloseCode::EndedByUser),
                }
            }
            if let Some((rev, roster)) = found {
                self.registry.note_roster(user, rev, roster);
            }
        }
        Ok(())
    }

    /// Returns true if a newer generation of the credentials is known.
    async fn is_outdated(&self, user: UserId, seat: &Seat) -> Result<bool, StoreError> {
        let Some(generation) = seat.mailbox.generation() else { return Ok(false) };
        let greatest = self.store.greatest_generation(user, &generation.issuer).await?;
        Ok(greatest > Some(generation.number))
    }

    /// Puts new notifications of users into the mailboxes of their devices.
    async fn deliver(&self, users: &[UserId]) -> Result<(), StoreError> {
        let connections = self.registry.confirmed(users);
        if connections.is_empty() {
            return Ok(());
        }
        let delivering = self.delivering.lock().await;
        let users: Vec<UserId> = connections.keys().copied().collect();
        let now = self.clock.now();
        let mut pending = self.store.pending_of(&users, now).await?;
        for (user, seats) in connections {
            let pending = pending.remove(&user).unwrap_or_default();
            let wanted: BTreeSet<i64> =
                seats.iter().flat_map(|seat| seat.mailbox.unknown_of(&pending)).collect();
            let wanted: Vec<i64> = wanted.into_iter().collect();
            let mut found = HashMap::new();
            for page in wanted.chunks(PENDING_PAGE) {
                let page = self.store.pending_with_live_only(user, page, now).await?;
                found.extend(page.into_iter().map(|it| (it.seq, Arc::new(it))));
            }
            for seat in seats {
                // They are known only once they were read, so that an error loses none.
                let new =
                    seat.mailbox.note_pending(pending.clone(), |seq| found.contains_key(&seq));
                for notification in new.iter().filter_map(|seq| found.get(seq)) {
                    let notification = Arc::clone(notification);
                    seat.mailbox.post(PendingDelivery { notification, resumed: true });
                    self.meters.deliveries.increment(1);
                }
            }
        }
        drop(delivering);
        Ok(())
    }

    /// Records the notifications that a connection has loaded itself. A look that came before it
    /// is made again soon, since it may have been for one that the load did not find.
    pub(in crate::hub) fn note_own_load(&self, user: UserId, mailbox: &Mailbox, seqs: Vec<i64>) {
        if mailbox.note_own_load(seqs) {
            self.unlooked.lock().unwrap_or_else(PoisonError::into_inner).insert(user);
        }
    }

    /// Looks again at the notifications of users whose connections had not loaded them at the last
    /// look.
    async fn deliver_again(&self) -> Result<(), StoreError> {
        let users =
            std::mem::take(&mut *self.unlooked.lock().unwrap_or_else(PoisonError::into_inner));
        let users: Vec<UserId> = users.into_iter().collect();
        for users in users.chunks(USERS) {
            self.deliver(users).await?;
        }
        Ok(())
    }

    /// Closes the sockets of an Application that is not active, and those of deleted keys.
    async fn look_at_application(&self, app: AppId) -> Result<(), StoreError> {
        let Some(topic) = self.followed.find(app) else { return Ok(()) };
        let found = self.store.app(app).await?;
        if found.is_none_or(|app| app.state != ApplicationState::Active) {
            topic.close(None, CloseCode::ApplicationClosed);
            return Ok(());
        }
        let keys: HashSet<i64> =
            self.store.keys_of(app).await?.into_iter().map(|key| key.id).collect();
        for key in topic.keys() {
            if !keys.contains(&key) {
                topic.close(Some(key), CloseCode::ApplicationClosed);
            }
        }
        Ok(())
    }
}
