//! `PgBouncer` between a server and a cluster.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, Stdio};

use crate::cluster::{Cluster, as_postgres, free_port};

/// A running `PgBouncer`. It is stopped when the test process ends, however it ends.
pub struct Pooler {
    port: u16,
    /// The pipe whose end stops it.
    stdin: Option<ChildStdin>,
    /// Its log, which is short.
    _log: BufReader<ChildStderr>,
    script: Child,
}

impl Pooler {
    /// Starts a pooler of a cluster with further settings, such as `pool_mode = transaction`.
    ///
    /// # Panics
    ///
    /// If `PgBouncer` is not installed or cannot be started.
    pub fn start(cluster: &Cluster, settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("presence-pooler-").tempdir().unwrap().keep();
        let port = free_port();
        write_settings(&folder, (cluster.port(), port), settings);
        let mut script = as_postgres(&folder);
        script.arg("sh").arg("-c").arg(include_str!("../pooler.sh")).arg("pooler.sh");
        script.arg(program()).arg(&folder).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut script = script.current_dir("/").spawn().unwrap();
        let stdin = script.stdin.take();
        let mut log = BufReader::new(script.stderr.take().unwrap());
        let mut lines = String::new();
        while !lines.contains("process up") {
            let read = log.read_line(&mut lines).unwrap();
            assert!(read > 0, "PgBouncer does not start: {lines}");
        }
        Self { port, stdin, _log: log, script }
    }

    /// Returns the URL of a database of the cluster, by way of the pooler.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://presence@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.stdin.take());
        self.script.wait().ok();
    }
}

fn write_settings(folder: &Path, (cluster, port): (u16, u16), settings: &[&str]) {
    let users = folder.join("users");
    std::fs::write(&users, "\"presence\" \"\"\n").unwrap();
    let text = format!(
        "[databases]\n\
         * = host=127.0.0.1 port={cluster}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = trust\n\
         auth_file = {}\n\
         log_connections = 0\n\
         log_disconnections = 0\n\
         log_stats = 0\n\
         {}\n",
        users.display(),
        settings.join("\n"),
    );
    std::fs::write(folder.join("pgbouncer.ini"), text).unwrap();
}

/// Returns the program. Debian installs it where only root looks for programs.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| program.exists())
        .unwrap_or_else(|| panic!("PgBouncer is not installed: apt-get install pgbouncer"))
}
