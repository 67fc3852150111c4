//! Opening a PostgreSQL database: refusals and their texts.

use std::time::Duration;

use presence_test_postgres::{Cluster, Pooler};

use super::super::fixture::NOW;
use crate::{Store, StoreError, StoreSettings};

async fn refused(url: &str) -> StoreError {
    let settings = StoreSettings { deadline: Duration::from_secs(2), ..StoreSettings::default() };
    let error = Store::open_with(url, NOW, settings).await.err().unwrap();
    let text = error.to_string();
    assert!(!text.contains('\n') && !text.contains("secret"), "{text}");
    error
}

#[tokio::test]
async fn an_empty_database_gets_its_tables_and_servers_share_it() {
    let url = Cluster::shared().create_database();
    let found = Store::inspect(&url).await.unwrap();
    assert_eq!((found.in_use, found.schema), (false, None));
    let store = Store::open(&url, NOW).await.unwrap();
    let found = Store::inspect(&url).await.unwrap();
    assert_eq!((found.in_use, found.schema), (true, Some(found.newest)));
    let second = Store::open(&url, NOW).await.unwrap();
    assert_eq!(second.epoch(), store.epoch() + 1);
    for store in [store, second] {
        store.close().await.unwrap();
    }
    assert!(!Store::inspect(&url).await.unwrap().in_use);
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_or_refuses_is_named_without_the_password() {
    let cluster = Cluster::shared();
    let port = cluster.port();
    let nobody = "postgres://presence:secret@127.0.0.1:1/presence";
    let error = refused(nobody).await;
    assert_eq!(error.to_string(), "the database presence at 127.0.0.1:1 cannot be reached");
    let unknown = format!("postgresql://nobody:secret@127.0.0.1:{port}/postgres");
    let error = refused(&unknown).await;
    assert!(matches!(error, StoreError::NotAuthenticated(_)), "{error}");
    let missing = format!("postgres://presence:secret@127.0.0.1:{port}/missing");
    let error = refused(&missing).await;
    assert!(matches!(error, StoreError::NoDatabase(_)), "{error}");
    let tls = format!("postgres://presence:secret@127.0.0.1:{port}/postgres?sslmode=require");
    let error = refused(&tls).await;
    assert!(matches!(error, StoreError::NoTls(_)), "{error}");
    for url in ["postgres://", "postgres://host:port/x", "postgres://h/x?sslmode=maybe"] {
        let error = refused(url).await;
        assert!(matches!(error, StoreError::BadUrl), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_refused_with_the_reason() {
    let cluster = Cluster::shared();
    cluster.run_sql("postgres", "CREATE ROLE guest LOGIN");
    let url = cluster.create_database();
    let name = url.rsplit('/').next().unwrap();
    cluster.run_sql(name, "REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let error = refused(&url.replace("presence@", "guest@")).await;
    assert!(matches!(error, StoreError::NoRights(_)), "{error}");
    cluster.run_sql(
        "postgres",
        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
    );
    let error = refused(&cluster.url("latin")).await;
    assert!(error.to_string().ends_with("has the encoding LATIN1: create it with UTF8"), "{error}");
    let url = cluster.create_database();
    let name = url.rsplit('/').next().unwrap();
    let read_only = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    cluster.run_sql("postgres", &read_only);
    let error = refused(&url).await;
    assert!(matches!(error, StoreError::Standby(_)), "{error}");
}

#[tokio::test]
async fn a_proxy_that_pools_transactions_is_named_and_one_that_pools_sessions_is_accepted() {
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    let name = database.rsplit('/').next().unwrap();
    let ignored = "ignore_startup_parameters = options,extra_float_digits";
    let transactions = ["pool_mode = transaction"].as_slice();
    for settings in [transactions, &["pool_mode = transaction", ignored]] {
        let pooler = Pooler::start(cluster, settings);
        let url = pooler.url(name);
        let error = refused(&url).await;
        assert!(matches!(error, StoreError::PooledTransactions(_)), "{settings:?}: {error}");
    }
    let pooler = Pooler::start(cluster, &["pool_mode = session", ignored]);
    let url = pooler.url(name);
    Store::open(&url, NOW).await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn a_database_may_be_one_migration_ahead_and_is_refused_if_it_is_two_ahead() {
    let cluster = Cluster::shared();
    let url = cluster.create_database();
    Store::open(&url, NOW).await.unwrap().close().await.unwrap();
    let name = url.rsplit('/').next().unwrap();
    let add = |migration| {
        let values = format!("('{migration}', 0)");
        cluster.run_sql(
            name,
            &format!("INSERT INTO seaql_migrations (version, applied_at) VALUES {values}"),
        );
    };
    add("m9998_next");
    Store::open(&url, NOW).await.unwrap().close().await.unwrap();
    add("m9999_later");
    let error = refused(&url).await;
    assert!(matches!(&error, StoreError::TooNew(name) if name == "m9999_later"), "{error}");
}
