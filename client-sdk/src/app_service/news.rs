//! The stream of an Application as it waits to be pulled: bounded by the number of its users, not by the rate of changes.

use std::collections::{HashMap, VecDeque};

use presence_protocol::app::Receipt;
use presence_protocol::app::client::StreamFrame;
use presence_protocol::{PresenceUpdate, Puid};

use super::{AppServiceEvent, Receipts, Snapshot, Updates};
use crate::link::Pulled;
use crate::state::ConnectionState;

/// How many receipts wait for the application; beyond, the oldest are lost, and counted.
const RECEIPTS: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct News {
    state: Option<ConnectionState>,
    /// The pages of a snapshot that is not whole yet.
    pages: Option<Snapshot>,
    snapshot: Option<Snapshot>,
    updates: HashMap<Puid, PresenceUpdate>,
    order: VecDeque<Puid>,
    receipts: VecDeque<Receipt>,
    receipts_lost: u64,
    /// Everything up to here has arrived.
    cursor: Option<String>,
    ended: bool,
}

impl News {
    pub(super) fn new(state: ConnectionState, cursor: Option<String>) -> Self {
        Self { state: Some(state), cursor, ..Self::default() }
    }

    /// Where to resume.
    pub(super) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    pub(super) fn state(&mut self, state: ConnectionState) {
        self.state = Some(state);
    }

    /// The socket is lost, and with it a snapshot that was not whole.
    pub(super) fn interrupt(&mut self) {
        self.pages = None;
    }

    pub(super) fn add(&mut self, batch: StreamFrame) {
        self.add_receipts(batch.receipts);
        if batch.snapshot || batch.gap {
            self.add_page(batch.gap, batch.presence, batch.cursor, batch.more);
            return;
        }
        for presence in batch.presence {
            self.update(presence);
        }
        if batch.cursor.is_some() {
            self.cursor = batch.cursor;
        }
    }

    fn add_page(
        &mut self,
        gap: bool,
        presence: Vec<PresenceUpdate>,
        cursor: Option<String>,
        more: bool,
    ) {
        let mut pages = self.pages.take().unwrap_or_default();
        pages.gap |= gap;
        pages.presence.extend(presence);
        if more {
            self.pages = Some(pages);
            return;
        }
        // A gap that was not pulled yet stays one.
        pages.gap |= self.snapshot.as_ref().is_some_and(|earlier| earlier.gap);
        pages.cursor.clone_from(&cursor);
        self.cursor = cursor.or(self.cursor.take());
        // The snapshot says all that waited, and newer.
        self.updates.clear();
        self.order.clear();
        self.snapshot = Some(pages);
    }

    fn update(&mut self, presence: PresenceUpdate) {
        let uid = presence.uid;
        let known = self.updates.get(&uid).map(|earlier| earlier.version);
        if known.is_some_and(|version| version >= presence.version) {
            return;
        }
        if self.updates.insert(uid, presence).is_none() {
            self.order.push_back(uid);
        }
    }

    fn add_receipts(&mut self, receipts: Vec<Receipt>) {
        self.receipts.extend(receipts);
        let beyond = self.receipts.len().saturating_sub(RECEIPTS);
        self.receipts.drain(..beyond);
        self.receipts_lost += beyond as u64;
    }

    /// The next event, or that there will be no more. The end comes after everything else.
    pub(super) fn pull(&mut self) -> Option<Pulled<AppServiceEvent>> {
        if self.ended {
            return Some(Pulled::End);
        }
        let is_end = matches!(self.state, Some(ConnectionState::Ended(_)));
        if !is_end && let Some(state) = self.state.take() {
            return Some(Pulled::Event(AppServiceEvent::State(state)));
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
        self.ended = is_end;
        self.state.take().map(|end| Pulled::Event(AppServiceEvent::State(end)))
    }
}

#[cfg(test)]
mod tests {
    use presence_protocol::app::ReceiptState;
    use presence_protocol::{NotificationId, Status};

    use super::*;
    use crate::state::EndReason;

    fn presence(uid: u128, version: u64) -> PresenceUpdate {
        PresenceUpdate {
            uid: Puid::from_bits(uid),
            status: Status::Online,
            version,
            since: presence_protocol::UnixMillis::default(),
            message: None,
            revoked: false,
        }
    }

    fn batch(presence: Vec<PresenceUpdate>, cursor: &str) -> StreamFrame {
        StreamFrame { presence, cursor: Some(cursor.to_owned()), ..StreamFrame::default() }
    }

    fn page(presence: Vec<PresenceUpdate>, more: bool) -> StreamFrame {
        let cursor = (!more).then(|| "snapshot".to_owned());
        StreamFrame { snapshot: true, presence, more, cursor, ..StreamFrame::default() }
    }

    fn news() -> News {
        let mut news = News::new(ConnectionState::Connected, None);
        assert!(matches!(news.pull(), Some(Pulled::Event(AppServiceEvent::State(_)))));
        news
    }

    fn updates(news: &mut News) -> Updates {
        match news.pull() {
            Some(Pulled::Event(AppServiceEvent::Updates(updates))) => updates,
            other => panic!("no updates but {other:?}"),
        }
    }

    fn snapshot(news: &mut News) -> Snapshot {
        match news.pull() {
            Some(Pulled::Event(AppServiceEvent::Snapshot(snapshot))) => snapshot,
            other => panic!("no snapshot but {other:?}"),
        }
    }

    #[test]
    fn a_slow_reader_gets_the_newest_of_each_user_and_no_backlog() {
        let mut news = news();
        for version in 1..=10_000 {
            news.add(batch(vec![presence(1, version), presence(2, version)], "c"));
        }
        let updates = updates(&mut news);
        assert_eq!(updates.presence, [presence(1, 10_000), presence(2, 10_000)]);
        assert_eq!((updates.cursor.as_deref(), news.pull()), (Some("c"), None));
    }

    #[test]
    fn an_older_version_never_replaces_a_newer_one() {
        let mut news = news();
        news.add(batch(vec![presence(1, 5)], "a"));
        news.add(batch(vec![presence(1, 4)], "b"));
        assert_eq!(updates(&mut news).presence, [presence(1, 5)]);
    }

    #[test]
    fn a_snapshot_comes_whole_and_instead_of_what_waited() {
        let mut news = news();
        news.add(batch(vec![presence(9, 1)], "a"));
        news.add(page(vec![presence(1, 2)], true));
        assert_eq!(news.cursor(), Some("a"));
        news.add(page(vec![presence(2, 2)], false));
        let whole = snapshot(&mut news);
        assert_eq!(whole.presence, [presence(1, 2), presence(2, 2)]);
        assert_eq!((whole.gap, news.pull()), (false, None));
        assert_eq!(news.cursor(), Some("snapshot"));
    }

    #[test]
    fn half_a_snapshot_is_forgotten_with_its_socket_and_the_cursor_stays() {
        let mut news = news();
        news.add(batch(vec![], "a"));
        news.add(page(vec![presence(1, 2)], true));
        news.interrupt();
        assert_eq!((news.pull(), news.cursor()), (None, Some("a")));
        news.add(page(vec![presence(2, 2)], false));
        assert_eq!(snapshot(&mut news).presence, [presence(2, 2)]);
    }

    #[test]
    fn a_gap_is_told_even_where_a_second_snapshot_overtakes_the_first() {
        let mut news = news();
        news.add(StreamFrame { gap: true, ..page(vec![], false) });
        news.add(page(vec![presence(1, 1)], false));
        let whole = snapshot(&mut news);
        assert!(whole.gap && whole.presence == [presence(1, 1)]);
    }

    #[test]
    fn receipts_are_kept_in_order_up_to_a_bound_and_what_is_lost_is_counted() {
        let mut news = news();
        let receipt = |id| Receipt {
            id: NotificationId::from_bits(id),
            uid: Puid::from_bits(1),
            state: ReceiptState::Acked,
        };
        let all = (0..RECEIPTS as u128 + 7).map(receipt).collect();
        news.add(StreamFrame { receipts: all, ..StreamFrame::default() });
        let Some(Pulled::Event(AppServiceEvent::Receipts(receipts))) = news.pull() else {
            panic!("none")
        };
        assert_eq!((receipts.receipts.len(), receipts.lost), (RECEIPTS, 7));
        assert_eq!(receipts.receipts.first(), Some(&receipt(7)));
    }

    #[test]
    fn the_end_comes_last() {
        let mut news = news();
        news.state(ConnectionState::Ended(EndReason::Closed));
        news.add(batch(vec![presence(1, 1)], "a"));
        assert_eq!(updates(&mut news).presence.len(), 1);
        assert!(matches!(news.pull(), Some(Pulled::Event(AppServiceEvent::State(_)))));
        assert_eq!((news.pull(), news.pull()), (Some(Pulled::End), Some(Pulled::End)));
    }
}
