//! Values that can be used once at all servers together.

use tokio::task::JoinSet;

use super::super::fixture::{Fixture, HOUR, NOW};
use crate::{NewOneTimeValue, OneTimeKind, OneTimeOutcome};

const LIMIT: usize = 5;

#[tokio::test]
async fn of_many_values_at_two_servers_at_once_a_user_gets_as_many_as_the_limit() {
    let fixture = Fixture::on_postgres().await;
    let alice = fixture.user("alice").await;
    let other = fixture.another_server().await;
    let mut tasks = JoinSet::new();
    for n in 0..20 {
        let store = if n % 2 == 0 { fixture.store.clone() } else { other.clone() };
        tasks.spawn(async move {
            let (kind, digest, expires_at) = (OneTimeKind::Ticket, [n; 32], NOW + HOUR);
            let value = NewOneTimeValue { kind, digest, owner: alice, content: b"", expires_at };
            store.live().unwrap().add_one_time(value, LIMIT, NOW).await.unwrap()
        });
    }
    let outcomes = tasks.join_all().await;
    let count = |wanted: OneTimeOutcome| outcomes.iter().filter(|it| **it == wanted).count();
    assert_eq!(count(OneTimeOutcome::New), LIMIT, "{outcomes:?}");
    assert_eq!(count(OneTimeOutcome::Full(NOW + HOUR)), 15, "{outcomes:?}");
}

#[tokio::test]
async fn a_restored_value_is_known_and_changes_none_that_is_stored() {
    let fixture = Fixture::on_postgres().await;
    let alice = fixture.user("alice").await;
    let live = fixture.store.live().unwrap();
    let (kind, expires_at) = (OneTimeKind::Assertion, NOW + HOUR);
    let value = NewOneTimeValue { kind, digest: [1; 32], owner: alice, content: b"d", expires_at };
    assert_eq!(live.add_one_time(value, LIMIT, NOW).await.unwrap(), OneTimeOutcome::New);
    let values = [1, 2].map(|n| (alice, ([n; 32], expires_at)));
    for _ in 0..2 {
        live.restore_one_time((kind, b"e"), &values).await.unwrap();
    }
    let content = async |n: u8| live.one_time(kind, &[n; 32], NOW).await.unwrap();
    assert_eq!((content(1).await, content(2).await), (Some(b"d".into()), Some(b"e".into())));
}

#[tokio::test]
async fn a_value_that_two_servers_store_at_once_is_new_to_one_of_them() {
    let fixture = Fixture::on_postgres().await;
    let alice = fixture.user("alice").await;
    let bob = fixture.user("bob").await;
    let other = fixture.another_server().await;
    for n in 0..20 {
        let add = async |store: &crate::Store, owner, content: &[u8]| {
            let (kind, expires_at) = (OneTimeKind::Assertion, NOW + HOUR);
            let value = NewOneTimeValue { kind, digest: [n; 32], owner, content, expires_at };
            store.live().unwrap().add_one_time(value, 100, NOW).await.unwrap()
        };
        let outcomes = tokio::join!(add(&fixture.store, alice, b"one"), add(&other, bob, b"other"));
        match outcomes {
            (OneTimeOutcome::New, OneTimeOutcome::Known(content)) => assert_eq!(content, b"one"),
            (OneTimeOutcome::Known(content), OneTimeOutcome::New) => assert_eq!(content, b"other"),
            _ => panic!("{outcomes:?}"),
        }
    }
}
