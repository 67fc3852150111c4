use presence_protocol::NotificationId;
use presence_protocol::app::ReceiptState;

use super::*;

const UID: Puid = Puid::from_bits(7);
const RETENTION: Retention = Retention { entries: 10, age: Duration::from_hours(1) };

fn at(millis: u64) -> UnixMillis {
    UnixMillis::new(millis)
}

fn online() -> View {
    View::new(Status::Online, None)
}

fn offline() -> View {
    View::default()
}

fn stream() -> Stream {
    Stream::new(1, 1_000, true, RETENTION)
}

fn publish(stream: &mut Stream, view: View) -> Published {
    stream.publish(UID, view, at(0))
}

fn alternate(stream: &mut Stream, times: usize) {
    for n in 0..times {
        let view = if n % 2 == 0 { online() } else { offline() };
        assert!(publish(stream, view).changed);
    }
}

#[test]
fn versions_grow_over_restarts() {
    let mut first = stream();
    alternate(&mut first, 100);
    let mut second = Stream::new(2, 1_001, true, RETENTION);
    assert!(second.latest(UID).version > first.latest(UID).version);
    assert!(publish(&mut second, online()).changed);
    assert!(second.latest(UID).version > first.latest(UID).version);
}

#[test]
fn since_is_in_whole_seconds() {
    let mut stream = stream();
    assert!(stream.publish(UID, online(), at(1_234_567)).changed);
    assert_eq!(stream.latest(UID).since, at(1_234_000));
}

#[test]
fn only_changes_are_appended() {
    let mut stream = stream();
    assert!(!publish(&mut stream, offline()).changed);
    assert!(publish(&mut stream, online()).changed);
    assert!(!publish(&mut stream, online()).changed);
    assert_eq!(stream.head(), 1);
}

#[test]
fn a_deactivated_stream_appends_one_offline_and_the_current_view_when_activated() {
    let mut stream = stream();
    assert!(publish(&mut stream, online()).changed);
    assert!(stream.set_active(false, at(5)).is_empty());
    assert_eq!((stream.head(), stream.is_visible(UID)), (2, false));
    assert!(!publish(&mut stream, View::new(Status::Unavailable, None)).changed);
    assert!(stream.set_active(true, at(7)).is_empty());
    assert_eq!((stream.head(), stream.latest(UID).status), (3, Status::Unavailable));
}

#[test]
fn cursors_of_other_streams_of_removed_positions_and_malformed_ones_are_foreign() {
    let mut stream = stream();
    alternate(&mut stream, 12);
    assert_eq!(stream.position(&stream.cursor(12)), Some(12));
    assert_eq!(stream.position(&stream.cursor(2)), Some(2));
    assert_eq!(stream.position(&stream.cursor(1)), None);
    assert_eq!(stream.position(&stream.cursor(13)), None);
    assert_eq!(stream.position(&Stream::new(2, 1_000, true, RETENTION).cursor(0)), None);
    for malformed in ["", "é", "0000000000000001", "0000000000000001-1", "zzzzzzzzzzzzzzzzz1"] {
        assert_eq!(stream.position(malformed), None, "{malformed}");
    }
}

#[test]
fn entries_older_than_the_maximum_age_are_removed() {
    let mut stream = stream();
    assert!(publish(&mut stream, online()).changed);
    stream.prune(at(3_600_000));
    assert_eq!(stream.floor(), 0);
    stream.prune(at(3_600_001));
    assert_eq!(stream.floor(), 1);
}

#[test]
fn a_receipt_is_final_once_it_is_appended() {
    let mut stream = stream();
    let id = NotificationId::from_bits(1);
    stream.append_receipt(Receipt { id, uid: UID, state: ReceiptState::Acked }, at(0));
    assert_eq!(stream.head(), 1);
}

#[test]
fn taken_notifications_are_released_once_when_the_application_sees_the_user() {
    let mut stream = stream();
    assert!(!stream.note_taken(UID), "the user is offline");
    assert!(!stream.start_release(UID));
    assert!(publish(&mut stream, online()).release_due);
    assert!(!publish(&mut stream, View::new(Status::Unavailable, None)).release_due, "queued");
    assert!(!stream.note_taken(UID), "queued");
    assert!(stream.start_release(UID));
    assert!(!stream.start_release(UID));
    assert!(stream.note_taken(UID), "visible, and further notifications were taken");
}

#[test]
fn a_release_does_not_start_if_the_user_is_hidden_again() {
    let mut stream = stream();
    assert!(!stream.note_taken(UID));
    assert!(publish(&mut stream, online()).release_due);
    assert!(!publish(&mut stream, offline()).release_due);
    assert!(!stream.start_release(UID));
    assert!(publish(&mut stream, online()).release_due, "it is requested again");
    assert!(stream.start_release(UID));
}

#[test]
fn a_settlement_gets_no_immediate_receipt_while_an_older_one_waits() {
    let mut stream = stream();
    assert!(!stream.gives_immediate_receipts(UID), "the user is offline");
    assert!(!stream.note_taken(UID));
    assert!(publish(&mut stream, online()).release_due);
    assert!(!stream.gives_immediate_receipts(UID), "the release has not started");
    assert!(stream.start_release(UID));
    assert!(stream.gives_immediate_receipts(UID), "the release comes before the settlement");
    assert!(stream.note_taken(UID), "the release has failed");
    assert!(!stream.gives_immediate_receipts(UID));
}

#[test]
fn an_activation_releases_taken_notifications_of_the_users_it_shows() {
    let mut stream = Stream::new(1, 1_000, false, RETENTION);
    let hidden = Puid::from_bits(8);
    assert!(!stream.note_taken(UID) && !stream.note_taken(hidden));
    assert!(!publish(&mut stream, online()).changed);
    assert_eq!(stream.set_active(true, at(0)), [UID]);
    assert!(stream.start_release(UID) && !stream.start_release(hidden));
}

#[test]
fn a_revoked_grant_has_nothing_to_release() {
    let mut stream = stream();
    assert!(!stream.note_taken(UID));
    assert!(publish(&mut stream, online()).release_due);
    stream.revoke(UID, at(0));
    assert!(!stream.start_release(UID));
}
