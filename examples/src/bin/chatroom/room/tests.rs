use presence_client::{PresenceUpdate, Receipts, UnixMillis, Updates};

use super::*;

#[test]
fn an_answer_counts_once_and_for_whom_was_asked() {
    let (room, alice, bob) = room();
    let state = room.asks(alice);
    room.asks(bob);
    assert_eq!(room.answered(bob, &state, Some(uid(1))), Err(Refusal::WrongState));
    assert_eq!(room.answered(alice, &state, Some(uid(1))), Ok(()));
    assert_eq!(room.answered(alice, &state, Some(uid(2))), Err(Refusal::WrongState));
    assert!(row(&room, alice).shares && !row(&room, bob).shares);
}

#[test]
fn one_person_is_one_member() {
    let (room, alice, bob) = room();
    shares(&room, alice, 1);
    shares(&room, bob, 1);
    assert!(!row(&room, alice).shares && row(&room, bob).shares);
}

#[test]
fn a_member_is_seen_as_presence_says_unless_the_page_is_open() {
    let (room, alice, _) = room();
    let room = Arc::new(room);
    assert_eq!(row(&room, alice).seen, Seen::Unknown);
    shares(&room, alice, 1);
    assert_eq!(row(&room, alice).seen, Seen::Away(Status::Offline));
    room.hears(&update(Status::Online, false));
    assert_eq!(row(&room, alice).seen, Seen::Away(Status::Online));
    let page = room.enter(alice).unwrap();
    assert_eq!(row(&room, alice).seen, Seen::Here);
    drop(page);
    assert_eq!(row(&room, alice).seen, Seen::Away(Status::Online));
    room.hears(&update(Status::Offline, true));
    assert_eq!(row(&room, alice).seen, Seen::Unknown);
    assert!(room.ping(1, alice).is_err(), "who has revoked is not pinged");
}

#[test]
fn a_ping_is_one_line_also_where_its_receipt_was_faster() {
    let (room, alice, bob) = room();
    shares(&room, bob, 1);
    let first = room.ping(alice, bob).unwrap();
    assert_eq!(first.uid, uid(1));
    let id = NotificationId::from_bits(7);
    room.hears(&receipt(id));
    room.pinged(alice, bob, id);
    room.pinged(alice, bob, id);
    let pings: Vec<_> =
        room.view(alice).lines.into_iter().filter(|line| line.is_ping(id)).collect();
    assert_eq!(pings.len(), 1);
    assert!(matches!(pings[0].what, What::Pinged { state: Some(ReceiptState::Acked), .. }));
}

#[test]
fn nobody_pings_themselves_or_whom_presence_does_not_know() {
    let (room, alice, bob) = room();
    shares(&room, alice, 1);
    assert_eq!(room.ping(alice, alice).err(), Some(Refusal::NotPingable));
    assert_eq!(room.ping(alice, bob).err(), Some(Refusal::NotPingable));
    assert_eq!(room.ping(alice, 9).err(), Some(Refusal::NotPingable));
}

#[test]
fn names_and_lines_are_bounded_and_so_is_the_log() {
    let (room, alice, _) = room();
    for name in ["", "  ", "a\nb", &"x".repeat(25)] {
        assert_eq!(room.join(name), Err(Refusal::BadName), "{name:?}");
    }
    assert_eq!(room.join("ALICE"), Err(Refusal::NameTaken));
    assert_eq!(room.say(alice, "a\r\n\r\nevent: members"), Err(Refusal::BadLine));
    for _ in 0..=MOST_LINES {
        room.say(alice, "hi").unwrap();
    }
    assert_eq!(room.view(alice).lines.len(), MOST_LINES);
}

fn room() -> (Room, MemberId, MemberId) {
    let room = Room::new();
    let [alice, bob] = ["Alice", "Bob"].map(|name| {
        let key = room.join(name).unwrap();
        room.member(&key).unwrap().0
    });
    (room, alice, bob)
}

fn uid(bits: u128) -> Puid {
    Puid::from_bits(bits)
}

fn shares(room: &Room, member: MemberId, bits: u128) {
    let state = room.asks(member);
    room.answered(member, &state, Some(uid(bits))).unwrap();
}

fn row(room: &Room, member: MemberId) -> Row {
    room.view(member).members.into_iter().find(|row| row.id == member).unwrap()
}

fn update(status: Status, revoked: bool) -> AppServiceEvent {
    let version = 1 + u64::from(revoked);
    let presence = PresenceUpdate {
        uid: uid(1),
        status,
        version,
        since: UnixMillis::default(),
        message: None,
        revoked,
    };
    AppServiceEvent::Updates(Updates { presence: vec![presence], cursor: None })
}

fn receipt(id: NotificationId) -> AppServiceEvent {
    let receipt = Receipt { id, uid: uid(1), state: ReceiptState::Acked };
    AppServiceEvent::Receipts(Receipts { receipts: vec![receipt], lost: 0 })
}
