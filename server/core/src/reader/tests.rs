use presence_protocol::NotificationId;
use presence_protocol::app::ReceiptState;

use presence_protocol::UnixMillis;

use super::*;
use crate::stream::Retention;

const UID: Puid = Puid::from_bits(1);

fn stream() -> Stream {
    Stream::new(
        1,
        1_000,
        true,
        Retention { entries: 1_000, age: std::time::Duration::from_hours(1) },
    )
}

fn tell(stream: &mut Stream, uid: u128, status: Status) {
    let _ = stream.tell(Puid::from_bits(uid), View::new(status, None), UnixMillis::default());
}

fn page(reading: ReadOutcome) -> Page {
    let ReadOutcome::Page(page) = reading else { panic!("{reading:?}") };
    page
}

fn statuses(page: &Page) -> Vec<(u128, Status)> {
    page.presence.iter().map(|p| (p.uid.bits(), p.status)).collect()
}

#[test]
fn a_new_reader_gets_a_snapshot_of_those_not_offline_then_changes() {
    let mut stream = stream();
    tell(&mut stream, 1, Status::Online);
    tell(&mut stream, 2, Status::Online);
    tell(&mut stream, 2, Status::Offline);
    let mut reader = Reader::paged(&stream, None, false);
    let first = page(reader.next(&stream, false));
    assert!(first.snapshot && !first.gap && !first.more);
    assert_eq!((statuses(&first), first.up_to), (vec![(1, Status::Online)], Some(3)));
    assert_eq!(reader.next(&stream, false), ReadOutcome::Nothing);
    tell(&mut stream, 2, Status::Unavailable);
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
fn pages_of_a_snapshot_are_one_cut_and_changes_wait_for_the_last() {
    let mut stream = stream();
    (0..750).for_each(|uid| tell(&mut stream, uid, Status::Online));
    let mut reader = Reader::paged(&stream, None, false);
    let first = page(reader.next(&stream, false));
    assert!(first.more && first.up_to.is_none() && first.presence.len() == PAGE);
    tell(&mut stream, 749, Status::Offline);
    let second = page(reader.next(&stream, false));
    assert!(!second.more && second.snapshot && second.up_to == Some(750));
    assert!(statuses(&second).contains(&(749, Status::Online)));
    assert_eq!(statuses(&page(reader.next(&stream, false))), [(749, Status::Offline)]);
}

#[test]
fn a_reader_that_lags_gets_the_newest_of_each_and_nothing_twice_in_a_row() {
    let mut stream = stream();
    tell(&mut stream, 1, Status::Online);
    let mut reader = Reader::paged(&stream, None, false);
    let _ = reader.next(&stream, false);
    for status in [Status::Offline, Status::Unavailable, Status::Online] {
        tell(&mut stream, 1, status);
        tell(&mut stream, 2, status);
    }
    assert_eq!(statuses(&page(reader.next(&stream, false))), [(2, Status::Online)]);
}

#[test]
fn a_resumed_reader_gets_what_it_missed_without_a_snapshot() {
    let mut stream = stream();
    tell(&mut stream, 1, Status::Online);
    let cursor = stream.cursor(1);
    tell(&mut stream, 2, Status::Online);
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
fn a_reader_beyond_the_log_gets_a_gap_or_is_too_slow_where_nothing_may_be_left_out() {
    let mut stream = Stream::new(
        1,
        1_000,
        true,
        Retention { entries: 1, age: std::time::Duration::from_hours(1) },
    );
    let mut readers = [
        Reader::paged(&stream, None, false),
        Reader::paged(&stream, None, true),
        Reader::plain(&stream, vec![]),
    ];
    for reader in &mut readers {
        let _ = reader.next(&stream, false);
    }
    tell(&mut stream, 1, Status::Online);
    tell(&mut stream, 2, Status::Online);
    let [paged, receipts, plain] = &mut readers;
    let first = page(paged.next(&stream, false));
    assert!(first.gap && first.snapshot && first.presence.len() == 2);
    assert_eq!(receipts.next(&stream, false), ReadOutcome::TooSlow);
    assert_eq!(plain.next(&stream, false), ReadOutcome::TooSlow);
}

#[test]
fn while_warming_up_changes_are_told_and_the_snapshot_waits() {
    let mut stream = stream();
    let mut reader = Reader::paged(&stream, Some("old epoch"), false);
    assert_eq!(reader.next(&stream, true), ReadOutcome::Nothing);
    tell(&mut stream, 1, Status::Online);
    let early = page(reader.next(&stream, true));
    assert!(!early.snapshot && early.up_to.is_none() && early.presence.len() == 1);
    let snapshot = page(reader.next(&stream, false));
    assert!(snapshot.snapshot && snapshot.gap && snapshot.up_to == Some(1));
}

#[test]
fn a_plain_reader_hears_of_everybody_once_of_the_offline_ones_last() {
    let mut stream = stream();
    tell(&mut stream, 1, Status::Online);
    tell(&mut stream, 2, Status::Online);
    tell(&mut stream, 2, Status::Offline);
    let mut reader = Reader::plain(&stream, (1..=3).map(Puid::from_bits).collect());
    assert_eq!(statuses(&page(reader.next(&stream, true))), [(1, Status::Online)]);
    assert_eq!(reader.next(&stream, true), ReadOutcome::Nothing);
    tell(&mut stream, 3, Status::Online);
    tell(&mut stream, 1, Status::Offline);
    assert_eq!(
        statuses(&page(reader.next(&stream, true))),
        [(3, Status::Online), (1, Status::Offline)]
    );
    assert_eq!(statuses(&page(reader.next(&stream, false))), [(2, Status::Offline)]);
    assert_eq!(reader.next(&stream, false), ReadOutcome::Nothing);
}

#[test]
fn a_plain_reader_hears_of_one_who_revoked_while_it_waited_for_the_list_only_that() {
    let mut stream = stream();
    let mut reader = Reader::plain(&stream, vec![UID]);
    stream.revoke(UID, UnixMillis::default());
    assert!(page(reader.next(&stream, false)).presence[0].revoked);
    assert_eq!(reader.next(&stream, false), ReadOutcome::Nothing);
}

#[test]
fn a_plain_reader_hears_even_of_one_who_came_and_went_while_it_waited_for_the_list() {
    let mut stream = stream();
    let mut reader = Reader::plain(&stream, vec![UID]);
    tell(&mut stream, 1, Status::Online);
    tell(&mut stream, 1, Status::Offline);
    assert_eq!(reader.next(&stream, true), ReadOutcome::Nothing);
    assert_eq!(statuses(&page(reader.next(&stream, false))), [(1, Status::Offline)]);
}

#[test]
fn the_list_of_a_plain_reader_does_not_wait_for_another_change_after_changes_that_cancel_out() {
    let mut stream = stream();
    let mut reader = Reader::plain(&stream, vec![UID]);
    tell(&mut stream, 2, Status::Online);
    tell(&mut stream, 2, Status::Offline);
    assert_eq!(statuses(&page(reader.next(&stream, false))), [(1, Status::Offline)]);
    assert_eq!(reader.next(&stream, false), ReadOutcome::Nothing);
}

#[test]
fn a_revoked_user_is_said_to_be_so_even_where_already_offline() {
    let mut stream = stream();
    let mut reader = Reader::paged(&stream, None, false);
    let _ = reader.next(&stream, false);
    stream.revoke(UID, UnixMillis::default());
    let told = page(reader.next(&stream, false));
    assert!(told.presence[0].revoked && told.presence[0].status == Status::Offline);
}

#[test]
fn receipts_come_to_those_who_asked_and_are_not_coalesced() {
    let mut stream = stream();
    let mut wants = Reader::paged(&stream, None, true);
    let mut other = Reader::paged(&stream, None, false);
    let _ = (wants.next(&stream, false), other.next(&stream, false));
    for id in 0..600 {
        let id = NotificationId::from_bits(id);
        assert!(stream.receipt(
            Receipt { id, uid: UID, state: ReceiptState::Expired },
            UnixMillis::default()
        ));
    }
    assert_eq!(page(wants.next(&stream, false)).receipts.len(), PAGE);
    assert_eq!(page(wants.next(&stream, false)).receipts.len(), 100);
    assert_eq!(other.next(&stream, false), ReadOutcome::Nothing);
}
