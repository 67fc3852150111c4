//! The last check of a user, at whichever server it was.

use std::time::Duration;

use presence_core::UnixMillis;
use presence_protocol::{AppId, Puid};

use super::super::fixture::{APP, Fixture, NOW};
use crate::NewChecks;

fn of_user(puid: Puid, at: UnixMillis) -> NewChecks {
    NewChecks { of_user: [((APP, puid), at)].into(), ..NewChecks::default() }
}

fn of_all(at: UnixMillis) -> NewChecks {
    NewChecks { of_all: [(APP, at)].into(), ..NewChecks::default() }
}

async fn last(fixture: &Fixture, puid: Puid, suspended: bool) -> Option<UnixMillis> {
    let other = fixture.another_server().await;
    let known = other.live().unwrap().checks(&[(APP, puid)]).await.unwrap();
    known[&puid].last_if(suspended, seconds(100))
}

fn seconds(seconds: u64) -> UnixMillis {
    NOW + Duration::from_secs(seconds)
}

#[tokio::test]
async fn a_check_counts_at_every_server_and_only_for_those_who_have_a_grant() {
    let fixture = Fixture::on_postgres().await;
    let live = fixture.store.live().unwrap();
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    let (_, of_bob) = fixture.user_with_grant("bob", 2).await;
    assert_eq!(last(&fixture, puid, false).await, None);
    live.record_checks(&of_user(puid, seconds(2))).await.unwrap();
    live.record_checks(&of_user(puid, seconds(1))).await.unwrap();
    assert_eq!(last(&fixture, puid, false).await, Some(seconds(2)), "never an earlier one");
    assert_eq!(last(&fixture, of_bob, false).await, None);
    live.record_checks(&of_all(seconds(3))).await.unwrap();
    assert_eq!(last(&fixture, of_bob, false).await, Some(seconds(3)));
    live.set_sockets(1, APP, 1).await.unwrap();
    assert_eq!(last(&fixture, puid, false).await, Some(seconds(100)), "while a socket is open");
    fixture.writer.revoke(alice, APP).await.unwrap();
    live.record_checks(&of_user(puid, seconds(4))).await.unwrap();
    let left = live.checks(&[(APP, puid), (AppId::from_bits(9), of_bob)]).await.unwrap();
    assert!(left.is_empty());
}

#[tokio::test]
async fn a_check_before_a_pause_counts_also_if_it_is_recorded_later() {
    let fixture = Fixture::on_postgres().await;
    let live = fixture.store.live().unwrap();
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    live.record_checks(&of_all(seconds(1))).await.unwrap();
    fixture.advance(Duration::from_secs(10));
    fixture.writer.pause(alice, APP, true).await.unwrap();
    assert_eq!(last(&fixture, puid, true).await, Some(seconds(1)));
    live.record_checks(&of_user(puid, seconds(9))).await.unwrap();
    live.record_checks(&of_all(seconds(8))).await.unwrap();
    live.record_checks(&of_all(seconds(12))).await.unwrap();
    assert_eq!(last(&fixture, puid, true).await, Some(seconds(9)));
    fixture.advance(Duration::from_secs(10));
    fixture.writer.pause(alice, APP, false).await.unwrap();
    assert_eq!(last(&fixture, puid, false).await, Some(seconds(9)));
    live.record_checks(&of_all(seconds(25))).await.unwrap();
    assert_eq!(last(&fixture, puid, false).await, Some(seconds(25)));
}

#[tokio::test]
async fn the_last_check_of_all_users_survives_a_crash_that_empties_the_live_tables() {
    let fixture = Fixture::on_postgres().await;
    let live = fixture.store.live().unwrap();
    let (_, puid) = fixture.user_with_grant("alice", 1).await;
    live.record_checks(&of_all(seconds(100))).await.unwrap();
    live.keep_checks().await.unwrap();
    fixture.sql("TRUNCATE live_app_checks").await;
    assert_eq!(last(&fixture, puid, false).await, Some(seconds(100)));
}
