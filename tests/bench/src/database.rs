//! The PostgreSQL database of servers that share presence: its CPU time and its faults.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use presence_test_postgres::Cluster;

use crate::system::{self, Process};

/// The database that the servers share. Clones are the same database.
#[derive(Clone)]
pub(crate) struct Database {
    cluster: Arc<Cluster>,
    name: Arc<str>,
}

impl Database {
    /// Starts PostgreSQL, which syncs its files, with further settings.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let cluster = Cluster::start(&[&["fsync = on"], settings].concat());
        let url = cluster.create_database();
        let name = url.rsplit('/').next().unwrap().into();
        Self { cluster: Arc::new(cluster), name }
    }

    /// Returns the URL, with the port of a proxy.
    pub(crate) fn url_through(&self, port: u16) -> String {
        format!("postgres://presence@127.0.0.1:{port}/{}", self.name)
    }

    /// Returns the address.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.cluster.port()))
    }

    /// Does something that takes time, while the tasks of this thread go on.
    pub(crate) async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> T {
        let database = self.clone();
        tokio::task::spawn_blocking(move || work(&database)).await.unwrap()
    }

    /// Ends all connections to the database.
    pub(crate) fn end_backends(&self) {
        self.cluster.end_connections(&self.name);
    }

    /// Kills the process of a connection. PostgreSQL then ends all others, and empties unlogged
    /// tables.
    pub(crate) fn kill_a_backend(&self) {
        let sql =
            format!("SELECT pid FROM pg_stat_activity WHERE datname = '{}' LIMIT 1", self.name);
        let pid = self.cluster.run_sql("postgres", &sql);
        send_signal("KILL", pid.trim());
    }

    /// Stops PostgreSQL in a mode of `pg_ctl`.
    pub(crate) fn stop(&self, mode: &str) {
        self.cluster.control(&["stop", "-m", mode]);
    }

    /// Starts PostgreSQL again.
    pub(crate) fn start_again(&self) {
        self.cluster.control(&["start"]);
    }

    /// Makes a standby that has all that is answered, and promotes it. This one goes on, and does
    /// not answer commits any more, because it waits for the standby.
    pub(crate) fn fail_over(&self) -> Self {
        let port = self.cluster.port().to_string();
        let standby = Cluster::start_from(|data| {
            let mut program = self.cluster.program("pg_basebackup");
            program.args(["-h", "127.0.0.1", "-U", "presence", "-p", &port, "-R", "-c", "fast"]);
            assert!(program.arg("-D").arg(data).status().unwrap().success());
        });
        let replicates = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        while self.cluster.run_sql("postgres", replicates).trim() != "1" {}
        self.set("synchronous_standby_names", "*");
        let is_synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        while self.cluster.run_sql("postgres", is_synchronous).trim() != "1" {}
        standby.control(&["promote"]);
        Self { cluster: Arc::new(standby), name: Arc::clone(&self.name) }
    }

    /// Sends a signal to all processes of PostgreSQL.
    pub(crate) fn signal(&self, name: &str) {
        self.processes().iter().for_each(|pid| send_signal(name, pid));
    }

    /// Returns the CPU time of all processes of PostgreSQL so far, those that have ended included.
    pub(crate) fn cpu(&self) -> Duration {
        let running = self.processes().into_iter();
        let running = running.filter_map(|pid| Process::try_of(pid.parse().ok()?)?.try_cpu());
        running.sum::<Duration>() + system::cpu_of_ended_children(self.cluster.pid())
    }

    /// Returns the number of deadlocks so far.
    pub(crate) fn deadlocks(&self) -> u64 {
        let sql = format!("SELECT deadlocks FROM pg_stat_database WHERE datname = '{}'", self.name);
        self.cluster.run_sql("postgres", &sql).trim().parse().unwrap()
    }

    /// Returns the number of transactions so far that have written something.
    pub(crate) fn writing_transactions(&self) -> u64 {
        let sql = "SELECT pg_snapshot_xmax(pg_current_snapshot())";
        self.cluster.run_sql(&self.name, sql).trim().parse().unwrap()
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
        program.arg(&*self.name).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
    }

    /// Lets each flush take some microseconds longer.
    pub(crate) fn set_flush_delay(&self, micros: u32) {
        self.set("commit_siblings", "0");
        self.set("commit_delay", &micros.to_string());
    }

    /// Changes a setting, and waits until new connections have it. Open ones read it before their
    /// next statement.
    fn set(&self, name: &str, value: &str) {
        self.cluster.run_sql("postgres", &format!("ALTER SYSTEM SET {name} = '{value}'"));
        self.cluster.run_sql("postgres", "SELECT pg_reload_conf()");
        let current = format!("SELECT current_setting('{name}')");
        while self.cluster.run_sql("postgres", &current).trim() != value {}
    }

    fn processes(&self) -> Vec<String> {
        let main = self.cluster.pid().to_string();
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &main]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        children.split_whitespace().map(str::to_owned).chain([main]).collect()
    }
}

fn send_signal(name: &str, pid: &str) {
    // A process of PostgreSQL may have ended meanwhile.
    Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\" 2>/dev/null", name, pid])
        .status()
        .unwrap();
}
