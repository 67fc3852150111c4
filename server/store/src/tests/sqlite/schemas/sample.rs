//! The sample data of the dumps: [`insert_sample`] stores it, [`assert_found`] reads it.

use std::time::Duration;

use presence_core::model::{
    App, ApplicationState, CredentialGeneration, Email, Scope, Session, Settlement, UserId,
};
use presence_core::{EndedDevices, UnixMillis};
use presence_protocol::app::ReceiptState;
use presence_protocol::{AppId, Puid};

use super::super::super::fixture::{APP, DOMAIN, Fixture, NOW, TestVisibility, app, id, item};
use crate::{
    AcmeRecord, AcmeRecordKind, CommittedEvent, DeviceEnd, GenerationOutcome, NewNotification,
    NotifyError, UsedThing,
};

const OTHER_APP: AppId = AppId::from_bits(0xb);
const ALICE: Puid = Puid::from_bits(1);
const BOB: Puid = Puid::from_bits(2);
const BOB_ELSEWHERE: Puid = Puid::from_bits(3);
const YEARS: Duration = Duration::from_hours(100 * 365 * 24);
/// The longest time to live of a notification, in seconds.
const MAX_TTL: u32 = 2_592_000;
/// An assertion that let an ended device in.
const ENDED_ASSERTION: ([u8; 32], UnixMillis) = ([5; 32], UnixMillis::new(4_953_600_000_000));

const ACME_ACCOUNT: (AcmeRecordKind, &str) = (AcmeRecordKind::Account, "directory");

/// Inserts a row of every kind into every table.
pub(super) async fn insert_sample(fixture: &Fixture) {
    let owner = fixture.user("owner").await;
    let (alice, bob) = (fixture.user("alice").await, fixture.user("bob").await);
    fill_apps(fixture, owner).await;
    for (user, app, puid) in [(alice, APP, ALICE), (bob, APP, BOB), (bob, OTHER_APP, BOB_ELSEWHERE)]
    {
        fixture.writer.grant(user, (app, DOMAIN), puid, NOW).await.unwrap().unwrap();
    }
    fixture
        .notify(vec![long(1, ALICE, None), long(2, ALICE, Some("once")), long(3, BOB, None)])
        .await;
    // Settled while the Application sees the user offline: it stays a taken row.
    fixture.set_visibility(ALICE, TestVisibility::Hidden);
    fixture.writer.settle(alice, vec![id(1)], Settlement::Acked).await.unwrap();
    fixture.writer.pause(bob, OTHER_APP, true).await.unwrap();
    fill_sessions(fixture, alice).await;
    // Since m0003.
    fixture.store.set_app_blocked(OTHER_APP, Some(NOW)).await.unwrap();
    fixture.store.set_devices_connected(true).await.unwrap();
    // Since m0011.
    fixture.store.put_acme_record(ACME_ACCOUNT, acme_account()).await.unwrap();
    fixture.take_events();
}

async fn fill_sessions(fixture: &Fixture, alice: UserId) {
    fixture.insert_session(&session(alice)).await;
    // Since m0002.
    fixture.store.record_generation(alice, &generation()).await.unwrap();
    fixture.insert_session(&session_with_generation(alice)).await;
    // Since m0006.
    let used = UsedThing::Session(session(alice).digest);
    fixture.store.record_uses(&[(used, NOW)]).await.unwrap();
    // Since m0009.
    let end = DeviceEnd {
        user: alice,
        device: "lost".parse().unwrap(),
        kept_session: Some([8; 32]),
        sessions: Vec::new(),
        assertions: vec![ENDED_ASSERTION],
    };
    fixture.store.end_device(&end).await.unwrap();
}

async fn fill_apps(fixture: &Fixture, owner: UserId) {
    fixture.app(APP, owner).await;
    fixture.app(OTHER_APP, owner).await;
    fixture.store.set_app_state(OTHER_APP, ApplicationState::Inactive).await.unwrap();
    let insert = async |prefix, digest| {
        fixture.store.insert_key(APP, (prefix, digest), NOW, 2).await.unwrap().unwrap()
    };
    let first = insert("prs_used", [1; 32]).await;
    insert("prs_new", [2; 32]).await;
    let uses = [(UsedThing::App(APP), NOW), (UsedThing::Key(first.id), NOW)];
    fixture.store.record_uses(&uses).await.unwrap();
}

/// Asserts that everything is stored that the schema could hold.
pub(super) async fn assert_found(fixture: &Fixture, schema: &str) {
    assert!(fixture.store.had_devices_connected());
    let email = |name: &str| Email::parse(&format!("{name}@b.example")).unwrap();
    let owner = fixture.store.find_user(&email("owner")).await.unwrap().unwrap();
    let alice = fixture.store.find_user(&email("alice")).await.unwrap().unwrap();
    let bob = fixture.store.find_user(&email("bob")).await.unwrap().unwrap();
    assert_apps(fixture, owner, schema).await;
    assert_sessions(fixture, alice, schema).await;
    assert_grants(fixture, bob).await;
    assert_eq!(fixture.pending(bob).await, [id(3)]);
    assert_queue(fixture, alice).await;
    let (kind, name) = ACME_ACCOUNT;
    let account = fixture.store.acme_record(kind, name).await.unwrap();
    assert!(account == (schema >= "m0011").then(acme_account), "the account at an authority");
}

async fn assert_apps(fixture: &Fixture, owner: UserId, schema: &str) {
    let mut looked_at = app(APP, owner);
    looked_at.last_looked_at = Some(NOW);
    // No dump before m0004 holds a blocked Application.
    let blocked_at = (schema >= "m0004").then_some(NOW);
    let inactive = App { state: ApplicationState::Inactive, blocked_at, ..app(OTHER_APP, owner) };
    assert_eq!(fixture.store.apps_of(owner).await.unwrap(), [looked_at, inactive]);
    let keys = fixture.store.keys_of(APP).await.unwrap();
    let known: Vec<_> = keys.iter().map(|key| (key.prefix.as_str(), key.last_used_at)).collect();
    assert_eq!(known, [("prs_used", Some(NOW)), ("prs_new", None)]);
}

async fn assert_sessions(fixture: &Fixture, alice: UserId, schema: &str) {
    let is_newest = schema >= "m0009";
    let ended = if is_newest { vec!["lost".parse().unwrap()] } else { Vec::new() };
    let marked = Session { ended_devices: EndedDevices::Named(ended), ..session(alice) };
    assert_eq!(fixture.session([7; 32], NOW).await.unwrap(), Some(marked));
    let assertions = fixture.store.ended_assertions(NOW, 9).await.unwrap();
    assert_eq!(assertions, Vec::from_iter(is_newest.then_some((alice, ENDED_ASSERTION))));
    if schema >= "m0002" {
        assert_eq!(
            fixture.session([8; 32], NOW).await.unwrap(),
            Some(session_with_generation(alice))
        );
        let outcome = fixture.store.record_generation(alice, &generation()).await.unwrap();
        assert_eq!(outcome, GenerationOutcome::Unchanged);
    }
}

async fn assert_grants(fixture: &Fixture, bob: UserId) {
    let grants = fixture.store.granted_apps(bob).await.unwrap();
    let mut paused: Vec<_> = grants.iter().map(|one| (one.grant.puid, one.grant.paused)).collect();
    paused.sort_unstable();
    assert_eq!(paused, [(BOB, false), (BOB_ELSEWHERE, true)]);
}

async fn assert_queue(fixture: &Fixture, alice: UserId) {
    assert_eq!(fixture.pending(alice).await, [id(2)]);
    let again = fixture.notify(vec![long(9, ALICE, Some("once"))]).await;
    assert_eq!(again[0].as_ref().unwrap().id, id(2), "the key is known");
    let mut other = long(9, ALICE, Some("once"));
    other.message = "another".to_owned();
    assert_eq!(fixture.notify(vec![other]).await, [Err(NotifyError::IdempotencyMismatch)]);
    fixture.set_visibility(ALICE, TestVisibility::Visible);
    fixture.release(ALICE).await;
    assert_eq!(fixture.receipts(), [(id(1), ReceiptState::Acked)]);
}

/// Returns the sequence number of the next notification. The dumps hold three notifications.
pub(super) async fn next_sequence_number(fixture: &Fixture) -> i64 {
    fixture.notify(vec![long(4, BOB, None)]).await[0].as_ref().unwrap();
    let events = fixture.take_events();
    let [CommittedEvent::Queued(queued)] = events.as_slice() else { panic!("{events:?}") };
    queued.seq
}

fn long(number: u128, puid: Puid, key: Option<&str>) -> NewNotification {
    let idempotency_key = key.map(str::to_owned);
    // Only the content counts for an idempotency key, so another id is fine.
    NewNotification {
        ttl: MAX_TTL,
        message: "Your move".to_owned(),
        idempotency_key,
        ..item(number, puid)
    }
}

fn acme_account() -> AcmeRecord {
    AcmeRecord { content: vec![7; 40], expires_at: None }
}

fn generation() -> CredentialGeneration {
    CredentialGeneration { issuer: "b.example".into(), number: 5 }
}

/// Returns a session that was opened with a proof of a generation.
fn session_with_generation(user: UserId) -> Session {
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
        ended_devices: EndedDevices::default(),
    }
}
