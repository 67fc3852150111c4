//! Whom the dumps hold: what [`fill`] stores, [`are_found`] finds, also years later.

use std::time::Duration;

use presence_core::model::{
    App, ApplicationState, CredentialGeneration, Email, Scope, Session, Settlement, UserId,
};
use presence_protocol::app::ReceiptState;
use presence_protocol::{AppId, Puid};

use super::super::house::{APP, House, NOW, app, id, item};
use crate::{CommittedEvent, NewNotification, NotifyError, Raised, Reachability};

const OTHER_APP: AppId = AppId::from_bits(0xb);
const ALICE: Puid = Puid::from_bits(1);
const BOB: Puid = Puid::from_bits(2);
const BOB_ELSEWHERE: Puid = Puid::from_bits(3);
const YEARS: Duration = Duration::from_hours(100 * 365 * 24);
/// The longest that a notification may wait, in seconds.
const A_MONTH: u32 = 2_592_000;

/// A row of every kind, in every table.
pub(super) async fn fill(house: &House) {
    let owner = house.user("owner").await;
    let (alice, bob) = (house.user("alice").await, house.user("bob").await);
    fill_apps(house, owner).await;
    for (user, app, puid) in [(alice, APP, ALICE), (bob, APP, BOB), (bob, OTHER_APP, BOB_ELSEWHERE)]
    {
        house.writer.grant(user, app, puid, NOW).await.unwrap().unwrap();
    }
    house
        .notify(vec![long(1, ALICE, None), long(2, ALICE, Some("once")), long(3, BOB, None)])
        .await;
    // Settlement while the Application saw nobody: a row that is a receipt to come.
    house.set_reach(ALICE, Reachability::Unseen);
    house.writer.settle(alice, vec![id(1)], Settlement::Acked).await.unwrap();
    house.writer.pause(bob, OTHER_APP, true).await.unwrap();
    house.store.insert_session(&session(alice)).await.unwrap();
    // Since m0002.
    house.store.raise_generation(alice, &generation()).await.unwrap();
    house.store.insert_session(&counted(alice)).await.unwrap();
    // Since m0003.
    house.store.set_app_blocked(OTHER_APP, Some(NOW)).await.unwrap();
    house.store.set_devices_connected(true).await.unwrap();
    house.done();
}

async fn fill_apps(house: &House, owner: UserId) {
    house.app(APP, owner).await;
    house.app(OTHER_APP, owner).await;
    house.store.set_app_state(OTHER_APP, ApplicationState::Inactive).await.unwrap();
    house.store.touch_app(APP, NOW).await.unwrap();
    let used = house.store.insert_key(APP, "prs_used", [1; 32], NOW).await.unwrap();
    house.store.touch_key(used.id, NOW).await.unwrap();
    house.store.insert_key(APP, "prs_new", [2; 32], NOW).await.unwrap();
}

/// Makes sure that all is as it was that a schema could hold.
pub(super) async fn are_found(house: &House, schema: &str) {
    assert!(house.store.had_devices_connected());
    let email = |name: &str| Email::parse(&format!("{name}@b.example")).unwrap();
    let owner = house.store.find_user(&email("owner")).await.unwrap().unwrap();
    let alice = house.store.find_user(&email("alice")).await.unwrap().unwrap();
    let bob = house.store.find_user(&email("bob")).await.unwrap().unwrap();
    apps_are_found(house, owner, schema).await;
    sessions_are_found(house, alice, schema).await;
    grants_are_found(house, bob).await;
    assert_eq!(house.pending(bob).await, [id(3)]);
    the_queue_is_found(house, alice).await;
}

async fn apps_are_found(house: &House, owner: UserId, schema: &str) {
    let mut looked_at = app(APP, owner);
    looked_at.last_looked_at = Some(NOW);
    // No dump before that of m0004 holds one that is blocked.
    let blocked_at = (schema >= "m0004").then_some(NOW);
    let inactive = App { state: ApplicationState::Inactive, blocked_at, ..app(OTHER_APP, owner) };
    assert_eq!(house.store.apps_of(owner).await.unwrap(), [looked_at, inactive]);
    let keys = house.store.keys_of(APP).await.unwrap();
    let known: Vec<_> = keys.iter().map(|key| (key.prefix.as_str(), key.last_used_at)).collect();
    assert_eq!(known, [("prs_used", Some(NOW)), ("prs_new", None)]);
}

async fn sessions_are_found(house: &House, alice: UserId, schema: &str) {
    assert_eq!(house.store.session(&[7; 32], NOW).await.unwrap(), Some(session(alice)));
    if schema >= "m0002" {
        assert_eq!(house.store.session(&[8; 32], NOW).await.unwrap(), Some(counted(alice)));
        let raised = house.store.raise_generation(alice, &generation()).await.unwrap();
        assert_eq!(raised, Raised::Same);
    }
}

async fn grants_are_found(house: &House, bob: UserId) {
    let grants = house.store.granted_apps(bob).await.unwrap();
    let mut paused: Vec<_> = grants.iter().map(|one| (one.grant.puid, one.grant.paused)).collect();
    paused.sort_unstable();
    assert_eq!(paused, [(BOB, false), (BOB_ELSEWHERE, true)]);
}

async fn the_queue_is_found(house: &House, alice: UserId) {
    assert_eq!(house.pending(alice).await, [id(2)]);
    let again = house.notify(vec![long(9, ALICE, Some("once"))]).await;
    assert_eq!(again[0].as_ref().unwrap().id, id(2), "the key is known");
    let mut other = long(9, ALICE, Some("once"));
    other.message = "another".to_owned();
    assert_eq!(house.notify(vec![other]).await, [Err(NotifyError::IdempotencyMismatch)]);
    house.set_reach(ALICE, Reachability::Seen);
    house.writer.release(APP, ALICE).await.unwrap();
    assert_eq!(house.receipts(), [(id(1), ReceiptState::Acked)]);
}

/// The number that the next notification gets; the dumps hold three.
pub(super) async fn number_of_the_next(house: &House) -> i64 {
    house.notify(vec![long(4, BOB, None)]).await[0].as_ref().unwrap();
    let done = house.done();
    let [CommittedEvent::Queued(queued)] = done.as_slice() else { panic!("{done:?}") };
    queued.seq
}

fn long(number: u128, puid: Puid, key: Option<&str>) -> NewNotification {
    let idempotency_key = key.map(str::to_owned);
    // Another name, the same words: what an idempotency key stands for is told by the words alone.
    NewNotification {
        ttl: A_MONTH,
        message: "Your move".to_owned(),
        idempotency_key,
        ..item(number, puid)
    }
}

fn generation() -> CredentialGeneration {
    CredentialGeneration { issuer: "b.example".into(), number: 5 }
}

/// A session that was opened with a proof of a generation.
fn counted(user: UserId) -> Session {
    Session { digest: [8; 32], generation: Some(generation()), ..session(user) }
}

fn session(user: UserId) -> Session {
    Session {
        digest: [7; 32],
        user,
        scope: Scope::Account,
        created_at: NOW,
        expires_at: NOW + YEARS,
        generation: None,
    }
}
