//! The events of an AppService that wait until the application pulls them. Their number is bounded
//! by the number of users, not by the rate of changes.

use std::collections::{HashMap, VecDeque};

use presence_protocol::Puid;
use presence_protocol::app::client::StreamFrame;
use presence_protocol::open::{OpenPresence, OpenReceipt};

use super::event::{AppServiceEvent, Receipts, Snapshot, Updates};
use crate::channel::Pulled;
use crate::counters::ChannelCounters;
use crate::state::ConnectionState;

/// The maximum number of receipts that wait for the application. Beyond it the oldest ones are
/// dropped and counted.
const MAX_RECEIPTS: usize = 100_000;

/// The queue of events: at most one state, one snapshot, one update of each user and a bounded
/// number of receipts.
#[derive(Debug, Default)]
pub(super) struct AppServiceEventQueue {
    state: Option<ConnectionState>,
    /// The pages of a snapshot that is not complete yet.
    partial_snapshot: Option<Snapshot>,
    snapshot: Option<Snapshot>,
    updates: HashMap<Puid, OpenPresence>,
    order: VecDeque<Puid>,
    receipts: VecDeque<OpenReceipt>,
    receipts_lost: u64,
    /// The receipts that were dropped and the updates that were replaced, since the start.
    receipts_dropped: u64,
    updates_merged: u64,
    /// The cursor of the last frame that arrived.
    cursor: Option<String>,
    /// Set while the server cannot see changes.
    is_stale: bool,
    /// Set if the application was told so.
    told_stale: bool,
    ended: bool,
}

impl AppServiceEventQueue {
    pub(super) fn new(state: ConnectionState, cursor: Option<String>) -> Self {
        Self { state: Some(state), cursor, ..Self::default() }
    }

    /// Returns the cursor at which the next connection resumes.
    pub(super) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Sets the counters of the queue.
    pub(super) fn fill_counters(&self, counters: &mut ChannelCounters) {
        counters.receipts_dropped = self.receipts_dropped;
        counters.updates_merged = self.updates_merged;
    }

    pub(super) fn set_state(&mut self, state: ConnectionState) {
        self.state = Some(state);
    }

    /// Discards what a lost socket has begun: a snapshot that is not complete, and that its server
    /// could not see changes.
    pub(super) fn forget_socket(&mut self) {
        (self.partial_snapshot, self.is_stale) = (None, false);
    }

    /// Records whether the server cannot see changes.
    pub(super) fn set_stale(&mut self, is_stale: bool) {
        self.is_stale = is_stale;
    }

    pub(super) fn add(&mut self, frame: StreamFrame) {
        self.add_receipts(frame.receipts.items);
        if frame.snapshot || frame.gap {
            self.add_page(frame.gap, frame.presence.items, frame.cursor, frame.more);
            return;
        }
        for update in frame.presence.items {
            self.add_update(update);
        }
        if frame.cursor.is_some() {
            self.cursor = frame.cursor;
        }
    }

    fn add_page(
        &mut self,
        gap: bool,
        presence: Vec<OpenPresence>,
        cursor: Option<String>,
        more: bool,
    ) {
        let mut snapshot = self.partial_snapshot.take().unwrap_or_default();
        snapshot.gap |= gap;
        snapshot.presence.extend(presence);
        if more {
            self.partial_snapshot = Some(snapshot);
            return;
        }
        // A gap that the application has not pulled yet is kept.
        snapshot.gap |= self.snapshot.as_ref().is_some_and(|earlier| earlier.gap);
        snapshot.cursor.clone_from(&cursor);
        self.cursor = cursor.or(self.cursor.take());
        // The snapshot replaces all updates that wait.
        self.updates_merged += self.updates.len() as u64;
        self.updates.clear();
        self.order.clear();
        self.snapshot = Some(snapshot);
    }

    fn add_update(&mut self, update: OpenPresence) {
        let uid = update.uid;
        let known = self.updates.get(&uid).map(|earlier| earlier.version);
        if known.is_some_and(|version| version >= update.version) {
            return;
        }
        if self.updates.insert(uid, update).is_none() {
            self.order.push_back(uid);
        } else {
            self.updates_merged += 1;
        }
    }

    fn add_receipts(&mut self, receipts: Vec<OpenReceipt>) {
        self.receipts.extend(receipts);
        let excess = self.receipts.len().saturating_sub(MAX_RECEIPTS);
        self.receipts.drain(..excess);
        self.receipts_lost += excess as u64;
        self.receipts_dropped += excess as u64;
    }

    /// Takes the next event. The end of the channel comes after all other events.
    pub(super) fn pull(&mut self) -> Option<Pulled<AppServiceEvent>> {
        if self.ended {
            return Some(Pulled::End);
        }
        let is_end = matches!(self.state, Some(ConnectionState::Ended(_)));
        if !is_end && let Some(state) = self.state.take() {
            return Some(Pulled::Event(AppServiceEvent::State(state)));
        }
        if self.is_stale && !self.told_stale {
            return Some(self.tell_stale());
        }
        if let Some(snapshot) = self.snapshot.take() {
            return Some(Pulled::Event(AppServiceEvent::Snapshot(snapshot)));
        }
        if !self.order.is_empty() {
            let mut updates = std::mem::take(&mut self.updates);
            let presence = self.order.drain(..).filter_map(|uid| updates.remove(&uid)).collect();
            let updates = Updates { presence, cursor: self.cursor.clone() };
            return Some(Pulled::Event(AppServiceEvent::Updates(updates)));
        }
        if !self.receipts.is_empty() {
            let receipts = std::mem::take(&mut self.receipts).into();
            let lost = std::mem::take(&mut self.receipts_lost);
            return Some(Pulled::Event(AppServiceEvent::Receipts(Receipts { receipts, lost })));
        }
        if self.is_stale != self.told_stale {
            return Some(self.tell_stale());
        }
        self.ended = is_end;
        self.state.take().map(|end| Pulled::Event(AppServiceEvent::State(end)))
    }

    fn tell_stale(&mut self) -> Pulled<AppServiceEvent> {
        self.told_stale = self.is_stale;
        Pulled::Event(AppServiceEvent::Stale(self.is_stale))
    }
}

#[cfg(test)]
mod tests {
    use presence_protocol::open::{OpenList, OpenReceiptState, OpenStatus};
    use presence_protocol::{NotificationId, UnixMillis};

    use super::*;
    use crate::end_reason::EndReason;

    fn presence(uid: u128, version: u64) -> OpenPresence {
        OpenPresence {
            uid: Puid::from_bits(uid),
            status: OpenStatus::Online,
            cause: None,
            version,
            since: UnixMillis::default(),
            message: None,
            revoked: false,
        }
    }

    fn frame(presence: Vec<OpenPresence>, cursor: &str) -> StreamFrame {
        let presence = OpenList { items: presence, skipped: 0 };
        StreamFrame { presence, cursor: Some(cursor.to_owned()), ..StreamFrame::default() }
    }

    fn page(presence: Vec<OpenPresence>, more: bool) -> StreamFrame {
        let presence = OpenList { items: presence, skipped: 0 };
        let cursor = (!more).then(|| "snapshot".to_owned());
        StreamFrame { snapshot: true, presence, more, cursor, ..StreamFrame::default() }
    }

    fn queue() -> AppServiceEventQueue {
        let mut queue = AppServiceEventQueue::new(ConnectionState::Connected, None);
        assert!(matches!(queue.pull(), Some(Pulled::Event(AppServiceEvent::State(_)))));
        queue
    }

    fn updates(queue: &mut AppServiceEventQueue) -> Updates {
        match queue.pull() {
            Some(Pulled::Event(AppServiceEvent::Updates(updates))) => updates,
            other => panic!("no updates but {other:?}"),
        }
    }

    fn snapshot(queue: &mut AppServiceEventQueue) -> Snapshot {
        match queue.pull() {
            Some(Pulled::Event(AppServiceEvent::Snapshot(snapshot))) => snapshot,
            other => panic!("no snapshot but {other:?}"),
        }
    }

    #[test]
    fn a_slow_application_gets_only_the_newest_update_of_each_user() {
        let mut queue = queue();
        for version in 1..=10_000 {
            queue.add(frame(vec![presence(1, version), presence(2, version)], "c"));
        }
        let updates = updates(&mut queue);
        assert_eq!(updates.presence, [presence(1, 10_000), presence(2, 10_000)]);
        assert_eq!((updates.cursor.as_deref(), queue.pull()), (Some("c"), None));
    }

    #[test]
    fn a_server_that_cannot_see_is_told_before_and_one_that_can_after_the_updates() {
        let mut queue = queue();
        queue.add(frame(vec![presence(1, 5)], "a"));
        queue.set_stale(true);
        let stale = |is_stale| Some(Pulled::Event(AppServiceEvent::Stale(is_stale)));
        assert_eq!(queue.pull(), stale(true));
        queue.set_stale(false);
        assert_eq!(updates(&mut queue).presence, [presence(1, 5)]);
        assert_eq!((queue.pull(), queue.pull()), (stale(false), None));
        queue.set_stale(true);
        queue.set_stale(false);
        assert_eq!(queue.pull(), None, "what is over is not told");
        queue.set_stale(true);
        assert_eq!(queue.pull(), stale(true));
        queue.forget_socket();
        assert_eq!((queue.pull(), queue.pull()), (stale(false), None));
    }

    #[test]
    fn an_older_version_never_replaces_a_newer_one() {
        let mut queue = queue();
        queue.add(frame(vec![presence(1, 5)], "a"));
        queue.add(frame(vec![presence(1, 4)], "b"));
        assert_eq!(updates(&mut queue).presence, [presence(1, 5)]);
    }

    #[test]
    fn a_snapshot_is_delivered_whole_and_replaces_the_updates_that_wait() {
        let mut queue = queue();
        queue.add(frame(vec![presence(9, 1)], "a"));
        queue.add(page(vec![presence(1, 2)], true));
        assert_eq!(queue.cursor(), Some("a"));
        queue.add(page(vec![presence(2, 2)], false));
        let whole = snapshot(&mut queue);
        assert_eq!(whole.presence, [presence(1, 2), presence(2, 2)]);
        assert_eq!((whole.gap, queue.pull()), (false, None));
        assert_eq!(queue.cursor(), Some("snapshot"));
    }

    #[test]
    fn a_partial_snapshot_is_discarded_with_its_socket_and_the_cursor_is_kept() {
        let mut queue = queue();
        queue.add(frame(vec![], "a"));
        queue.add(page(vec![presence(1, 2)], true));
        queue.forget_socket();
        assert_eq!((queue.pull(), queue.cursor()), (None, Some("a")));
        queue.add(page(vec![presence(2, 2)], false));
        assert_eq!(snapshot(&mut queue).presence, [presence(2, 2)]);
    }

    #[test]
    fn a_gap_is_reported_even_if_a_second_snapshot_replaces_the_first() {
        let mut queue = queue();
        queue.add(StreamFrame { gap: true, ..page(vec![], false) });
        queue.add(page(vec![presence(1, 1)], false));
        let whole = snapshot(&mut queue);
        assert!(whole.gap && whole.presence == [presence(1, 1)]);
    }

    #[test]
    fn receipts_are_kept_in_order_up_to_a_bound_and_lost_ones_are_counted() {
        let mut queue = queue();
        let receipt = |id| OpenReceipt {
            id: NotificationId::from_bits(id),
            uid: Puid::from_bits(1),
            state: OpenReceiptState::Acked,
        };
        let items = (0..MAX_RECEIPTS as u128 + 7).map(receipt).collect();
        let receipts = OpenList { items, skipped: 0 };
        queue.add(StreamFrame { receipts, ..StreamFrame::default() });
        let Some(Pulled::Event(AppServiceEvent::Receipts(receipts))) = queue.pull() else {
            panic!("none")
        };
        assert_eq!((receipts.receipts.len(), receipts.lost), (MAX_RECEIPTS, 7));
        assert_eq!(receipts.receipts.first(), Some(&receipt(7)));
    }

    #[test]
    fn the_end_is_delivered_last() {
        let mut queue = queue();
        queue.set_state(ConnectionState::Ended(EndReason::Closed));
        queue.add(frame(vec![presence(1, 1)], "a"));
        assert_eq!(updates(&mut queue).presence.len(), 1);
        assert!(matches!(queue.pull(), Some(Pulled::Event(AppServiceEvent::State(_)))));
        assert_eq!((queue.pull(), queue.pull()), (Some(Pulled::End), Some(Pulled::End)));
    }
}
