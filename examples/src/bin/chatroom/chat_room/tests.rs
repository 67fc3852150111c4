use presence_client::{PresenceUpdate, ReceiptState, Receipts, UnixMillis, Updates};

use super::*;

#[test]
fn a_grant_result_is_accepted_once_and_only_for_the_member_who_requested_it() {
    let (room, alice, bob) = room_with_alice_and_bob();
    let state = room.start_grant(alice);
    room.start_grant(bob);
    assert_eq!(room.finish_grant(bob, &state, Some(uid(1))), Err(ChatRoomError::InvalidGrantState));
    assert_eq!(room.finish_grant(alice, &state, Some(uid(1))), Ok(()));
    assert_eq!(
        room.finish_grant(alice, &state, Some(uid(2))),
        Err(ChatRoomError::InvalidGrantState)
    );
    assert!(view_of(&room, alice).shares && !view_of(&room, bob).shares);
}

#[test]
fn a_user_who_joined_twice_is_only_the_member_who_shared_last() {
    let (room, alice, bob) = room_with_alice_and_bob();
    share(&room, alice, 1);
    share(&room, bob, 1);
    assert!(!view_of(&room, alice).shares && view_of(&room, bob).shares);
}

#[test]
fn a_member_with_an_open_page_is_in_the_room_and_others_are_shown_with_their_presence() {
    let (room, alice, _) = room_with_alice_and_bob();
    let room = Arc::new(room);
    assert_eq!(view_of(&room, alice).availability, Availability::Unknown);
    share(&room, alice, 1);
    assert_eq!(view_of(&room, alice).availability, Availability::PageClosed(Status::Offline));
    room.apply(&update(Status::Online, false));
    assert_eq!(view_of(&room, alice).availability, Availability::PageClosed(Status::Online));
    let page = room.open_page(alice).unwrap();
    assert_eq!(view_of(&room, alice).availability, Availability::PageOpen);
    drop(page);
    assert_eq!(view_of(&room, alice).availability, Availability::PageClosed(Status::Online));
    room.apply(&update(Status::Offline, true));
    assert_eq!(view_of(&room, alice).availability, Availability::Unknown);
    assert!(room.ping(1, alice).is_err(), "a member whose grant was revoked cannot be pinged");
}

#[test]
fn a_ping_is_one_entry_also_if_its_receipt_arrives_first() {
    let (room, alice, bob) = room_with_alice_and_bob();
    share(&room, bob, 1);
    let first = room.ping(alice, bob).unwrap();
    assert_eq!(first.uid, uid(1));
    let id = NotificationId::from_bits(7);
    room.apply(&receipt(id));
    room.add_ping(alice, bob, id);
    room.add_ping(alice, bob, id);
    let pings: Vec<_> =
        room.view(alice).log.into_iter().filter(|entry| entry.is_ping(id)).collect();
    assert_eq!(pings.len(), 1);
    assert!(matches!(pings[0].event, LogEvent::Ping { state: Some(ReceiptState::Acked), .. }));
}

#[test]
fn a_member_cannot_ping_themselves_or_a_member_without_presence() {
    let (room, alice, bob) = room_with_alice_and_bob();
    share(&room, alice, 1);
    assert_eq!(room.ping(alice, alice).err(), Some(ChatRoomError::NotPingable));
    assert_eq!(room.ping(alice, bob).err(), Some(ChatRoomError::NotPingable));
    assert_eq!(room.ping(alice, 9).err(), Some(ChatRoomError::NotPingable));
}

#[test]
fn names_messages_and_the_log_are_bounded() {
    let (room, alice, _) = room_with_alice_and_bob();
    for name in ["", "  ", "a\nb", &"x".repeat(25)] {
        assert_eq!(room.join(name), Err(ChatRoomError::InvalidName), "{name:?}");
    }
    assert_eq!(room.join("ALICE"), Err(ChatRoomError::NameTaken));
    assert_eq!(
        room.add_message(alice, "a\r\n\r\nevent: members"),
        Err(ChatRoomError::InvalidMessage)
    );
    for _ in 0..=MAX_LOG_ENTRIES {
        room.add_message(alice, "hi").unwrap();
    }
    assert_eq!(room.view(alice).log.len(), MAX_LOG_ENTRIES);
}

fn room_with_alice_and_bob() -> (ChatRoom, MemberId, MemberId) {
    let room = ChatRoom::new();
    let [alice, bob] = ["Alice", "Bob"].map(|name| {
        let cookie = room.join(name).unwrap();
        room.member(&cookie).unwrap().0
    });
    (room, alice, bob)
}

fn uid(bits: u128) -> Puid {
    Puid::from_bits(bits)
}

fn share(room: &ChatRoom, member: MemberId, bits: u128) {
    let state = room.start_grant(member);
    room.finish_grant(member, &state, Some(uid(bits))).unwrap();
}

fn view_of(room: &ChatRoom, member: MemberId) -> MemberView {
    room.view(member).members.into_iter().find(|view| view.id == member).unwrap()
}

fn update(status: Status, revoked: bool) -> AppServiceEvent {
    let version = 1 + u64::from(revoked);
    let presence = PresenceUpdate {
        uid: uid(1),
        status,
        cause: None,
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
