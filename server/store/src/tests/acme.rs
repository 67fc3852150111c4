//! The records of ACME, and the lease of the server that orders.

use presence_core::UnixMillis;
use tokio::task::JoinSet;

use super::fixture::{Fixture, HOUR, NOW};
use crate::{AcmeRecord, AcmeRecordKind};

fn record(content: u8, expires_at: Option<UnixMillis>) -> AcmeRecord {
    AcmeRecord { content: vec![content], expires_at }
}

#[tokio::test]
async fn one_server_at_a_time_has_the_lease_until_it_ends_or_is_given_back() {
    let fixture = Fixture::new().await;
    let take = async |holder: &[u8], now, until| {
        fixture.store.take_acme_lease(holder, now, until).await.unwrap()
    };
    let (first, second) = (b"first".as_slice(), b"second".as_slice());
    assert!(take(first, NOW, NOW + HOUR).await);
    assert!(!take(second, NOW, NOW + HOUR * 9).await);
    assert!(take(first, NOW + HOUR / 2, NOW + HOUR * 2).await, "the holder extends it");
    assert!(!take(second, NOW + HOUR, NOW + HOUR * 9).await);
    assert!(take(second, NOW + HOUR * 2, NOW + HOUR * 3).await, "it is over");
    fixture.store.release_acme_lease(first).await.unwrap();
    assert!(!take(first, NOW + HOUR * 2, NOW + HOUR * 3).await, "it is that of the other");
    fixture.store.release_acme_lease(second).await.unwrap();
    assert!(take(first, NOW + HOUR * 2, NOW + HOUR * 3).await);
}

#[tokio::test]
async fn of_many_servers_at_once_one_gets_the_lease() {
    let fixture = Fixture::new().await;
    let mut servers = JoinSet::new();
    for holder in 0..16 {
        let store = fixture.store.clone();
        servers.spawn(async move { store.take_acme_lease(&[holder], NOW, NOW + HOUR).await });
    }
    let outcomes = servers.join_all().await;
    let count = outcomes.into_iter().filter(|taken| *taken.as_ref().unwrap()).count();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn a_record_is_replaced_removed_and_purged_when_it_expires() {
    let fixture = Fixture::new().await;
    let (account, certificate) = (AcmeRecordKind::Account, AcmeRecordKind::Certificate);
    let put = async |kind, name, record| {
        fixture.store.put_acme_record((kind, name), record).await.unwrap();
    };
    let get = async |kind, name| fixture.store.acme_record(kind, name).await.unwrap();
    put(account, "a", record(1, None)).await;
    put(certificate, "a", record(2, Some(NOW))).await;
    put(certificate, "a", record(3, Some(NOW + HOUR))).await;
    put(certificate, "b", record(4, Some(NOW))).await;
    assert!(get(certificate, "a").await == Some(record(3, Some(NOW + HOUR))));
    let last = fixture.store.last_acme_record(certificate).await.unwrap();
    assert!(last == Some(("a".to_owned(), record(3, Some(NOW + HOUR)))));
    fixture.store.purge(NOW).await.unwrap();
    assert!(get(certificate, "b").await.is_none());
    assert!(get(account, "a").await.is_some() && get(certificate, "a").await.is_some());
    fixture.store.remove_acme_record(account, "a").await.unwrap();
    assert!(get(account, "a").await.is_none() && get(certificate, "a").await.is_some());
}
