use presence_protocol::app::ReceiptState;
use presence_protocol::{NotificationId, StatusText};

use super::*;

const UID: Puid = Puid::from_bits(7);
const RETENTION: Retention =
    Retention { entries: 10, age: Duration::from_hours(1), bytes: usize::MAX };

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
    stream.publish(UID, view, OfflineCause::Left, at(0))
}

fn alternate(stream: &mut Stream, times: usize) {
    for n in 0..times {
        let view = if n % 2 == 0 { online() } else { offline() };
        assert!(publish(stream, view).changed);
    }
}

#[test]
fn held_views_are_published_together_in_the_order_of_puids() {
    let mut stream =
        Stream::new(1, 1, true, Retention { entries: 100, age: Duration::MAX, bytes: usize::MAX });
    let puids: Vec<Puid> = (1..=4).map(Puid::from_bits).collect();
    for puid in puids.iter().rev() {
        stream.hold(*puid, View::new(Status::Online, None), OfflineCause::Left);
    }
    stream.hold(puids[1], View::default(), OfflineCause::Left);
    stream.revoke(puids[2], UnixMillis::new(0));
    assert_eq!(stream.head(), 1);
    assert!(!stream.is_visible(puids[0]));
    // A pause takes effect at once.
    assert!(
        !stream.publish(puids[3], View::default(), OfflineCause::Left, UnixMillis::new(0)).changed
    );
    assert_eq!(stream.publish_held(UnixMillis::new(0)), [puids[0]]);
    assert_eq!(stream.head(), 2);
    let visible: Vec<_> = stream.visible_after(None).map(|update| update.uid).collect();
    assert_eq!(visible, [puids[0]]);
    assert_eq!(stream.publish_held(UnixMillis::new(0)), []);
    assert_eq!(stream.head(), 2);
}

/// Returns the causes of the updates after a position.
fn causes(stream: &Stream, position: u64) -> Vec<Option<OfflineCause>> {
    let changes = stream.entries_after(position).flat_map(|(_, item)| item.changes());
    let updates = changes.filter_map(LoggedChange::changed_update);
    updates.map(|update| update.cause).collect()
}

#[test]
fn a_change_to_offline_has_its_cause_and_nothing_else_has_one() {
    let mut stream = stream();
    for cause in [OfflineCause::Left, OfflineCause::Lost] {
        let before = stream.head();
        assert!(stream.publish(UID, online(), cause, at(0)).changed);
        assert!(stream.publish(UID, offline(), cause, at(0)).changed);
        assert_eq!(causes(&stream, before), [None, Some(cause)]);
        assert_eq!(stream.latest(UID).cause, None);
    }
    stream.hold(UID, online(), OfflineCause::Lost);
    let _ = stream.publish_held(at(0));
    stream.hold(UID, offline(), OfflineCause::Lost);
    let before = stream.head();
    let _ = stream.publish_held(at(0));
    assert_eq!(causes(&stream, before), [Some(OfflineCause::Lost)]);
}

#[test]
fn a_deactivation_and_a_revocation_look_as_if_the_user_had_left() {
    let mut stream = stream();
    assert!(publish(&mut stream, online()).changed);
    let before = stream.head();
    let _ = stream.set_active(false, at(0));
    let _ = stream.set_active(true, at(0));
    stream.revoke(UID, at(0));
    // A user who is offline already does not change.
    for uid in [8, 9].map(Puid::from_bits) {
        let _ = stream.publish(uid, online(), OfflineCause::Left, at(0));
        let _ = stream.publish(uid, offline(), OfflineCause::Lost, at(0));
        stream.revoke(uid, at(0));
    }
    let (left, lost) = (Some(OfflineCause::Left), Some(OfflineCause::Lost));
    let expected = [left, None, left, None, lost, None, None, lost, None];
    assert_eq!(causes(&stream, before), expected);
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
    assert!(stream.publish(UID, online(), OfflineCause::Left, at(1_234_567)).changed);
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
    assert_eq!(stream.set_active(true, at(7)), [UID]);
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
fn the_oldest_entries_are_removed_beyond_the_maximum_number_of_bytes() {
    let text = StatusText::try_from("x".repeat(100).as_str()).unwrap();
    let retention = Retention { bytes: 4_000, entries: 1_000, ..RETENTION };
    let mut stream = Stream::new(1, 1_000, true, retention);
    for n in 0..100 {
        let status = if n % 2 == 0 { Status::Online } else { Status::Unavailable };
        assert!(publish(&mut stream, View::new(status, Some(text.clone()))).changed);
        assert!(stream.log_bytes() <= 4_000);
    }
    assert!((5..40).contains(&stream.log_len()), "{} entries", stream.log_len());
    stream.trim_log(1_000);
    assert!(stream.log_bytes() <= 1_000 && stream.log_len() > 0);
    stream.trim_log(0);
    assert_eq!((stream.log_bytes(), stream.floor()), (0, stream.head()));
}

#[test]
fn a_receipt_is_final_once_it_is_appended() {
    let mut stream = stream();
    let id = NotificationId::from_bits(1);
    stream.append_receipt(Receipt { id, uid: UID, state: ReceiptState::Acked }, at(0));
    assert_eq!(stream.head(), 1);
}

/// Returns the ids of the receipts that the Application has got.
fn receipts(stream: &Stream) -> Vec<u128> {
    let receipt = |(_, item): (u64, &LogItem)| match item {
        LogItem::Receipt(receipt) => Some(receipt.id.bits()),
        LogItem::Update(_) | LogItem::Switched(_) | LogItem::Hidden => None,
    };
    stream.entries_after(stream.floor()).filter_map(receipt).collect()
}

fn append_receipt(stream: &mut Stream, id: u128) {
    let (id, state) = (NotificationId::from_bits(id), ReceiptState::Acked);
    stream.append_receipt(Receipt { id, uid: UID, state }, at(0));
}

fn after(secs: u64) -> Steady {
    Steady::from_start(Duration::from_secs(secs))
}

fn end_hold(stream: &mut Stream, secs: u64) -> HoldEnd {
    stream.end_hold(UID, after(secs), at(0))
}

/// Shows the user, and ends the hold. Returns true if a release is to be requested.
fn show(stream: &mut Stream) -> bool {
    publish(stream, online()).appeared && end_hold(stream, 0) == HoldEnd::Release
}

#[test]
fn an_application_that_begins_to_see_a_user_gets_all_receipts_together_after_the_hold() {
    let mut stream = stream();
    assert!(!stream.note_taken(UID), "one was taken while the user was hidden");
    assert!(publish(&mut stream, online()).appeared);
    assert!(stream.set_hold_end(UID, after(30)));
    append_receipt(&mut stream, 3);
    assert!(!stream.gives_immediate_receipts(UID));
    assert!(!stream.note_taken(UID), "another one was taken since then");
    assert!(!publish(&mut stream, View::new(Status::Unavailable, None)).appeared);
    assert_eq!(end_hold(&mut stream, 29), HoldEnd::Later(after(30)));
    assert_eq!(end_hold(&mut stream, 30), HoldEnd::Release);
    assert!(stream.start_release(UID));
    append_receipt(&mut stream, 4);
    append_receipt(&mut stream, 1);
    assert!(receipts(&stream).is_empty());
    stream.finish_release(UID, at(0));
    assert_eq!(receipts(&stream), [1, 3, 4]);
    assert!(stream.gives_immediate_receipts(UID));
    append_receipt(&mut stream, 2);
    assert_eq!(receipts(&stream), [1, 3, 4, 2]);
}

#[test]
fn a_hold_without_taken_notifications_ends_by_itself() {
    let mut stream = stream();
    assert!(publish(&mut stream, online()).appeared);
    assert!(stream.set_hold_end(UID, after(30)));
    for id in [2, 1] {
        append_receipt(&mut stream, id);
    }
    assert_eq!(end_hold(&mut stream, 30), HoldEnd::Over);
    assert_eq!(receipts(&stream), [1, 2]);
}

#[test]
fn a_hold_begins_anew_with_each_appearance_and_needs_one_call_at_its_end() {
    let mut stream = stream();
    assert!(publish(&mut stream, online()).appeared);
    assert!(stream.set_hold_end(UID, after(30)));
    append_receipt(&mut stream, 1);
    assert!(!publish(&mut stream, offline()).appeared);
    assert_eq!(receipts(&stream), [1], "an absent user's expired and dropped ones are no secret");
    assert!(publish(&mut stream, online()).appeared);
    assert!(!stream.set_hold_end(UID, after(50)), "the call at 30 is still to come");
    assert_eq!(end_hold(&mut stream, 30), HoldEnd::Later(after(50)));
    assert_eq!(end_hold(&mut stream, 50), HoldEnd::Over);
}

#[test]
fn a_revocation_ends_a_hold_with_what_was_held() {
    let mut stream = stream();
    assert!(publish(&mut stream, online()).appeared);
    append_receipt(&mut stream, 1);
    stream.revoke(UID, at(0));
    assert_eq!(receipts(&stream), [1]);
    assert_eq!(end_hold(&mut stream, 30), HoldEnd::Over);
}

#[test]
fn taken_notifications_are_released_once_after_the_hold() {
    let mut stream = stream();
    assert!(!stream.note_taken(UID), "the user is offline");
    assert!(!stream.start_release(UID));
    assert!(show(&mut stream));
    assert!(!publish(&mut stream, View::new(Status::Unavailable, None)).appeared);
    assert!(!stream.note_taken(UID), "queued");
    assert!(stream.start_release(UID));
    assert!(!stream.start_release(UID));
    assert!(stream.note_taken(UID), "visible, and further notifications were taken");
}

#[test]
fn a_release_does_not_start_if_the_user_is_hidden_again_or_has_only_just_come_back() {
    let mut stream = stream();
    assert!(!stream.note_taken(UID));
    assert!(show(&mut stream));
    assert!(!publish(&mut stream, offline()).appeared);
    assert!(!stream.start_release(UID));
    assert!(show(&mut stream), "it is requested again");
    assert!(!publish(&mut stream, offline()).appeared);
    assert!(publish(&mut stream, online()).appeared);
    assert!(!stream.start_release(UID), "the hold has begun anew");
    assert_eq!(end_hold(&mut stream, 0), HoldEnd::Release);
    assert!(stream.start_release(UID));
}

#[test]
fn a_settlement_gets_no_immediate_receipt_while_an_older_one_waits() {
    let mut stream = stream();
    assert!(!stream.gives_immediate_receipts(UID), "the user is offline");
    assert!(!stream.note_taken(UID));
    assert!(show(&mut stream));
    assert!(!stream.gives_immediate_receipts(UID), "the release has not started");
    assert!(stream.start_release(UID));
    assert!(stream.gives_immediate_receipts(UID), "the release comes before the settlement");
    assert!(stream.note_taken(UID), "the release has failed");
    assert!(!stream.gives_immediate_receipts(UID));
}

#[test]
fn an_activation_shows_users_and_begins_their_holds() {
    let mut stream = Stream::new(1, 1_000, false, RETENTION);
    let hidden = Puid::from_bits(8);
    assert!(!stream.note_taken(UID) && !stream.note_taken(hidden));
    assert!(!publish(&mut stream, online()).changed);
    assert_eq!(stream.set_active(true, at(0)), [UID]);
    assert!(!stream.start_release(UID), "its receipts are held");
    assert_eq!(end_hold(&mut stream, 0), HoldEnd::Release);
    assert!(stream.start_release(UID) && !stream.start_release(hidden));
}

#[test]
fn a_revoked_grant_has_nothing_to_release() {
    let mut stream = stream();
    assert!(!stream.note_taken(UID));
    assert!(show(&mut stream));
    stream.revoke(UID, at(0));
    assert!(!stream.start_release(UID));
}
