//! A socket of an Application at one server that checks what it receives.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use presence_tests::{FallibleSocket, SocketEnd};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::expectations::Shown;
use super::scene::{APPS, PATIENCE, Scene};
use super::sites::WARM_UP;

/// The time between two attempts to connect.
const RETRY: Duration = Duration::from_millis(100);

/// A user as an Application was told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeenUser {
    pub(crate) shown: Shown,
    version: u64,
    /// The number of times that the user went offline.
    pub(crate) departures: u64,
    /// The time of the last update.
    pub(crate) at: Instant,
}

/// All that sockets of one Application were told of each version. It is the same at all servers,
/// in streams and in snapshots.
#[derive(Default)]
pub(crate) struct ToldVersions {
    told: Mutex<HashMap<(usize, u64), Shown>>,
    /// The number of versions that were told in two ways.
    contradictions: AtomicU64,
}

impl ToldVersions {
    /// Records what was told of a version.
    pub(crate) fn record(&self, user: usize, version: u64, shown: Shown) {
        let before = self.told.lock().unwrap().insert((user, version), shown);
        if before.is_some_and(|before| before != shown) {
            self.contradictions.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the number of versions that were told in two ways, and forgets all versions.
    pub(crate) fn take_contradictions(&self) -> u64 {
        self.told.lock().unwrap().clear();
        self.contradictions.swap(0, Ordering::Relaxed)
    }
}

/// The updates that a watcher was told.
pub(crate) struct Record {
    pub(crate) users: Vec<SeenUser>,
    pub(crate) updates: u64,
    /// Updates that repeat what the connection has told, or are older.
    pub(crate) doubled: u64,
    pub(crate) snapshots: u64,
    pub(crate) resumes: u64,
    pub(crate) is_connected: bool,
}

/// A socket of an Application at one server, opened again whenever it ends.
pub(crate) struct PresenceWatcher {
    scene: Arc<Scene>,
    /// The place of the Application, and the address of the server.
    pub(crate) app: usize,
    address: SocketAddr,
    pub(crate) record: Mutex<Record>,
    told: Arc<[ToldVersions; APPS]>,
}

/// The updates of one connection.
struct Connection {
    told: HashMap<usize, Shown>,
    /// The users of the pages of a snapshot so far.
    snapshot: HashSet<usize>,
    /// A flag: the connection goes on where one before has ended.
    is_resumed: bool,
}

impl PresenceWatcher {
    pub(crate) fn new(
        scene: &Arc<Scene>,
        (app, address): (usize, SocketAddr),
        told: &Arc<[ToldVersions; APPS]>,
    ) -> Arc<Self> {
        let nobody =
            SeenUser { shown: Shown::Offline, version: 0, departures: 0, at: Instant::now() };
        let record = Record {
            users: vec![nobody; scene.expectations.users()],
            updates: 0,
            doubled: 0,
            snapshots: 0,
            resumes: 0,
            is_connected: false,
        };
        let (scene, told) = (Arc::clone(scene), Arc::clone(told));
        Arc::new(Self { scene, app, address, record: Mutex::new(record), told })
    }

    /// Receives, until the run is over.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut cursor = None;
        loop {
            let Err(_) = self.receive(&mut cursor).await;
            self.record.lock().unwrap().is_connected = false;
            sleep(RETRY).await;
        }
    }

    /// Returns true if the Application sees exactly what it must.
    pub(crate) fn is_right(&self) -> bool {
        let record = self.record.lock().unwrap();
        record.is_connected && self.wrong_users(&record).next().is_none()
    }

    /// Returns the users whom the Application does not see as it must.
    pub(crate) fn wrong(&self) -> Vec<usize> {
        self.wrong_users(&self.record.lock().unwrap()).collect()
    }

    fn wrong_users<'a>(&'a self, record: &'a Record) -> impl Iterator<Item = usize> + 'a {
        let is_wrong = |(user, seen): &(usize, &SeenUser)| {
            seen.shown != self.scene.expectations.of(*user).shown
        };
        record.users.iter().enumerate().filter(is_wrong).map(|(user, _)| user)
    }

    async fn receive(&self, cursor: &mut Option<String>) -> Result<Infallible, SocketEnd> {
        let mut socket = open(&self.scene, (self.app, self.address), cursor.as_deref()).await?;
        let mut connection = Connection {
            told: HashMap::new(),
            snapshot: HashSet::new(),
            is_resumed: cursor.is_some(),
        };
        if connection.is_resumed {
            let mut record = self.record.lock().unwrap();
            (record.is_connected, record.resumes) = (true, record.resumes + 1);
        }
        loop {
            let frame = socket.receive().await?;
            self.take(&frame, &mut connection);
            if let Some(position) = frame["cursor"].as_str() {
                *cursor = Some(position.to_owned());
            }
        }
    }

    fn take(&self, frame: &Value, connection: &mut Connection) {
        let Some(updates) = frame["presence"].as_array() else { return };
        let is_snapshot = frame["snapshot"] == true;
        connection.is_resumed &= !is_snapshot && frame["gap"] != true;
        let mut record = self.record.lock().unwrap();
        for update in updates {
            let user = self.scene.users[update["uid"].as_str().unwrap()];
            let (shown, version) = (Shown::of(update), update["version"].as_u64().unwrap());
            self.told[self.app].record(user, version, shown);
            if is_snapshot {
                connection.snapshot.insert(user);
            }
            record.take((user, version, shown), connection, is_snapshot);
        }
        if is_snapshot && frame["more"] != true {
            record.end_snapshot(&std::mem::take(&mut connection.snapshot));
        }
    }
}

impl Record {
    /// Counts departures from now on.
    pub(crate) fn forget_departures(&mut self) {
        self.users.iter_mut().for_each(|seen| seen.departures = 0);
    }

    fn take(
        &mut self,
        (user, version, shown): (usize, u64, Shown),
        connection: &mut Connection,
        is_snapshot: bool,
    ) {
        let seen = &mut self.users[user];
        let told = connection.told.insert(user, shown);
        let is_known = told.is_some() || connection.is_resumed;
        let is_old =
            version < seen.version || (!is_snapshot && is_known && version == seen.version);
        if is_old || (told == Some(shown) && !is_snapshot) {
            self.doubled += 1;
        }
        if shown.is_offline() && !seen.shown.is_offline() {
            seen.departures += 1;
        }
        (seen.shown, seen.version, seen.at) = (shown, version, Instant::now());
        self.updates += 1;
    }

    /// Takes all users who are not in a snapshot as offline.
    fn end_snapshot(&mut self, users: &HashSet<usize>) {
        let absent = |(user, _): &(usize, &mut SeenUser)| !users.contains(user);
        for (_, seen) in self.users.iter_mut().enumerate().filter(absent) {
            if !seen.shown.is_offline() {
                seen.departures += 1;
            }
            seen.shown = Shown::Offline;
        }
        (self.snapshots, self.is_connected) = (self.snapshots + 1, true);
    }
}

/// Opens a socket of an Application with `presence.v1`.
pub(crate) async fn open(
    scene: &Scene,
    (app, address): (usize, SocketAddr),
    cursor: Option<&str>,
) -> Result<FallibleSocket, SocketEnd> {
    let application = &scene.applications[app];
    let path = format!("/myapps/{}", application.appid);
    let opening = async {
        let mut socket = FallibleSocket::open(address, &path, true).await?;
        let auth = json!({"action": "auth", "token": application.api_key, "cursor": cursor});
        socket.send(&auth).await?;
        let answer = socket.receive().await?;
        if answer["result"] == "OK" { Ok(socket) } else { Err(SocketEnd::Lost) }
    };
    timeout(PATIENCE, opening).await.unwrap_or(Err(SocketEnd::Lost))
}

/// Returns what a fresh socket of an Application is shown. Its first page may come only after the
/// warm-up of its server.
///
/// # Errors
///
/// Returns an error if the socket ends first, or is shown nothing for too long.
pub(crate) async fn snapshot(
    scene: &Scene,
    to: (usize, SocketAddr),
) -> Result<HashMap<usize, (u64, Shown)>, SocketEnd> {
    let mut socket = open(scene, to, None).await?;
    let mut users = HashMap::new();
    loop {
        let page = timeout(WARM_UP + PATIENCE, socket.receive()).await;
        let page = page.unwrap_or(Err(SocketEnd::Lost))?;
        for update in page["presence"].as_array().into_iter().flatten() {
            let user = scene.users[update["uid"].as_str().unwrap()];
            users.insert(user, (update["version"].as_u64().unwrap(), Shown::of(update)));
        }
        if page["snapshot"] == true && page["more"] != true {
            socket.close().await;
            return Ok(users);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let at = Instant::now();
        let user = SeenUser { shown: Shown::Offline, version: 0, departures: 0, at };
        let users = vec![user; 2];
        Record { users, updates: 0, doubled: 0, snapshots: 0, resumes: 0, is_connected: false }
    }

    fn connection(is_resumed: bool) -> Connection {
        Connection { told: HashMap::new(), snapshot: HashSet::new(), is_resumed }
    }

    #[test]
    fn an_update_is_doubled_if_it_repeats_the_view_or_the_version() {
        let (mut record, mut one) = (record(), connection(false));
        record.take((0, 5, Shown::Online(1)), &mut one, false);
        record.take((0, 6, Shown::Online(2)), &mut one, false);
        assert_eq!(record.doubled, 0);
        record.take((0, 7, Shown::Online(2)), &mut one, false);
        assert_eq!(record.doubled, 1, "the same view");
        record.take((0, 6, Shown::Online(3)), &mut one, false);
        assert_eq!(record.doubled, 2, "an older version");
        let mut resumed = connection(true);
        record.take((0, 6, Shown::Online(3)), &mut resumed, false);
        assert_eq!(record.doubled, 3, "a resumed connection begins after what was told");
        record.take((0, 6, Shown::Online(3)), &mut connection(false), true);
        assert_eq!(record.doubled, 3, "a snapshot shows again what was told");
    }

    #[test]
    fn users_who_are_absent_from_a_snapshot_have_gone_offline_once() {
        let (mut record, mut one) = (record(), connection(false));
        record.take((0, 5, Shown::Online(1)), &mut one, false);
        record.take((1, 6, Shown::Unavailable(1)), &mut one, false);
        record.end_snapshot(&HashSet::from([1]));
        let shown: Vec<(Shown, u64)> =
            record.users.iter().map(|seen| (seen.shown, seen.departures)).collect();
        assert_eq!(shown, [(Shown::Offline, 1), (Shown::Unavailable(1), 0)]);
        record.end_snapshot(&HashSet::from([1]));
        assert_eq!(record.users[0].departures, 1);
    }

    #[test]
    fn a_version_that_is_told_in_two_ways_is_a_contradiction() {
        let told = ToldVersions::default();
        told.record(0, 5, Shown::Online(1));
        told.record(0, 5, Shown::Online(1));
        told.record(1, 5, Shown::Offline);
        assert_eq!(told.take_contradictions(), 0);
        told.record(0, 5, Shown::Online(1));
        told.record(0, 5, Shown::Offline);
        assert_eq!(told.take_contradictions(), 1);
    }
}
