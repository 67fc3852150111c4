//! The epoch in which the live tables were filled.

use std::time::Duration;

use presence_test_postgres::Cluster;

use super::super::fixture::NOW;
use crate::{CommonSettings, Epoch, Joined, NewNode, Store};

async fn join(store: &Store, id: i64) -> Epoch {
    let (name, version, settings) = (String::new(), String::new(), CommonSettings::default());
    let node = NewNode { id, name, version, settings };
    match store.live().unwrap().join(&node, Duration::ZERO).await.unwrap() {
        Joined::Epoch(epoch) => epoch,
        Joined::OtherSettings { differences, .. } => panic!("{differences}"),
    }
}

#[tokio::test]
async fn a_copy_of_a_database_begins_a_later_epoch_without_the_presence_of_the_original() {
    let original = Cluster::shared().create_database();
    let store = Store::open(&original, NOW).await.unwrap();
    let epoch = join(&store, 1).await;
    assert_eq!(join(&store, 2).await, epoch);
    store.close().await.unwrap();
    let (name, copy) = (original.rsplit('/').next().unwrap(), format!("copy{}", epoch.id));
    Cluster::shared().end_connections(name);
    Cluster::shared().run_sql("postgres", &format!("CREATE DATABASE {copy} TEMPLATE {name}"));
    let store = Store::open(&Cluster::shared().url(&copy), NOW).await.unwrap();
    let of_copy = join(&store, 3).await;
    assert!(of_copy.id != epoch.id && of_copy.number > epoch.number, "{epoch:?} {of_copy:?}");
    store.close().await.unwrap();
    let store = Store::open(&original, NOW).await.unwrap();
    assert_eq!(join(&store, 4).await, epoch, "the original goes on");
    store.close().await.unwrap();
}
