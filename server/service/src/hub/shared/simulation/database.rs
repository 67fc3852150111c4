//! The database of a run, whose time and random numbers are those of the run.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use presence_test_postgres::Cluster;

use super::wire::{DatabaseReply, ReplyReader, simple_query, startup};

/// The time after which a statement that has not ended may wait for a lock.
const PATIENCE: Duration = Duration::from_millis(4);

/// Functions that come before PostgreSQL's own of the same name. A sequence is no part of a
/// transaction, so all see a new time at once.
const SETUP: &str = "
CREATE SEQUENCE simulated_time MINVALUE 0 START 1800000000000;
SELECT nextval('simulated_time');
CREATE SEQUENCE simulated_random;
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
  AS 'SELECT pg_catalog.to_timestamp(last_value / 1000.0) FROM public.simulated_time';
CREATE FUNCTION public.random() RETURNS double precision LANGUAGE sql VOLATILE
  AS 'SELECT (pg_catalog.nextval(''public.simulated_random'') * 7919 % 10007) / 10007.0';
";

/// A connection to the database that blocks the thread until the database has answered.
pub(super) struct Upstream {
    stream: UnixStream,
    replies: ReplyReader,
}

/// The end of a wait for a reply.
pub(super) enum Received {
    Reply(DatabaseReply),
    /// There is none yet.
    Nothing,
    /// The database has ended the connection.
    Closed,
}

impl Upstream {
    /// Sends a request.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        // The end of a connection is noticed by the reader.
        self.stream.write_all(bytes).ok();
    }

    /// Waits a short time for the reply to a request.
    pub(super) fn receive(&mut self) -> Received {
        if let Some(reply) = self.replies.add(&[]) {
            return Received::Reply(reply);
        }
        let mut bytes = [0; 16_384];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Received::Closed,
                Ok(count) => {
                    if let Some(reply) = self.replies.add(&bytes[..count]) {
                        return Received::Reply(reply);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Received::Nothing,
                Err(_) => return Received::Closed,
            }
        }
    }

    /// Runs statements, however long it takes.
    pub(super) fn run(&mut self, bytes: &[u8]) -> DatabaseReply {
        self.send(bytes);
        loop {
            match self.receive() {
                Received::Reply(reply) => return reply,
                Received::Nothing => {}
                Received::Closed => panic!("the database has ended a connection"),
            }
        }
    }
}

/// The database of a run.
pub(super) struct Database {
    name: String,
    admin: Upstream,
}

impl Database {
    /// Creates an empty database.
    pub(super) fn create() -> Self {
        let url = cluster().create_database();
        let name = url.rsplit('/').next().unwrap().to_owned();
        let path = "ALTER DATABASE {} SET search_path = public, pg_catalog";
        cluster().run_sql(&name, &path.replace("{}", &name));
        let mut database = Self { admin: connect(&startup("presence", &name)).0, name };
        database.query(SETUP);
        database
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Opens a connection with the first request of a client. Returns it with the reply.
    pub(super) fn connect(startup: &[u8]) -> (Upstream, DatabaseReply) {
        let (mut upstream, reply) = connect(startup);
        // The times of the servers' settings are those of the run.
        let sql = "SET statement_timeout = 0; SET lock_timeout = 0; \
                   SET idle_in_transaction_session_timeout = 0";
        upstream.run(&simple_query(sql));
        (upstream, reply)
    }

    /// Returns the rows of a query.
    pub(super) fn query(&mut self, sql: &str) -> Vec<Vec<String>> {
        let reply = self.admin.run(&simple_query(sql));
        assert!(reply.error.is_none(), "{sql}: {:?}", reply.error);
        reply.rows
    }

    /// Returns the rows of a query, `None` if it has to wait for a lock.
    pub(super) fn query_at_once(&mut self, sql: &str) -> Option<Vec<Vec<String>>> {
        let reply = self.admin.run(&simple_query(&format!("SET LOCAL lock_timeout = 10; {sql}")));
        let is_locked = reply.error.as_deref() == Some("55P03");
        assert!(is_locked || reply.error.is_none(), "{sql}: {:?}", reply.error);
        (!is_locked).then_some(reply.rows)
    }

    /// Returns true if a connection waits for a lock.
    pub(super) fn is_blocked(&mut self, pid: i32) -> bool {
        let sql = format!("SELECT cardinality(pg_blocking_pids({pid})) > 0");
        self.query(&sql) == [["t"]]
    }

    /// Ends connections, and waits until their transactions are rolled back.
    pub(super) fn terminate(&mut self, pids: &[i32]) {
        for pid in pids {
            self.query(&format!(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE pid = {pid}"
            ));
        }
    }

    /// Ends the statement of a connection.
    pub(super) fn cancel(&mut self, pid: i32) {
        self.query(&format!("SELECT pg_cancel_backend({pid})"));
    }

    /// Sets the time in milliseconds since 1970.
    pub(super) fn set_time(&mut self, millis: u64) {
        self.query(&format!("SELECT setval('simulated_time', {millis})"));
    }

    /// Empties the tables that a crash of the database empties.
    pub(super) fn empty_live_tables(&mut self) {
        let sql = "SELECT string_agg(relname, ', ') FROM pg_class \
                   WHERE relpersistence = 'u' AND relkind = 'r'";
        let tables = self.query(sql)[0][0].clone();
        self.query(&format!("TRUNCATE {tables}"));
    }
}

/// Returns the cluster of all runs. Nothing happens in it by itself.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        Cluster::start(&["autovacuum=off", "deadlock_timeout=100ms", "synchronous_commit=off"])
    })
}

fn connect(startup: &[u8]) -> (Upstream, DatabaseReply) {
    let socket: PathBuf = cluster().folder().join(format!(".s.PGSQL.{}", cluster().port()));
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut upstream = Upstream { stream, replies: ReplyReader::default() };
    let reply = upstream.run(startup);
    (upstream, reply)
}
