//! Databases with many rows, which are written by SQL while no server uses them.

use std::path::Path;

use presence_client::Puid;
use presence_tests::{Server, ServerOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, SqliteConnection};

use crate::clients::SignedInUser;
use crate::credentials::{api_key, digest_literal, key_prefix, token};
use crate::sides::start_server;
use crate::system::{Half, run_on};

/// The time at which all rows were created: 2026, in milliseconds.
const CREATED_AT: i64 = 1_780_000_000_000;
/// The time at which sessions end: 2100.
const ENDS_AT: i64 = 4_102_444_800_000;
/// The number of rows of one statement whose values are written out.
const ROWS: usize = 500;
/// The size of SQLite's cache of pages while it is filled, in KiB. Keys are in no order.
const CACHE_KIB: usize = 1 << 20;

/// The rows of a database. Users and Applications are numbered from 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filling {
    pub(crate) users: usize,
    pub(crate) applications: usize,
    /// The number of grants of each user, for different Applications.
    pub(crate) grants: usize,
}

impl Filling {
    /// Starts a server with these rows, and with a session of each of some users.
    pub(crate) async fn start(self, options: ServerOptions, sessions: &[usize]) -> Server {
        let mut server = start_server(options).await;
        server.terminate().await;
        self.write(&server.database(), sessions).await;
        restart(&mut server).await;
        server
    }

    /// Writes the rows.
    pub(crate) async fn write(self, file: &Path, sessions: &[usize]) {
        let mut database = open(file).await;
        let mut transaction = database.begin().await.unwrap();
        for statement in self.statements() {
            transaction.execute(AssertSqlSafe(statement)).await.unwrap();
        }
        for users in sessions.chunks(ROWS) {
            transaction.execute(AssertSqlSafe(insert_sessions(users))).await.unwrap();
        }
        transaction.commit().await.unwrap();
        database.close().await.unwrap();
    }

    fn statements(self) -> Vec<String> {
        let Self { users, applications, grants } = self;
        let keys: Vec<String> = (1..=applications).map(key_row).collect();
        let insert_keys = keys.chunks(ROWS).map(|rows| {
            let columns = "id, app_id, prefix, digest, created_at";
            format!("INSERT INTO api_keys ({columns}) VALUES {}", rows.join(", "))
        });
        let mut statements = vec![
            format!(
                "INSERT INTO users (id, email, revision, created_at) {} \
                 SELECT i, 'user' || i || '@dev.localhost', 1, {CREATED_AT} FROM n",
                numbers(users)
            ),
            format!(
                "INSERT INTO apps (id, owner, name, domain, description, state, domain_key, created_at, development) {} \
                 SELECT printf('%032x', i), 1, 'Chat ' || i, 'chat' || i || '.example', 'Talk', 'active', 'key', \
                 {CREATED_AT}, 1 FROM n",
                numbers(applications)
            ),
        ];
        statements.extend(insert_keys);
        statements.extend((0..grants).map(|grant| {
            format!(
                "INSERT INTO grants (puid, app_id, user_id, paused, granted_at, domain) {} \
                 SELECT printf('%08x%08x%016x', i * {SPREAD} % 4294967296, {grant}, i), \
                 printf('%032x', a), i, 0, {CREATED_AT}, 'chat' || a || '.example' \
                 FROM (SELECT i, (i - 1 + {grant}) % {applications} + 1 AS a FROM n)",
                numbers(users)
            )
        }));
        statements
    }

    /// Returns the PUID of a user for the first Application, if the user has grants for all.
    pub(crate) fn puid_for_first_application(self, user: usize) -> Puid {
        puid(user, (1 + self.applications * user - user) % self.applications)
    }
}

/// A factor that spreads the numbers of users over all PUIDs.
const SPREAD: usize = 2_654_435_761;

/// Returns the PUID of a grant of a user. The grants of a user are numbered from 0.
fn puid(user: usize, grant: usize) -> Puid {
    format!("{:08x}{grant:08x}{user:016x}", user * SPREAD % (1 << 32)).parse().unwrap()
}

/// Returns users with their tokens, whether or not they have a session.
pub(crate) fn signed_in(users: impl IntoIterator<Item = usize>) -> Vec<SignedInUser> {
    let signed_in = |user| SignedInUser { token: token(user), uid: puid(user, 0) };
    users.into_iter().map(signed_in).collect()
}

/// Returns the id and the key of an Application.
pub(crate) fn application(number: usize) -> (String, String) {
    (format!("{number:032x}"), api_key(number))
}

/// Restarts a stopped server on its half of the machine.
pub(crate) async fn restart(server: &mut Server) {
    run_on(Half::Server);
    server.restart().await;
    run_on(Half::Generator);
}

/// Opens the file of a stopped server.
pub(crate) async fn open(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .synchronous(SqliteSynchronous::Off)
        .pragma("cache_size", format!("-{CACHE_KIB}"));
    options.connect().await.unwrap()
}

/// Returns a clause that makes the numbers from 1 the table `n`.
pub(crate) fn numbers(count: usize) -> String {
    format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})")
}

fn key_row(application: usize) -> String {
    let key = api_key(application);
    let (prefix, digest) = (key_prefix(&key), digest_literal(&key));
    format!("({application}, '{application:032x}', '{prefix}', {digest}, {CREATED_AT})")
}

fn insert_sessions(users: &[usize]) -> String {
    let row = |user: &usize| {
        let digest = digest_literal(&token(*user));
        format!("({digest}, {user}, 'account', {CREATED_AT}, {ENDS_AT}, 1)")
    };
    let rows: Vec<String> = users.iter().map(row).collect();
    let columns = "digest, user_id, scope, created_at, expires_at, development";
    format!("INSERT INTO sessions ({columns}) VALUES {}", rows.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_application_has_another_grant_of_each_user() {
        let filling = Filling { users: 20, applications: 10, grants: 10 };
        for (user, grant) in [(1, 0), (2, 9), (10, 1), (11, 0), (12, 9)] {
            assert_eq!(filling.puid_for_first_application(user), puid(user, grant), "{user}");
        }
    }
}
