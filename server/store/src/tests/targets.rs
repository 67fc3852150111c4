//! The writer's cache of grants always equals the tables.

use presence_core::model::Settlement;
use presence_protocol::Puid;

use super::fixture::{APP, Fixture, HOUR, NOW, TestVisibility, id, item, uses_postgres};
use crate::apps::AppChanges;
use crate::{CommittedEvent, NotifyError};

#[tokio::test]
async fn the_size_of_a_queue_is_correct_after_every_kind_of_removal() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.notify(vec![item(1, puid), item(2, puid), item(3, puid)]).await;
    fixture.writer.settle(alice, vec![id(2)], Settlement::Acked).await.unwrap();
    assert_eq!(fixture.queue(4, puid).await, 3, "one was acknowledged");
    fixture.set_visibility(puid, TestVisibility::Hidden);
    fixture.writer.settle(alice, vec![id(1)], Settlement::Acked).await.unwrap();
    assert_eq!(fixture.queue(5, puid).await, 4, "a taken notification counts");
    fixture.set_visibility(puid, TestVisibility::Visible);
    fixture.release(puid).await;
    assert_eq!(fixture.queue(6, puid).await, 4, "it was released");
    fixture.advance(HOUR);
    fixture.writer.expire().await.unwrap();
    assert_eq!(fixture.queue(7, puid).await, 1, "all have expired");
    fixture.notify((100..200).map(|n| item(n, puid)).collect()).await;
    fixture.writer.settle(alice, (100..150).map(id).collect(), Settlement::Acked).await.unwrap();
    assert_eq!(fixture.queue(8, puid).await, 51, "the removed ones were counted once");
}

#[tokio::test]
async fn the_size_of_a_queue_is_correct_after_a_rollback() {
    let fixture = Fixture::new().await;
    let (_, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    let twice = vec![item(2, puid), item(3, puid), item(1, puid)];
    fixture.writer.notify(APP, twice).await.unwrap_err();
    assert_eq!(fixture.queue(4, puid).await, 2);
}

#[tokio::test]
async fn a_pause_applies_to_the_next_notification() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    fixture.writer.pause(alice, APP, true).await.unwrap();
    fixture.take_events();
    fixture.queue(2, puid).await;
    assert!(fixture.take_events().is_empty(), "nothing is delivered while it is paused");
    fixture.writer.pause(alice, APP, false).await.unwrap();
    fixture.take_events();
    fixture.queue(3, puid).await;
    assert!(
        matches!(fixture.take_events().as_slice(), [CommittedEvent::Queued(queued)] if queued.id == id(3))
    );
}

#[tokio::test]
async fn a_notification_has_the_current_name_of_its_application() {
    let fixture = Fixture::new().await;
    let (_, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    let name = Some("Draughts".to_owned());
    fixture.store.update_app(APP, AppChanges { name, ..AppChanges::default() }, NOW).await.unwrap();
    fixture.take_events();
    fixture.queue(2, puid).await;
    let events = fixture.take_events();
    let [CommittedEvent::Queued(queued)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(&*queued.source, "Draughts (before: Chess)");
    assert_eq!((&*queued.application, &*queued.domain), (&*queued.source, "chess.example"));
}

#[tokio::test]
async fn an_ended_grant_is_unknown_however_it_ended() {
    let fixture = Fixture::new().await;
    let (alice, revoked) = fixture.user_with_grant("alice", 1).await;
    let (bob, erased) = fixture.user_with_grant("bob", 2).await;
    let (_, removed) = fixture.user_with_grant("carol", 3).await;
    for (n, puid) in [(1, revoked), (2, erased), (3, removed)] {
        fixture.queue(n, puid).await;
    }
    fixture.writer.revoke(alice, APP).await.unwrap().unwrap();
    assert!(fixture.writer.erase_user(bob).await.unwrap());
    let answers = fixture.notify(vec![item(4, revoked), item(5, erased), item(6, removed)]).await;
    assert_eq!(answers[..2], [Err(NotifyError::UnknownUid), Err(NotifyError::UnknownUid)]);
    assert_eq!(answers[2].as_ref().unwrap().queue_size, 2);
    assert!(fixture.writer.remove_app(APP).await.unwrap());
    // A new Application with the same id, so that only the grant is missing.
    fixture.app(APP, fixture.user("owner").await).await;
    assert_eq!(fixture.notify(vec![item(7, removed)]).await, [Err(NotifyError::UnknownUid)]);
}

/// Uses more grants than the cache holds, and the first one again.
#[tokio::test]
async fn the_size_of_a_queue_is_correct_among_many_grants() {
    const GRANTS: u128 = 33_000;
    let fixture = Fixture::new().await;
    let (_, first) = fixture.user_with_grant("alice", 0).await;
    fixture.sql(&many_grants(GRANTS)).await;
    assert_eq!(fixture.queue(GRANTS + 1, first).await, 1);
    let puids: Vec<u128> = (1..=GRANTS).collect();
    for puids in puids.chunks(500) {
        let items = puids.iter().map(|&n| item(n, Puid::from_bits(n))).collect();
        for answer in fixture.notify(items).await {
            assert_eq!(answer.unwrap().queue_size, 1);
        }
    }
    for (n, puid) in [(2, first), (3, Puid::from_bits(1)), (4, Puid::from_bits(GRANTS))] {
        assert_eq!(fixture.queue(GRANTS + n, puid).await, 2);
    }
}

#[tokio::test]
async fn only_a_grant_that_exists_has_a_limit() {
    let fixture = Fixture::new().await;
    let (_, alice) = fixture.user_with_grant("alice", 1).await;
    let (_, bob) = fixture.user_with_grant("bob", 2).await;
    fixture.use_up_limit(bob);
    let made_up = (100..500).map(|n| item(n, Puid::from_bits(n)));
    let items = made_up.chain([item(1, alice), item(2, bob)]).collect();
    let answers = fixture.notify(items).await;
    assert_eq!(answers[..400], vec![Err(NotifyError::UnknownUid); 400]);
    assert_eq!(answers[400].as_ref().unwrap().queue_size, 1);
    assert_eq!(answers[401], Err(NotifyError::TooFast(HOUR)));
    assert_eq!(fixture.asked_limits(), [alice, bob]);
}

fn many_grants(count: u128) -> String {
    let (app, now) = (APP, NOW.get());
    let puid = if uses_postgres() {
        "lpad(to_hex(id - 1000), 32, '0')"
    } else {
        "printf('%032x', id - 1000)"
    };
    format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         INSERT INTO users (id, email, created_at) SELECT 1000 + i, 'u' || i || '@b.example', {now} FROM n; \
         INSERT INTO grants (puid, app_id, user_id, paused, granted_at) \
         SELECT {puid}, '{app}', id, FALSE, {now} FROM users WHERE id > 1000;"
    )
}
