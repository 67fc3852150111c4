use presence_protocol::NotificationId;
use presence_protocol::app::ReceiptState;

use presence_protocol::{OfflineCause, UnixMillis};

use super::*;
use crate::stream::Retention;

const UID: Puid = Puid::from_bits(1);

fn stream() -> Stream {
    Stream::new(
        1,
        1_000,
        true,
        Retention { entries: 1_000, age: std::time::Duration::from_hours(1), bytes: usize::MAX },
    )
}

fn publish(stream: &mut Stream, uid: u128, status: Status) {
    let (view, cause) = (View::new(status, None), OfflineCause::Left);
    let _ = stream.publish(Puid::from_bits(uid), view, cause, UnixMillis::default());
}

fn page(reading: ReadOutcome) -> Page {
    let ReadOutcome::Page(page) = reading else { panic!("{reading:?}") };
    page
}

fn statuses(page: &Page) -> Vec<(u128, Status)> {
    page.presence.iter().map(|p| (p.uid.bits(), p.status)).collect()
}

#[test]
fn a_new_reader_gets_a_snapshot_of_the_users_who_are_not_offline_then_changes() {
    let mut stream = stream();
    publish(&mut stream, 1, Status::Online);
    publish(&mut stream, 2, Status::Online);
    publish(&mut stream, 2, Status::Offline);
    let mut reader = Reader::paged(&stream, None, false);
    let first = page(reader.next(&stream, false));
    assert!(first.snapshot && !first.gap && !first.more);
    assert_eq!((statuses(&first), first.up_to), (vec![(1, Status::Online)], Some(3)));
    assert_eq!(reader.next(&stream, false), ReadOutcome::Nothing);
    publish(&mut stream, 2, Status::Unavailable);
    let second = page(reader.next(&stream, false));
    assert!(!second.snapshot);
    assert_eq!((statuses(&second), second.up_to), (vec![(2, Status::Unavailable)], Some(4)));
}

#[test]
fn an_empty_snapshot_is_sent_once() {
    let stream = stream();
    let mut reader = Reader::paged(&stream, None, false);
    assert!(page(reader.next(&stream, false)).snapshot);
    assert_eq!(reader.next(&stream, false), ReadOutcome::Nothing);
}

#[test]
fn the_pages_of_a_snapshot_show_one_moment_and_changes_follow_the_last_page() {
    let mut stream = stream();
    (0..750).for_each(|uid| publish(&mut stream, uid, Status::Online));
    let mut reader = Reader::paged(&stream, None, false);
    let first = page(reader.next(&stream, false));
    assert!(first.more && first.up_to.is_none() && first.presence.len() == MAX_PAGE_ITEMS);
    publish(&mut stream, 749, Status::Offline);
    let second = page(reader.next(&stream, false));
    assert!(!second.more && second.snapshot && second.up_to == Some(750));
    assert!(statuses(&second).contains(&(749, Status::Online)));
    assert_eq!(statuses(&page(reader.next(&stream, false))), [(749, Status::Offline)]);
}

#[test]
fn a_lagging_reader_gets_the_latest_update_of_each_user_and_no_repetition() {
    let mut stream = stream();
    publish(&mut stream, 1, Status::Online);
    let mut reader = Reader::paged(&stream, None, false);
    let _ = reader.next(&stream, false);
    for status in [Status::Offline, Status::Unavailable, Status::Online] {
        publish(&mut stream, 1, status);
        publish(&mut stream, 2, status);
    }
    assert_eq!(statuses(&page(reader.next(&stream, false))), [(2, Status::Online)]);
}

#[test]
fn a_resumed_reader_gets_missed_updates_without_a_snapshot() {
    let mut stream = stream();
    publish(&mut stream, 1, Status::Online);
    let cursor = stream.cursor(1);
    publish(&mut stream, 2, Status::Online);
    let mut reader = Reader::paged(&stream, Some(&cursor), false);
    let missed = page(reader.next(&stream, false));
    assert!(!missed.snapshot && !missed.gap);
    assert_eq!(statuses(&missed), [(2, Status::Online)]);
}

#[test]
fn a_foreign_cursor_means_a_gap_and_a_snapshot() {
    let stream = stream();
    let mut reader = Reader::paged(&stream, Some("another epoch"), false);
    let first = page(reader.next(&stream, false));
    assert!(first.gap && first.snapshot);
}

#[test]
fn a_reader_behind_the_log_gets_a_gap_or_is_too_slow_if_it_must_not_miss_entries() {
    let mut stream = Stream::new(
        1,
        1_000,
        true,
        Retention { entries: 1, age: std::time::Duration::from_hours(1), bytes: usize::MAX },
    );
    let mut readers = [
        Reader::paged(&stream, None, false),
        Reader::paged(&stream, None, true),
        Reader::plain(&stream, vec![]),
    ];
    for reader in &mut readers {
        let _ = reader.next(&stream, false);
    }
    publish(&mut stream, 1, Status::Online);
    publish(&mut stream, 2, Status::Online);
    let [paged, receipts, plain] = &mut readers;
    let first = page(paged.next(&stream, false));
    assert!(first.gap && first.snapshot && first.presence.len() == 2);
    assert_eq!(receipts.next(&stream, false), ReadOutcome::TooSlow);
    assert_eq!(plain.next(&stream, false), ReadOutcome::TooSlow);
}

#[test]
fn during_warm_up_changes_are_sent_and_the_snapshot_is_delayed() {
    let mut stream = stream();
    let mut reader = Reader::paged(&stream, Some("old epoch"), false);
    assert_eq!(reader.next(&stream, true), ReadOutcome::Nothing);
    publish(&mut stream, 1, Status::Online);
    let early = page(reader.next(&stream, true));
    assert!(!early.snapshot && early.up_to.is_none() && early.presence.len() == 1);
    let snapshot = page(reader.next(&stream, false));
    assert!(snapshot.snapshot && snapshot.gap && snapshot.up_to == Some(1));
}

#[test]
fn a_plain_reader_gets_each_user_once_and_the_offline_ones_last() {
    let mut stream = stream();
    publish(&mut stream, 1, Status::Online);
    publish(&mut stream, 2, Status::Online);
    publish(&mut stream, 2, Status::Offline);
    let mut reader = Reader::plain(&stream, (1..=3).map(Puid::from_bits).collect());
    assert_eq!(statuses(&page(reader.next(&stream, true))), [(1, Status::Online)]);
    assert_eq!(reader.next(&stream, true), ReadOutcome::Nothing);
    publish(&mut stream, 3, Status::Online);
    publish(&mut stream, 1, Status::Offline);
    assert_eq!(
        statuses(&page(reader.next(&stream, true))),
        [(3, Status::Online), (1, Status::Offline)]
    );
    assert_eq!(statuses(&page(reader.next(&stream, false))), [(2, Status::Offline)]);
    assert_eq!(reader.next(&stream, false), ReadOutcome::Nothing);
}

#[test]
fn a_plain_reader_gets_only_the_revocation_of_a_user_who_revoked_during_warm_up() {
    let mut stream = stream();
    let mut reader = Reader::plain(&stream, vec![UID]);
    stream.revoke(UID, UnixMillis::default());
    assert!(page(reader.next(&stream, false)).presence[0].revoked);
    assert_eq!(reader.next(&stream, false), ReadOutcome::Nothing);
}

#[test]
fn a_plain_reader_gets_a_user_who_was_online_during_warm_up_as_offline() {
    let mut stream = stream();
    let mut reader = Reader::plain(&stream, vec![UID]);
    publish(&mut stream, 1, Status::Online);
    publish(&mut stream, 1, Status::Offline);
    assert_eq!(reader.next(&stream, true), ReadOutcome::Nothing);
    assert_eq!(statuses(&page(reader.next(&stream, false))), [(1, Status::Offline)]);
}

#[test]
fn a_plain_reader_gets_offline_users_even_if_the_changes_before_cancel_out() {
    let mut stream = stream();
    let mut reader = Reader::plain(&stream, vec![UID]);
    publish(&mut stream, 2, Status::Online);
    publish(&mut stream, 2, Status::Offline);
    assert_eq!(statuses(&page(reader.next(&stream, false))), [(1, Status::Offline)]);
    assert_eq!(reader.next(&stream, false), ReadOutcome::Nothing);
}

#[test]
fn the_revocation_of_an_offline_user_is_sent() {
    let mut stream = stream();
    let mut reader = Reader::paged(&stream, None, false);
    let _ = reader.next(&stream, false);
    stream.revoke(UID, UnixMillis::default());
    let revocation = page(reader.next(&stream, false));
    assert!(revocation.presence[0].revoked && revocation.presence[0].status == Status::Offline);
}

#[test]
fn receipts_are_sent_only_on_request_and_are_not_coalesced() {
    let mut stream = stream();
    let mut wants = Reader::paged(&stream, None, true);
    let mut other = Reader::paged(&stream, None, false);
    let _ = (wants.next(&stream, false), other.next(&stream, false));
    for id in 0..600 {
        let id = NotificationId::from_bits(id);
        let receipt = Receipt { id, uid: UID, state: ReceiptState::Expired };
        stream.append_receipt(receipt, UnixMillis::default());
    }
    assert_eq!(page(wants.next(&stream, false)).receipts.len(), MAX_PAGE_ITEMS);
    assert_eq!(page(wants.next(&stream, false)).receipts.len(), 100);
    assert_eq!(other.next(&stream, false), ReadOutcome::Nothing);
}

#[test]
fn a_slow_reader_gets_the_cause_for_which_a_user_went_from_its_sight() {
    let (mut stream, uid) = (stream(), Puid::from_bits(1));
    publish(&mut stream, 1, Status::Online);
    let mut slow = Reader::paged(&stream, None, false);
    let mut other = Reader::paged(&stream, None, false);
    for reader in [&mut slow, &mut other] {
        assert_eq!(page(reader.next(&stream, false)).presence.len(), 1);
    }
    let lost = View::default();
    let _ = stream.publish(uid, lost, OfflineCause::Lost, UnixMillis::default());
    assert_eq!(page(other.next(&stream, false)).presence[0].cause, Some(OfflineCause::Lost));
    stream.revoke(uid, UnixMillis::default());
    let revoked = page(slow.next(&stream, false)).presence.remove(0);
    assert_eq!((revoked.revoked, revoked.cause), (true, Some(OfflineCause::Lost)));
    let revoked = page(other.next(&stream, false)).presence.remove(0);
    assert_eq!((revoked.revoked, revoked.cause), (true, None));
}
