//! Poolers of connections between a server and PostgreSQL.

use presence_test_postgres::{Cluster, Pooler};
use presence_tests::run;

#[tokio::test]
async fn a_server_behind_a_proxy_that_pools_transactions_does_not_start_and_says_why() {
    let cluster = Cluster::shared();
    let pooler = Pooler::start(
        cluster,
        &["pool_mode = transaction", "ignore_startup_parameters = options,extra_float_digits"],
    );
    let database = cluster.create_database();
    let url = pooler.url(database.rsplit('/').next().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let reason = "a proxy that pools transactions must not be between";
    run(directory.path(), &["check", "--dev", "--database", &url], &[]).await.failed(1, reason);
    let start = ["--dev", "--listen", "127.0.0.1:0", "--database", &url];
    run(directory.path(), &start, &[]).await.failed(1, reason);
}
