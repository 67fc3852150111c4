//! TLS between a server and PostgreSQL.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use presence_test_postgres::Cluster;
use presence_tests::{CertificateAuthority, Server, ServerOptions, run};

/// Writes a file that only the user of the cluster can read.
fn write_private(cluster: &Cluster, name: &str, content: &[u8]) -> String {
    let path = cluster.folder().join(name);
    std::fs::write(&path, content).unwrap();
    let owner = std::fs::metadata(cluster.folder().join("data")).unwrap();
    std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

async fn check(directory: &Path, url: &str) -> presence_tests::CommandOutput {
    run(directory, &["check", "--dev", "--database", url], &[]).await
}

#[tokio::test]
async fn with_sslmode_a_server_uses_postgresql_over_tls_and_only_one_with_the_right_certificate() {
    let authority = CertificateAuthority::default();
    let cluster = Cluster::start(&[]);
    let certificate = std::fs::read(authority.certificate()).unwrap();
    let certificate = write_private(&cluster, "server.crt", &certificate);
    let key = write_private(&cluster, "server.key", &std::fs::read(authority.key()).unwrap());
    for (name, value) in [("ssl", "on"), ("ssl_cert_file", &certificate), ("ssl_key_file", &key)] {
        cluster.run_sql("postgres", &format!("ALTER SYSTEM SET {name} = '{value}'"));
    }
    cluster.control(&["restart", "-m", "fast"]);

    let directory = tempfile::tempdir().unwrap();
    let write_root = |name: &str, authority: &CertificateAuthority| {
        let path = directory.path().join(name);
        std::fs::write(&path, authority.root_pem()).unwrap();
        path.display().to_string()
    };
    let root = write_root("root.pem", &authority);
    let other = write_root("other.pem", &CertificateAuthority::default());
    let url =
        |root: &str| format!("{}?sslmode=verify-full&sslrootcert={root}", cluster.url("postgres"));
    let refused = check(directory.path(), &url(&other)).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("cannot be reached with TLS as sslmode asks for"), "{refused:?}");
    let accepted = check(directory.path(), &url(&root)).await;
    assert!(accepted.out.contains("database: ok"), "{accepted:?}");

    let server = Server::start(ServerOptions::default().with_database(&url(&root))).await;
    server.sign_in("alice").await;
    let sql = "SELECT count(*) FILTER (WHERE NOT s.ssl), count(*) > 0 FROM pg_stat_ssl s \
               JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'presence'";
    assert_eq!(cluster.run_sql("postgres", sql).trim(), "0|t", "all connections use TLS");
}
