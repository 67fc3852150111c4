//! The devices that users have ended.

use presence_core::EndedDevices;
use presence_core::model::UserId;
use presence_protocol::DeviceName;

use super::fixture::{Fixture, HOUR, NOW, session};
use crate::DeviceEnd;

fn name(n: usize) -> DeviceName {
    format!("d{n}").parse().unwrap()
}

fn end(user: UserId, device: DeviceName) -> DeviceEnd {
    DeviceEnd { user, device, kept_session: None, sessions: Vec::new(), assertions: Vec::new() }
}

async fn opens(fixture: &Fixture, n: u8, device: &DeviceName) -> Option<bool> {
    let found = fixture.store.session_with_email([n; 32], NOW).await.unwrap();
    found.map(|(session, _)| !session.ended_devices.contains(device))
}

#[tokio::test]
async fn the_end_of_a_device_ends_its_sessions_and_its_name_for_the_others() {
    let fixture = Fixture::new().await;
    let (alice, bob) = (fixture.user("alice").await, fixture.user("bob").await);
    for (n, user) in [(1, alice), (2, alice), (3, alice), (4, bob)] {
        fixture.insert_session(&session(user, n)).await;
    }
    let ended = DeviceEnd {
        kept_session: Some([2; 32]),
        // A session of another user is not touched.
        sessions: vec![[1; 32], [4; 32]],
        ..end(alice, name(0))
    };
    for _ in 0..2 {
        fixture.store.end_device(&ended).await.unwrap();
    }
    fixture.insert_session(&session(alice, 5)).await;
    for (n, expected) in
        [(1, None), (2, Some(true)), (3, Some(false)), (4, Some(true)), (5, Some(true))]
    {
        assert_eq!(opens(&fixture, n, &ended.device).await, expected, "session {n}");
    }
    assert_eq!(opens(&fixture, 3, &name(1)).await, Some(true));
}

#[tokio::test]
async fn a_user_who_ends_devices_all_day_has_to_sign_in_again_and_no_name_is_forgotten() {
    let fixture = Fixture::new().await;
    let alice = fixture.user("alice").await;
    fixture.insert_session(&session(alice, 1)).await;
    for n in 0..EndedDevices::MAX_NAMES {
        fixture.store.end_device(&end(alice, name(n))).await.unwrap();
    }
    assert_eq!(opens(&fixture, 1, &name(0)).await, Some(false));
    assert_eq!(opens(&fixture, 1, &name(1_000)).await, Some(true));
    fixture.store.end_device(&end(alice, name(2_000))).await.unwrap();
    for n in [0, 1_000, 2_000] {
        assert_eq!(opens(&fixture, 1, &name(n)).await, Some(false));
    }
    fixture.insert_session(&session(alice, 2)).await;
    assert_eq!(opens(&fixture, 2, &name(0)).await, Some(true));
}

#[tokio::test]
async fn ended_assertions_are_kept_until_they_expire_and_end_with_their_user() {
    let fixture = Fixture::new().await;
    let (alice, bob) = (fixture.user("alice").await, fixture.user("bob").await);
    let (short, long) = (([1; 32], NOW + HOUR), ([2; 32], NOW + 2 * HOUR));
    let ended = DeviceEnd { assertions: vec![short, long], ..end(alice, name(0)) };
    fixture.store.end_device(&ended).await.unwrap();
    let other = DeviceEnd { assertions: vec![([3; 32], NOW + HOUR)], ..end(bob, name(0)) };
    fixture.store.end_device(&other).await.unwrap();
    fixture.writer.erase_user(bob).await.unwrap();
    let kept = |now| fixture.store.ended_assertions(now, 9);
    assert_eq!(kept(NOW).await.unwrap(), [(alice, long), (alice, short)]);
    assert_eq!(kept(NOW + HOUR).await.unwrap(), [(alice, long)]);
    assert_eq!(fixture.store.purge(NOW + HOUR).await.unwrap(), 1);
    assert_eq!(kept(NOW).await.unwrap(), [(alice, long)]);
}
