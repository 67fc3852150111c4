//! The promises at rest.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use presence_core::roster::ConnectionNumber;
use presence_core::{UserId, View};
use presence_protocol::Puid;
use presence_store::SharedRoster;

use super::device::merged_views;
use super::run::Run;
use super::world::{APPS, DEVICES, KnownGrant, USERS, app_of, device_name};

/// The rosters of all users.
type Rosters = HashMap<UserId, (i64, SharedRoster)>;

impl Run {
    /// Checks all promises at rest.
    pub(super) async fn check(&mut self) {
        self.check_accounts();
        self.check_switches();
        self.check_grants();
        let server = *self.servers.keys().next().unwrap();
        let (live, users) = (self.servers[&server].hub.live.clone(), self.world.users.clone());
        let rosters = self.ask(async move { live.rosters(&users).await }).await.unwrap();
        let checked = self.check_connections(&rosters);
        self.checked(checked);
        let checked = self.check_servers(&rosters);
        self.checked(checked);
        self.check_views(&rosters).await;
        let checked = self.check_logs();
        self.checked(checked);
        self.check_notifications();
        for device in &mut self.world.devices {
            device.asked_for = device.sockets.len();
        }
        if self.world.emptied_at.take().is_some() {
            // The live tables kept the visibility of lost devices too.
            let lost = self.world.devices.iter_mut().filter(|device| device.sockets.is_empty());
            lost.for_each(|device| device.forget_visibility(false));
        }
    }

    /// Checks that the grants are as they were answered. From then on they are known.
    fn check_grants(&mut self) {
        let sql = "SELECT g.user_id, a.number, g.puid, g.paused FROM grants g \
                   JOIN apps a ON a.id = g.app_id";
        let mut stored: BTreeMap<(String, usize), KnownGrant> = BTreeMap::new();
        for row in self.network.database.query(sql) {
            let app: usize = row[1].parse().unwrap();
            stored
                .insert((row[0].clone(), app - 1), Some((row[2].parse().unwrap(), row[3] == "t")));
        }
        for user in 0..USERS {
            let id = self.world.users[user].0.to_string();
            for app in 0..APPS {
                let found = stored.get(&(id.clone(), app)).copied().flatten();
                let grant = &mut self.world.grants[user][app];
                let (is_known, states) = (grant.states.contains(&found), grant.states.clone());
                grant.states = vec![found];
                grant.late.clear();
                let problem = format!("the grant is {found:?} and not one of {states:?}");
                self.checked(if is_known { Ok(()) } else { Err(problem) });
            }
        }
    }

    /// Checks that rosters have the connections of open sockets and no others.
    fn check_connections(&self, rosters: &Rosters) -> Result<(), String> {
        for (device, known) in self.world.devices.iter().enumerate() {
            let user = self.world.users[device / DEVICES.len()];
            let name = device_name(device);
            let roster = rosters.get(&user).map(|(_, roster)| roster);
            let found = roster.and_then(|roster| roster.connection_of(&name));
            let open = known.sockets.iter().map(|socket| {
                let hub = &self.servers[&socket.server].hub;
                let (_, number) = hub.registry.find(user, &socket.mailbox)?;
                Some((ConnectionNumber(number), true))
            });
            let open: Vec<Option<(ConnectionNumber, bool)>> = open.collect();
            let is_right = match open.as_slice() {
                [] => found.is_none(),
                [open] => found.is_some() && found == *open,
                _ => false,
            };
            if !is_right {
                return Err(format!("device {device} has {found:?} and the sockets {open:?}"));
            }
        }
        Ok(())
    }

    /// Checks that the tables know the running servers and their connections, and no others.
    fn check_servers(&mut self, rosters: &Rosters) -> Result<(), String> {
        let running: BTreeSet<String> =
            self.servers.values().map(|it| it.hub.identity().node.to_string()).collect();
        for sql in ["SELECT id FROM nodes", "SELECT id FROM live_nodes WHERE state = 0"] {
            let found = self.network.database.query(sql);
            let found: BTreeSet<String> = found.into_iter().map(|row| row[0].clone()).collect();
            if found != running {
                return Err(format!("{sql}: {found:?}, and {running:?} run"));
            }
        }
        let held = rosters.iter().flat_map(|(user, (_, roster))| {
            roster.handles().map(|handle| vec![handle.node.to_string(), user.0.to_string()])
        });
        let held: BTreeSet<Vec<String>> = held.collect();
        let linked = self.network.database.query("SELECT node, user_id FROM live_connections");
        let linked: BTreeSet<Vec<String>> = linked.into_iter().collect();
        if held != linked {
            return Err(format!("live_connections has {linked:?}, and the rosters {held:?}"));
        }
        for row in self.network.database.query("SELECT DISTINCT node FROM live_sockets") {
            if !running.contains(&row[0]) {
                return Err(format!("live_sockets has {row:?}, and {running:?} run"));
            }
        }
        Ok(())
    }

    /// Checks that each Application sees what is true, at each server.
    async fn check_views(&mut self, rosters: &Rosters) {
        for app in 0..APPS {
            let expected: BTreeMap<Puid, Vec<View>> = (0..USERS)
                .filter_map(|user| Some((self.world.grants[user][app].states[0]?.0, user)))
                .map(|(puid, user)| (puid, self.possible_views(user, app)))
                .collect();
            let polled = self.polled(app).await;
            for (server, polled) in &polled {
                let checked = check_view(&expected, |puid| polled.get(&puid).cloned());
                let checked = checked.and_then(|()| check_known(&expected, polled.keys()));
                let problem = |text| {
                    let rosters = rosters.iter().map(|(user, it)| (user, it.0, it.1.devices()));
                    let rosters: Vec<_> = rosters.collect();
                    format!("a poll of app {app} at server {server}: {text}\n{rosters:?}")
                };
                self.checked(checked.map_err(problem));
            }
            for reader in (0..self.world.readers.len()).filter(|reader| app_of(*reader) == app) {
                let known = &self.world.readers[reader];
                let Some((server, ..)) = &known.socket else { continue };
                let is_on = self.world.switches[app].may_be_on();
                let problem = format!("a socket of app {app}, which is off, is open at {server}");
                self.checked(if is_on { Ok(()) } else { Err(problem) });
                let checked = check_view(&expected, |puid| Some(known.view(puid)));
                let visible: Vec<Puid> = known.visible().collect();
                let checked = checked.and_then(|()| check_known(&expected, visible.iter()));
                let checked = match (known.is_complete, known.is_stale) {
                    (true, false) => checked,
                    state => Err(format!("it is not up to date: {state:?}")),
                };
                let problem = |text| format!("app {app} at server {server}: {text}");
                self.checked(checked.map_err(problem));
            }
        }
    }

    /// Returns the possible views of a user under a grant.
    fn possible_views(&self, user: usize, app: usize) -> Vec<View> {
        if self.world.switches[app].is_off()
            || !matches!(self.world.grants[user][app].states[0], Some((_, false)))
        {
            return vec![View::default()];
        }
        let devices = &self.world.devices[user * DEVICES.len()..(user + 1) * DEVICES.len()];
        let reports = devices.iter().filter_map(|device| {
            let socket = device.sockets.first()?;
            Some(device.reports_for(app, socket))
        });
        merged_views(&reports.collect::<Vec<_>>())
    }

    /// Returns the answers of each server to a poll of an Application.
    async fn polled(&mut self, app: usize) -> Vec<(usize, BTreeMap<Puid, View>)> {
        let servers: Vec<usize> = self.servers.keys().copied().collect();
        let mut polled = Vec::new();
        for server in servers {
            let (hub, id) = (self.service(server).hub, self.world.apps[app]);
            let users = self.ask(async move { hub.poll(id, None, 1_000).await }).await.unwrap();
            let view =
                |it: presence_protocol::PresenceUpdate| (it.uid, View::new(it.status, it.message));
            polled.push((server, users.into_iter().map(view).collect()));
        }
        polled
    }

    /// Checks the logs of streams.
    fn check_logs(&mut self) -> Result<(), String> {
        let sql = "SELECT * FROM live_log WHERE kind = 0 AND status = status_before \
                   AND text IS NOT DISTINCT FROM text_before";
        if let Some(row) = self.network.database.query(sql).first() {
            return Err(format!("an entry says what the one before it says: {row:?}"));
        }
        let sql = "SELECT app, place, xmin, kind, puid FROM live_log ORDER BY app, place";
        let rows = self.network.database.query(sql);
        for pair in rows.windows(2) {
            let [one, next] = pair else { continue };
            if one[0] != next[0] {
                continue;
            }
            let place = |row: &[String]| row[1].parse::<u64>().unwrap();
            if place(one) + 1 != place(next) {
                return Err(format!("a place is missing between {one:?} and {next:?}"));
            }
            let is_update = |row: &[String]| row[3] == "0" || row[3] == "2";
            if one[2] == next[2] && is_update(one) && is_update(next) && one[4] >= next[4] {
                return Err(format!("a batch is not in the order of PUIDs: {one:?}, {next:?}"));
            }
        }
        if self.updates_are_delayed() {
            return Ok(());
        }
        let [one, other] = [0, 1].map(|app| self.twin_log(app));
        let count = one.len().min(other.len());
        if one[one.len() - count..] == other[other.len() - count..] {
            return Ok(());
        }
        Err(format!("two Applications with the same grants got {one:?} and {other:?}"))
    }

    /// Returns what a twin got: the users and views of each transaction.
    fn twin_log(&mut self, app: usize) -> Vec<BTreeSet<(usize, String)>> {
        let sql = format!(
            "SELECT l.xmin, l.puid, l.status || ' ' || COALESCE(l.text, '') FROM live_log l \
             JOIN apps a ON a.number = l.app WHERE a.number = {} ORDER BY l.place",
            app + 1
        );
        let users: BTreeMap<Puid, usize> = (0..USERS)
            .filter_map(|user| Some((self.world.grants[user][app].states[0]?.0, user)))
            .collect();
        let rows = self.network.database.query(&sql);
        let transactions = rows.chunk_by(|one, next| one[0] == next[0]);
        let of_transaction = |rows: &[Vec<String>]| {
            let change = |row: &Vec<String>| {
                let puid: Puid = row[1].replace('-', "").parse().unwrap();
                (users.get(&puid).copied().unwrap_or(USERS), row[2].clone())
            };
            rows.iter().map(change).collect()
        };
        transactions.map(of_transaction).collect()
    }
}

fn check_view(
    expected: &BTreeMap<Puid, Vec<View>>,
    seen: impl Fn(Puid) -> Option<View>,
) -> Result<(), String> {
    for (puid, expected) in expected {
        let seen = seen(*puid).unwrap_or_default();
        if !expected.contains(&seen) {
            return Err(format!("{puid} is seen as {seen:?} and not as one of {expected:?}"));
        }
    }
    Ok(())
}

/// Checks that nobody is seen who has no grant.
fn check_known<'a>(
    expected: &BTreeMap<Puid, Vec<View>>,
    mut seen: impl Iterator<Item = &'a Puid>,
) -> Result<(), String> {
    seen.find(|puid| !expected.contains_key(puid))
        .map_or(Ok(()), |puid| Err(format!("{puid} is seen and has no grant")))
}
