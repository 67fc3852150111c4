//! The plans of statements on PostgreSQL.

use std::collections::BTreeMap;

use presence_core::model::Settlement;
use presence_protocol::limits::MAX_QUEUE_ITEMS;
use presence_test_postgres::Cluster;

use super::super::fixture::{APP, DOMAIN, Fixture, HOUR, NOW, id, item, session};
use crate::postgres::connection::LANE_SETTINGS;

/// Tables of which a server has a few rows, or reads all.
const SMALL: &[&str] = &["seaql_migrations", "meta", "live_epoch", "live_nodes", "nodes"];

/// Waits until all connections have ended, and with it have counted what they read.
fn wait_until_left(database: &str) {
    let busy = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
    while Cluster::shared().run_sql("postgres", &busy).trim() != "0" {}
}

/// Returns how often each other table was read as a whole, by connections that have ended.
fn whole_reads(database: &str) -> BTreeMap<String, u64> {
    wait_until_left(database);
    let sql = "SELECT relname, seq_scan FROM pg_stat_user_tables";
    let rows = Cluster::shared().run_sql(database, sql);
    let row = |line: &str| {
        let (table, count) = line.split_once('|')?;
        Some((table.to_owned(), count.parse().ok()?))
    };
    rows.lines().filter_map(row).filter(|it| !SMALL.contains(&it.0.as_str())).collect()
}

#[tokio::test]
async fn no_statement_of_the_writer_reads_a_whole_table_however_small_it_is() {
    let fixture = Fixture::on_postgres().await;
    let database = fixture.database_name();
    let dir = fixture.close().await;
    let before = whole_reads(&database);
    let fixture = Fixture::open_at(dir, &Cluster::shared().url(&database), NOW).await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    let (bob, _) = fixture.user_with_grant("bob", 2).await;
    fixture.insert_session(&session(alice, 1)).await;
    for number in 1..=3 {
        fixture.queue(number, puid).await;
    }
    fixture.load(alice).await;
    fixture.writer.settle(alice, vec![id(1)], Settlement::Acked).await.unwrap();
    fixture.writer.notify(APP, vec![item(4, puid), item(5, puid)]).await.unwrap();
    fixture.writer.pause(alice, APP, true).await.unwrap();
    fixture.writer.revoke(alice, APP).await.unwrap();
    fixture.writer.grant(alice, (APP, DOMAIN), puid, NOW).await.unwrap().unwrap();
    fixture.advance(HOUR);
    fixture.writer.expire().await.unwrap();
    fixture.writer.erase_user(bob).await.unwrap();
    drop(fixture.close().await);
    assert_eq!(whole_reads(&database), before);
}

/// Returns how many rows of notifications were read, by connections that have ended.
fn read_notifications(database: &str) -> u64 {
    wait_until_left(database);
    let sql = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables \
               WHERE relname = 'notifications'";
    Cluster::shared().run_sql(database, sql).trim().parse().unwrap()
}

#[tokio::test]
async fn an_eviction_reads_a_queue_a_few_times_and_not_once_for_each_of_its_rows() {
    let fixture = Fixture::on_postgres().await;
    let database = fixture.database_name();
    let (_, puid) = fixture.user_with_grant("alice", 1).await;
    let items = (1..=MAX_QUEUE_ITEMS as u128).map(|number| item(number, puid)).collect();
    fixture.writer.notify(APP, items).await.unwrap();
    let dir = fixture.close().await;
    let before = read_notifications(&database);
    let fixture = Fixture::open_at(dir, &Cluster::shared().url(&database), NOW).await;
    fixture.writer.notify(APP, vec![item(1_001, puid), item(1_002, puid)]).await.unwrap();
    drop(fixture.close().await);
    let read = read_notifications(&database) - before;
    assert!((2..=10 * MAX_QUEUE_ITEMS as u64).contains(&read), "{read} rows were read");
}

/// Returns a statement that shows these users to an Application for the first time.
fn apply(first: u64, last: u64) -> String {
    let each =
        |value: &str| format!("ARRAY(SELECT {value} FROM generate_series({first}, {last}) u)");
    let fixed = |value: &str| each(&format!("{value} + 0 * u"));
    format!(
        "SELECT count(*) FROM presence_apply_1(1, 1, 0, {users}, {none}, {none}, {rosters}, {none}, \
         '{{}}', '{{}}', '{{}}', {users}, {apps}, {puids}, {shown}, {causes}, {texts}); ",
        users = each("u::bigint"),
        none = fixed("-1::bigint"),
        rosters = each("'roster'::bytea"),
        apps = each("1"),
        puids = each("lpad(u::text, 32, '0')::uuid"),
        shown = each("1::smallint"),
        causes = each("-1::smallint"),
        texts = each("'+here'"),
    )
}

/// Returns how many rows of a table were found by its indexes, by connections that have ended.
fn found_rows(database: &str, table: &str) -> u64 {
    wait_until_left(database);
    let sql =
        format!("SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = '{table}'");
    Cluster::shared().run_sql(database, &sql).trim().parse().unwrap()
}

#[tokio::test]
async fn a_batch_reads_its_own_rows_also_by_a_plan_of_when_the_tables_were_empty() {
    const BATCH: u64 = 100;
    let fixture = Fixture::on_postgres().await;
    let database = fixture.database_name();
    drop(fixture.close().await);
    let run = |sql: &str| Cluster::shared().run_sql(&database, sql);
    run("INSERT INTO live_epoch (id, database, number, warm_at) VALUES (1, '', 1, 0); \
         INSERT INTO live_nodes VALUES (1, 0); INSERT INTO live_streams VALUES (1, 0, true, 0, 0)");
    let tables = ["live_users", "live_now", "live_log"];
    tables.iter().for_each(|table| drop(run(&format!("VACUUM ANALYZE {table}"))));
    let before = tables.map(|table| found_rows(&database, table));
    let many: String =
        (0..20).map(|batch| apply(2 + batch * BATCH, 1 + (batch + 1) * BATCH)).collect();
    let settings = LANE_SETTINGS.map(|(name, value)| format!("SET {name} = {value}; ")).concat();
    run(&format!("{settings}{}{many}", apply(1, 1)));
    for (table, before) in tables.iter().zip(before) {
        let read = found_rows(&database, table) - before;
        assert!(read <= 20 * BATCH * 10, "{read} rows of {table} were read");
    }
}
