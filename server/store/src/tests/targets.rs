//! What the writer remembers of grants is what the tables hold, whatever has happened to them since.

use presence_core::model::Settlement;
use presence_protocol::Puid;

use super::house::{APP, HOUR, House, NOW, id, item};
use crate::apps::AppChanges;
use crate::{CommittedEvent, NotifyError, Reachability};

#[tokio::test]
async fn a_queue_is_counted_right_whatever_has_left_it() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.notify(vec![item(1, puid), item(2, puid), item(3, puid)]).await;
    house.writer.settle(alice, vec![id(2)], Settlement::Acked).await.unwrap();
    assert_eq!(house.queue(4, puid).await, 3, "one was acknowledged");
    house.set_reach(puid, Reachability::Unseen);
    house.writer.settle(alice, vec![id(1)], Settlement::Acked).await.unwrap();
    assert_eq!(house.queue(5, puid).await, 4, "a receipt that is withheld has its place");
    house.set_reach(puid, Reachability::Seen);
    house.writer.release(APP, puid).await.unwrap();
    assert_eq!(house.queue(6, puid).await, 4, "it was released");
    house.pass(HOUR);
    house.writer.expire().await.unwrap();
    assert_eq!(house.queue(7, puid).await, 1, "all have expired");
    house.notify((100..200).map(|n| item(n, puid)).collect()).await;
    house.writer.settle(alice, (100..150).map(id).collect(), Settlement::Acked).await.unwrap();
    assert_eq!(house.queue(8, puid).await, 51, "those that made room were counted once");
}

#[tokio::test]
async fn what_was_counted_and_then_undone_is_counted_again() {
    let house = House::new().await;
    let (_, puid) = house.granted("alice", 1).await;
    house.queue(1, puid).await;
    let twice = vec![item(2, puid), item(3, puid), item(1, puid)];
    house.writer.notify(APP, twice).await.unwrap_err();
    assert_eq!(house.queue(4, puid).await, 2);
}

#[tokio::test]
async fn a_pause_is_known_to_the_next_notification() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.queue(1, puid).await;
    house.writer.pause(alice, APP, true).await.unwrap();
    house.done();
    house.queue(2, puid).await;
    assert!(house.done().is_empty(), "nobody is told while it is paused");
    house.writer.pause(alice, APP, false).await.unwrap();
    house.done();
    house.queue(3, puid).await;
    assert!(
        matches!(house.done().as_slice(), [CommittedEvent::Queued(queued)] if queued.id == id(3))
    );
}

#[tokio::test]
async fn an_application_is_named_as_it_is_called_now() {
    let house = House::new().await;
    let (_, puid) = house.granted("alice", 1).await;
    house.queue(1, puid).await;
    let name = Some("Draughts".to_owned());
    house.store.update_app(APP, AppChanges { name, ..AppChanges::default() }).await.unwrap();
    house.done();
    house.queue(2, puid).await;
    let done = house.done();
    assert!(
        matches!(done.as_slice(), [CommittedEvent::Queued(queued)] if &*queued.source == "Draughts")
    );
}

#[tokio::test]
async fn a_grant_that_has_ended_is_unknown_however_it_ended() {
    let house = House::new().await;
    let (alice, revoked) = house.granted("alice", 1).await;
    let (bob, erased) = house.granted("bob", 2).await;
    let (_, removed) = house.granted("carol", 3).await;
    for (n, puid) in [(1, revoked), (2, erased), (3, removed)] {
        house.queue(n, puid).await;
    }
    house.writer.revoke(alice, APP).await.unwrap().unwrap();
    assert!(house.writer.erase_user(bob).await.unwrap());
    let answers = house.notify(vec![item(4, revoked), item(5, erased), item(6, removed)]).await;
    assert_eq!(answers[..2], [Err(NotifyError::UnknownUid), Err(NotifyError::UnknownUid)]);
    assert_eq!(answers[2].as_ref().unwrap().queue_size, 2);
    assert!(house.writer.remove_app(APP).await.unwrap());
    // Another one by the same id, so that it is not for want of an Application.
    house.app(APP, house.user("owner").await).await;
    assert_eq!(house.notify(vec![item(7, removed)]).await, [Err(NotifyError::UnknownUid)]);
}

/// More grants than are remembered, of which the first is asked for again.
#[tokio::test]
async fn one_of_many_grants_is_counted_right() {
    const GRANTS: u128 = 33_000;
    let house = House::new().await;
    let (_, first) = house.granted("alice", 0).await;
    house.sql(&many_grants(GRANTS)).await;
    assert_eq!(house.queue(GRANTS + 1, first).await, 1);
    let puids: Vec<u128> = (1..=GRANTS).collect();
    for puids in puids.chunks(500) {
        let items = puids.iter().map(|&n| item(n, Puid::from_bits(n))).collect();
        for answer in house.notify(items).await {
            assert_eq!(answer.unwrap().queue_size, 1);
        }
    }
    for (n, puid) in [(2, first), (3, Puid::from_bits(1)), (4, Puid::from_bits(GRANTS))] {
        assert_eq!(house.queue(GRANTS + n, puid).await, 2);
    }
}

fn many_grants(count: u128) -> String {
    let (app, now) = (APP, NOW.get());
    format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         INSERT INTO users (id, email, created_at) SELECT 1000 + i, 'u' || i || '@b.example', {now} FROM n; \
         INSERT INTO grants (puid, app_id, user_id, paused, granted_at) \
         SELECT printf('%032x', id - 1000), '{app}', id, FALSE, {now} FROM users WHERE id > 1000;"
    )
}
