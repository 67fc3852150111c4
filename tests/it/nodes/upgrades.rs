//! Servers of two versions on one database: the newer has one migration more, which leaves the
//! older working.

use std::time::Duration;

use presence_test_postgres::Cluster;
use presence_tests::{Application, FallibleSocket, Server, Socket, User};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::long_grace_time;

/// The number of users whose devices report all the time.
const USERS: usize = 20;

/// A migration as the next version of the program may have it: new columns in all tables that
/// statements read, a new version of a function beside the old one, and a row of its own.
const NEXT_MIGRATION: &str = "
    ALTER TABLE users ADD COLUMN next_a integer;
    ALTER TABLE grants ADD COLUMN next_b text NOT NULL DEFAULT '';
    ALTER TABLE sessions ADD COLUMN next_c integer;
    ALTER TABLE apps ADD COLUMN next_d integer;
    ALTER TABLE notifications ADD COLUMN next_e integer NOT NULL DEFAULT 0;
    ALTER TABLE nodes ADD COLUMN next_f integer;
    ALTER TABLE live_nodes ADD COLUMN next_g integer;
    ALTER TABLE live_users ADD COLUMN next_h integer;
    ALTER TABLE live_streams ADD COLUMN next_i integer;
    ALTER TABLE live_now ADD COLUMN next_j integer;
    ALTER TABLE live_log ADD COLUMN next_k integer;
    CREATE FUNCTION presence_announce_2(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT $1';
    INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9998_next', 0);";

#[tokio::test]
async fn servers_go_on_while_the_next_version_migrates_and_start_beside_it() {
    let [one, two] = Server::start_sharing(long_grace_time()).await;
    let mut two = of_the_older_version(two).await;
    let (application, _, _) = one.application_with("alice").await;
    let load = ReportLoad::start([&one, &two], &application).await;
    load.wait_for(2).await;
    let cluster = Cluster::shared();
    migrate(cluster, &two).await;
    load.wait_for(10).await;
    // A server of the older version may also start again meanwhile.
    two.terminate().await;
    two.restart_in_place().await;
    load.wait_for(10).await;
    let (numbers, mut stream) = (load.end().await, Socket::stream(&two, &application).await);
    let shown = stream.1["presence"].as_array().unwrap().clone();
    assert_eq!(shown.len(), USERS, "{shown:?}");
    for user in shown {
        let uid = user["uid"].as_str().unwrap();
        let number = numbers.iter().find(|(of, _)| of == uid).map(|(_, number)| number.to_string());
        assert_eq!(user["message"].as_str(), number.as_deref(), "{user}");
    }
    let bob = two.sign_in("bob").await;
    let bobs = bob.grant(&application).await;
    let _phone = Socket::device_of(&one, "bob", "phone", "online").await;
    stream.0.expect_status(bobs, "online").await;
    let log = one.log_so_far() + &two.log_so_far();
    assert!(!log.contains("cached plan"), "{log}");
}

/// Returns the server, or one of the released version before, if its program is given. Without one,
/// the migration above stands for the difference between two versions.
#[expect(clippy::disallowed_methods, reason = "the script that builds the version gives it")]
async fn of_the_older_version(mut server: Server) -> Server {
    if let Ok(program) = std::env::var("PRESENCE_TEST_OLDER_SERVER") {
        server.terminate().await;
        server.change(|options| options.with_program(program.into()));
        server.restart_in_place().await;
    }
    server
}

/// Applies the migration, as a server of the next version does when it starts: it tries again after
/// a deadlock with the servers that run.
async fn migrate(cluster: &'static Cluster, server: &Server) {
    let database = server.database_name();
    let migration = move || loop {
        match cluster.try_sql(&database, NEXT_MIGRATION) {
            Err(error) if error.contains("deadlock detected") => {}
            result => return result,
        }
    };
    tokio::task::spawn_blocking(migration).await.unwrap().unwrap();
}

/// Devices that report numbers, one after another, at two servers in turn.
struct ReportLoad {
    tasks: JoinSet<(String, u64)>,
    /// The number that each device has reported, at least.
    counts: Vec<watch::Receiver<u64>>,
    stop: watch::Sender<bool>,
}

impl ReportLoad {
    async fn start(servers: [&Server; 2], application: &Application) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (mut tasks, mut counts) = (JoinSet::new(), Vec::new());
        for number in 0..USERS {
            let user = servers[0].sign_in(&format!("user{number}")).await;
            let uid = user.grant(application).await.to_string();
            let (count, counted) = watch::channel(0);
            let addresses = servers.map(Server::address);
            counts.push(counted);
            let stopped = stopped.clone();
            tasks.spawn(async move { (uid, report(user, addresses, count, stopped).await) });
        }
        Self { tasks, counts, stop }
    }

    /// Waits until each device has reported some more times.
    async fn wait_for(&self, further: u64) {
        for count in &self.counts {
            let mut count = count.clone();
            let wanted = *count.borrow() + further;
            let reached =
                tokio::time::timeout(presence_tests::TIMEOUT, count.wait_for(|it| *it >= wanted));
            drop(reached.await.unwrap_or_else(|_| panic!("a device makes no progress")).unwrap());
        }
    }

    /// Stops, and returns the last number of each user.
    async fn end(self) -> Vec<(String, u64)> {
        self.stop.send_replace(true);
        self.tasks.join_all().await
    }
}

/// Reports until it is stopped, and returns the last number that was answered with OK. The socket
/// stays open until the test ends.
async fn report(
    user: User,
    addresses: [std::net::SocketAddr; 2],
    count: watch::Sender<u64>,
    stopped: watch::Receiver<bool>,
) -> u64 {
    let (mut socket, mut number): (Option<FallibleSocket>, u64) = (None, 0);
    loop {
        if *stopped.borrow() && socket.is_some() {
            std::mem::forget(socket);
            return number;
        }
        number += 1;
        let mut frame = json!({"status": "online", "message": number.to_string(), "id": number});
        let is_new = socket.is_none();
        if is_new {
            frame["token"] = user.token.clone().into();
            let place = usize::try_from(number % 2).unwrap();
            socket = FallibleSocket::open(addresses[place], "/presence", false).await.ok();
        }
        let answered = async {
            let socket = socket.as_mut()?;
            socket.send(&frame).await.ok()?;
            socket.receive_soon().await.ok()
        };
        let Some(answer) = answered.await else {
            socket = None;
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        assert_eq!(answer["result"], "OK", "{answer}");
        count.send_replace(number);
    }
}
