//! The PostgreSQL database of servers that share presence: its CPU time and its faults.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use presence_test_postgres::Cluster;
use tokio::time::sleep;

use crate::system::Process;

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
        self.processes().iter().for_each(|pid| send_signal(name, pid));
    }

    /// Returns the processes of PostgreSQL, whose CPU time is measured.
    pub(crate) fn measured(&self) -> Vec<Process> {
        self.processes().iter().map(|pid| Process::of(pid.parse().unwrap())).collect()
    }

    /// Returns the number of deadlocks so far.
    pub(crate) fn deadlocks(&self) -> u64 {
        let sql = format!("SELECT deadlocks FROM pg_stat_database WHERE datname = '{}'", self.name);
        self.cluster.run_sql("postgres", &sql).trim().parse().unwrap()
    }

    fn processes(&self) -> Vec<String> {
        let main = self.cluster.pid().to_string();
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &main]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        // The program that lists them has ended.
        let children = children.split_whitespace().map(str::to_owned);
        children.chain([main]).collect()
    }

    /// Begins a transaction that stays open for some time, and keeps old rows from being removed.
    pub(crate) fn open_snapshot(&self, time: Duration) -> Child {
        let sql = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM users; \
             SELECT pg_sleep({})",
            time.as_secs()
        );
        let mut program = self.cluster.program("psql");
        let port = self.cluster.port().to_string();
        program.args(["-X", "-q", "-h", "127.0.0.1", "-U", "presence", "-p", &port, "-c", &sql]);
        program.arg(self.name).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
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
