//! A run: the seed decides what happens next.

use std::collections::BTreeMap;
use std::time::Duration;

use presence_protocol::Puid;
use tokio::task::JoinSet;
use tokio::time::advance;

use super::accounts::{Erasure, create_user};
use super::command::{Answer, Command, GrantChange, Service};
use super::database::Database;
use super::faults::Faults;
use super::network::{Fate, Network};
use super::rng::SeededRng;
use super::server::SimulatedServer;
use super::world::{APPS, InFlight, SERVERS, TWINS, USERS, World};

/// The time at which runs begin.
const BEGIN: u64 = 1_800_000_000_000;

/// A run.
pub(super) struct Run {
    pub(super) seed: u64,
    pub(super) rng: SeededRng,
    pub(super) network: Network,
    pub(super) servers: BTreeMap<usize, SimulatedServer>,
    pub(super) world: World,
    /// The servers that are cut off from the database, with the time at which it ends, and whether
    /// only answers are held.
    pub(super) cut_off: BTreeMap<usize, (u64, bool)>,
    pub(super) faults: Faults,
    last_server: usize,
    update_delay: Duration,
    /// The time in milliseconds that the next rest takes.
    pub(super) rest_time: u64,
}

impl Run {
    /// Starts the servers and creates the world.
    pub(super) async fn start(seed: u64) -> Self {
        let mut network = Network::new(Database::create(), BEGIN);
        let mut rng = SeededRng::new(seed);
        // One run in four delays updates.
        let update_delay = Duration::from_millis(if rng.below(4) == 3 { 400 } else { 0 });
        let mut servers = BTreeMap::new();
        let count = rng.below(SERVERS - 1) + 2;
        for server in 1..=count {
            servers.insert(server, open(&mut network, server, update_delay).await);
        }
        let store = servers[&1].store.clone();
        let mut creating = JoinSet::new();
        creating.spawn(World::create(store, network.now));
        let world = direct(&mut network, creating).await;
        (1..=count).for_each(|server| network.set_direct(server, false));
        let faults = Faults { statement: 0, announcement: 0, server: 0, database: 0 };
        let cut_off = BTreeMap::new();
        let mut run = Self {
            seed,
            rng,
            network,
            servers,
            world,
            cut_off,
            faults,
            last_server: count,
            update_delay,
            rest_time: 0,
        };
        for user in 0..USERS {
            run.grant_twins(user).await;
        }
        run
    }

    /// Grants the twins access to a user, for as long as there is the user.
    async fn grant_twins(&mut self, user: usize) {
        let server = *self.servers.keys().next().unwrap();
        for app in 0..TWINS {
            let puid = Puid::from_bits(self.rng.bits());
            self.change((user, app), GrantChange::Grant(puid), server);
            self.run_all().await;
        }
    }

    /// Lets users who were erased come back.
    pub(super) async fn replace_erased_users(&mut self) {
        for user in 0..USERS {
            if self.world.is_here(user) {
                continue;
            }
            let (server, now) = (self.servers.keys().next().unwrap(), self.network.now);
            let store = self.servers[server].store.clone();
            let id = self.ask(async move { create_user(&store, user, now).await }).await;
            self.world.replace_user(user, id);
            self.grant_twins(user).await;
        }
    }

    /// Starts a change of a grant.
    pub(super) fn change(&mut self, (user, app): (usize, usize), change: GrantChange, at: usize) {
        self.world.grants[user][app].hidden = None;
        let (id, app_id) = (self.world.users[user], self.world.apps[app]);
        let work = self.service(at).change(id, app_id, change);
        self.start_command(at, Command::Change { user, app, change }, work);
    }

    pub(super) fn start_command(
        &mut self,
        server: usize,
        command: Command,
        work: impl Future<Output = Answer> + Send + 'static,
    ) {
        self.network.events.add(|| format!("{server}: {}", describe(&command)));
        let begun = self.network.events.steps;
        if let Command::Open { device, .. } = command {
            let device = &mut self.world.devices[device];
            device.last_open = begun;
            device.asked_for += 1;
        } else if let Command::End { device } = command {
            self.world.devices[device].last_end = begun;
        } else if let Command::Erase { user } = command {
            self.world.erasures[user] = Erasure::Asked;
        } else if let Command::Switch { app, active } = command {
            self.world.switches[app].begin(active);
        }
        self.world.start((server, begun), command, work);
    }

    pub(super) fn service(&self, server: usize) -> Service {
        Service::from(&self.servers[&server])
    }

    /// Returns true if each Application gets updates at moments of its own.
    pub(super) fn updates_are_delayed(&self) -> bool {
        !self.update_delay.is_zero()
    }

    /// Starts another server.
    pub(super) async fn start_server(&mut self) {
        // A server that gets no answers may hold a lock that the new one needs.
        self.cut_off.retain(|_, (_, only_answers)| !*only_answers);
        self.note_cut_off();
        // No two servers start at the same time, by which the database sorts them.
        self.advance(1).await;
        self.last_server += 1;
        let server = self.last_server;
        self.network.events.add(|| format!("{server}: starts"));
        let opened = open(&mut self.network, server, self.update_delay).await;
        self.network.set_direct(server, false);
        self.servers.insert(server, opened);
        self.settle().await;
    }

    /// Ends a server without any warning.
    pub(super) async fn crash(&mut self, server: usize) {
        self.network.events.add(|| format!("{server}: crashes"));
        let aborted = self.world.abort(server);
        self.world.remove_server(server);
        drop(self.servers.remove(&server));
        // A statement that was sent before may run long after.
        let late = self.rng.pick(&[None, Some(500), Some(18_000)]);
        self.network.remove_client(server, late);
        self.cut_off.remove(&server);
        self.forget_aborted(aborted);
        // The others notice it after 15 s, and then the grace time of its devices begins.
        self.rest_time = self.rest_time.max(30_000);
        self.settle().await;
    }

    /// Lets all tasks run until they wait, and notes the answers.
    pub(super) async fn settle(&mut self) {
        loop {
            self.network.settle().await;
            let problem = self.network.problem.take();
            self.checked(problem.map_or(Ok(()), Err));
            let mut is_quiet = true;
            while let Some((sent, answer)) = self.world.next_answer() {
                is_quiet = false;
                self.network.events.add(|| answer_text(&sent, &answer));
                self.answered(&sent, answer);
            }
            if is_quiet {
                return;
            }
        }
    }

    fn answered(&mut self, sent: &InFlight, answer: Answer) {
        let now = self.network.events.steps;
        let noted = self.world.note((sent, now), answer);
        let taken = self.checked(noted);
        if let Command::Open { device, .. } = sent.command {
            self.settle_taken(device, taken);
        }
    }

    /// Notes that commands get no answer any more.
    pub(super) fn forget_aborted(&mut self, aborted: Vec<InFlight>) {
        for sent in aborted {
            self.answered(&sent, Answer::Done(false));
        }
    }

    /// Returns the result of a question to the database, without any fault.
    pub(super) async fn ask<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let mut question = JoinSet::new();
        question.spawn(Box::pin(work));
        direct(&mut self.network, question).await
    }

    /// Lets time pass.
    pub(super) async fn advance(&mut self, millis: u64) {
        let time = Duration::from_millis(millis);
        self.network.advance(millis);
        self.servers.values().for_each(|server| server.advance(time));
        advance(time).await;
        let now = self.network.now;
        self.cut_off.retain(|_, (until, _)| *until > now);
        self.note_cut_off();
        self.settle().await;
    }

    /// Notes which servers are cut off from now on.
    pub(super) fn note_cut_off(&mut self) {
        let held = self.cut_off.iter().filter(|it| it.1.1).map(|it| *it.0);
        self.network.held = held.collect();
    }

    /// Returns the connections with a statement, and those with an announcement, of servers that
    /// are not cut off.
    pub(super) fn ready(&self) -> (Vec<usize>, Vec<usize>) {
        let is_allowed =
            |server: usize| self.cut_off.get(&server).is_none_or(|(_, only_answers)| *only_answers);
        (self.network.waiting(is_allowed), self.network.announced(is_allowed))
    }

    /// Runs all statements without faults, and lets the servers have all announcements.
    pub(super) async fn run_all(&mut self) {
        loop {
            self.settle().await;
            let (waiting, announced) = self.ready();
            if waiting.is_empty() && announced.is_empty() {
                return;
            }
            for link in announced {
                self.network.announce(link, false);
            }
            if let Some(link) = waiting.first() {
                self.network.events.steps += 1;
                self.network.run(*link, Fate::Runs);
            }
        }
    }

    /// Returns the value, or fails with the seed and what happened last.
    pub(super) fn checked<T>(&self, result: Result<T, String>) -> T {
        result.unwrap_or_else(|problem| {
            let events = &self.network.events;
            let (seed, steps, last) = (self.seed, events.steps, events.last());
            panic!("seed {seed}, step {steps}: {problem}\nThe last events:\n{last}")
        })
    }
}

/// Opens a server, all of whose statements run at once.
async fn open(network: &mut Network, server: usize, update_delay: Duration) -> SimulatedServer {
    let url = network.add_client(server);
    let mut opening = JoinSet::new();
    let skew = u64::try_from(server % 3).unwrap() * 5_000;
    let opened = Box::pin(SimulatedServer::open(url, (network.now, skew), update_delay));
    opening.spawn(opened);
    direct(network, opening).await.unwrap()
}

/// Waits for work on the database. It may wait for a lock, so the others go on.
async fn direct<T: 'static>(network: &mut Network, mut work: JoinSet<T>) -> T {
    loop {
        network.settle().await;
        if let Some(done) = work.try_join_next() {
            return done.unwrap();
        }
        if let Some(link) = network.waiting(|_| true).first() {
            network.run(*link, Fate::Runs);
        }
    }
}

/// Returns a command as a text without random values.
fn describe(command: &Command) -> String {
    match command {
        Command::Change { user, app, change } => {
            let change = match change {
                GrantChange::Grant(_) => "grant",
                GrantChange::Pause(true) => "pause",
                GrantChange::Pause(false) => "resume",
                GrantChange::Revoke => "revoke",
            };
            format!("{change} user {user} app {app}")
        }
        Command::Notify { user, app, .. } => format!("notify user {user} app {app}"),
        Command::Query { app, .. } => format!("query app {app}"),
        Command::Open { .. }
        | Command::Report { .. }
        | Command::SetVisibility { .. }
        | Command::Close { .. }
        | Command::End { .. }
        | Command::Erase { .. }
        | Command::Switch { .. }
        | Command::Settle
        | Command::Subscribe { .. } => format!("{command:?}"),
    }
}

fn answer_text(sent: &InFlight, answer: &Answer) -> String {
    let answer = match answer {
        Answer::Done(true) => "done",
        Answer::Done(false) => "failed",
        Answer::Refused => "refused",
        Answer::Opened(_) => "opened",
        Answer::Seen(_) => "seen",
        Answer::Subscribed(..) => "subscribed",
    };
    format!("{}: {answer}: {}", sent.server, describe(&sent.command))
}

const _: () = assert!(APPS > TWINS);
