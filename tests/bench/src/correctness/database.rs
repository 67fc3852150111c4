//! Faults of PostgreSQL.

use std::process::{Command, Stdio};
use std::time::Duration;

use presence_test_postgres::Cluster;
use tokio::time::sleep;

/// The database that the servers share.
pub(crate) struct Database<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) name: &'a str,
}

impl Database<'_> {
    /// Ends all connections to the database.
    pub(crate) fn end_backends(&self) {
        self.cluster.end_connections(self.name);
    }

    /// Kills the process of a connection. PostgreSQL then ends all others, and empties unlogged
    /// tables.
    pub(crate) fn kill_a_backend(&self) {
        let sql =
            format!("SELECT pid FROM pg_stat_activity WHERE datname = '{}' LIMIT 1", self.name);
        let pid = self.cluster.run_sql("postgres", &sql);
        send_signal("KILL", pid.trim());
    }

    /// Stops PostgreSQL in a mode of `pg_ctl`, and starts it again after some time.
    pub(crate) async fn restart(&self, mode: &str, away: Duration) {
        self.cluster.control(&["stop", "-m", mode]);
        sleep(away).await;
        self.cluster.control(&["start"]);
    }

    /// Sends a signal to all processes of PostgreSQL.
    pub(crate) fn signal(&self, name: &str) {
        let main = self.cluster.pid().to_string();
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &main]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        children.split_whitespace().chain([main.as_str()]).for_each(|pid| send_signal(name, pid));
    }

    /// Holds a transaction open that keeps old rows from being removed.
    pub(crate) async fn hold_a_snapshot(&self, time: Duration) {
        let sql = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM users; \
             SELECT pg_sleep({})",
            time.as_secs()
        );
        let mut program = self.cluster.program("psql");
        let port = self.cluster.port().to_string();
        program.args(["-X", "-q", "-h", "127.0.0.1", "-U", "presence", "-p", &port, "-c", &sql]);
        let program = program.arg(self.name).stdin(Stdio::null()).stdout(Stdio::null());
        let mut held = program.spawn().unwrap();
        sleep(time).await;
        held.wait().unwrap();
    }

    /// Lets each flush take some microseconds longer.
    pub(crate) fn set_flush_delay(&self, micros: u32) {
        for sql in [
            format!("ALTER SYSTEM SET commit_delay = {micros}"),
            "ALTER SYSTEM SET commit_siblings = 0".to_owned(),
            "SELECT pg_reload_conf()".to_owned(),
        ] {
            self.cluster.run_sql("postgres", &sql);
        }
    }
}

fn send_signal(name: &str, pid: &str) {
    // A process of PostgreSQL may have ended meanwhile.
    Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\" 2>/dev/null", name, pid])
        .status()
        .unwrap();
}
