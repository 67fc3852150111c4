//! The connections of all servers to the database. A statement runs only when the run lets it, and
//! one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::task::yield_now;

use super::database::{Database, Received};
use super::events::Events;
use super::link::Link;
use super::wire::{DatabaseReply, Request, RequestKind};

/// The number of times that all tasks may run without anything new, until they are idle.
const QUIET_TURNS: usize = 6;
/// The time in milliseconds for which a transaction may be idle, or a statement wait for a lock.
const TIMEOUT: u64 = 5_000;

/// The errors that statements may have: those of the functions of shared presence, a wait for a
/// lock that took too long, a check of a user whose grant ends, and a notification that is sent
/// again after the answer to its commit was lost. A deadlock is none of them.
const EXPECTED: [&str; 6] = ["PR001", "PR002", "PR003", "57014", "23503", "23505"];

/// The fate of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It runs.
    Runs,
    /// It runs, and the connection is lost before the answer comes.
    AnswerLost,
    /// The connection is lost before it runs.
    Lost,
}

/// A server that connects to the database.
struct Client {
    listener: UnixListener,
    socket: PathBuf,
    /// Set while all its statements run at once.
    is_direct: bool,
}

/// The connections.
pub(super) struct Network {
    pub(super) database: Database,
    folder: TempDir,
    clients: BTreeMap<usize, Client>,
    links: BTreeMap<usize, Link>,
    last_link: usize,
    /// The servers that get no answers for some time.
    pub(super) held: BTreeSet<usize>,
    /// The time in milliseconds since 1970.
    pub(super) now: u64,
    pub(super) events: Events,
    /// The servers that were declared dead, by their numbers.
    dead: BTreeSet<i64>,
    /// The first promise that a statement has broken.
    pub(super) problem: Option<String>,
}

impl Network {
    pub(super) fn new(database: Database, now: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (clients, links) = (BTreeMap::new(), BTreeMap::new());
        Self {
            database,
            folder,
            clients,
            links,
            last_link: 0,
            held: BTreeSet::new(),
            now,
            events: Events::default(),
            dead: BTreeSet::new(),
            problem: None,
        }
    }

    /// Lets a server connect. Returns the URL of its database.
    pub(super) fn add_client(&mut self, server: usize) -> String {
        let port = 10_000 + server;
        let socket = self.folder.path().join(format!(".s.PGSQL.{port}"));
        let listener = UnixListener::bind(&socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        self.clients.insert(server, Client { listener, socket, is_direct: true });
        let (name, folder) = (self.database.name(), self.folder.path().display());
        format!("postgres://presence@localhost:{port}/{name}?host={folder}&sslmode=disable")
    }

    /// Lets all statements of a server run at once, or no more.
    pub(super) fn set_direct(&mut self, server: usize, is_direct: bool) {
        if let Some(client) = self.clients.get_mut(&server) {
            client.is_direct = is_direct;
        }
    }

    /// Ends all connections of a server, which connects no more. If `late` is given, the statements
    /// that it has sent run after so many milliseconds.
    pub(super) fn remove_client(&mut self, server: usize, late: Option<u64>) {
        if let Some(client) = self.clients.remove(&server) {
            std::fs::remove_file(client.socket).unwrap();
        }
        for link in self.links.values_mut().filter(|link| link.server == server) {
            link.left_until = late.filter(|_| link.has_sent()).map(|late| self.now + late);
        }
        self.close_where(|link| link.server == server && link.left_until.is_none());
    }

    /// Ends connections, and rolls their transactions back.
    pub(super) fn close_where(&mut self, is_closed: impl Fn(&Link) -> bool) {
        let closed: Vec<Link> =
            self.links.extract_if(.., |_, link| is_closed(link)).map(|it| it.1).collect();
        let pids: Vec<i32> = closed.iter().filter_map(|link| link.pid).collect();
        drop(closed);
        self.database.terminate(&pids);
        if !pids.is_empty() {
            self.receive_blocked();
        }
    }

    /// Runs all tasks until each waits for a statement, for time, or for another task.
    pub(super) async fn settle(&mut self) {
        let mut quiet_turns = 0;
        while quiet_turns < QUIET_TURNS {
            yield_now().await;
            quiet_turns = if self.exchange() { 0 } else { quiet_turns + 1 };
        }
    }

    fn exchange(&mut self) -> bool {
        let mut is_moved = false;
        for (server, client) in &self.clients {
            while let Ok((stream, _)) = client.listener.accept() {
                stream.set_nonblocking(true).unwrap();
                self.last_link += 1;
                let link = Link::new(*server, UnixStream::from_std(stream).unwrap());
                self.links.insert(self.last_link, link);
                is_moved = true;
            }
        }
        for link in self.links.values_mut().filter(|link| link.left_until.is_none()) {
            is_moved |= link.exchange(self.held.contains(&link.server));
            while link.answer_by_itself() && !link.is_closed {
                is_moved = true;
            }
        }
        if self.links.values().any(|link| link.is_closed) {
            self.close_where(|link| link.is_closed);
            is_moved = true;
        }
        for link in self.links.values_mut() {
            let is_direct = self.clients.get(&link.server).is_some_and(|client| client.is_direct);
            while is_direct && !link.announcements.is_empty() {
                link.announce(false);
                is_moved = true;
            }
        }
        let direct: Vec<usize> =
            self.links.iter().filter(|it| self.is_direct(it.1)).map(|it| *it.0).collect();
        for number in &direct {
            self.run(*number, Fate::Runs);
        }
        is_moved || !direct.is_empty()
    }

    /// Returns true if the next request of a connection is to be run at once.
    fn is_direct(&self, link: &Link) -> bool {
        let is_direct = self.clients.get(&link.server).is_some_and(|client| client.is_direct);
        let request = link.next_request();
        request.is_some_and(|it| is_direct || it.kind == RequestKind::Preparation)
    }

    /// Returns the connections with a statement that may run next, of servers for which this is
    /// true.
    pub(super) fn waiting(&self, is_allowed: impl Fn(usize) -> bool) -> Vec<usize> {
        let waiting = self.links.iter();
        let is_ready = |link: &Link| link.next_request().is_some() && link.left_until.is_none();
        let waiting = waiting.filter(|it| is_ready(it.1) && is_allowed(it.1.server));
        waiting.map(|it| *it.0).collect()
    }

    /// Returns the connections with an announcement for their server.
    pub(super) fn announced(&self, is_allowed: impl Fn(usize) -> bool) -> Vec<usize> {
        let announced = self.links.iter();
        let announced =
            announced.filter(|it| !it.1.announcements.is_empty() && is_allowed(it.1.server));
        announced.map(|it| *it.0).collect()
    }

    /// Returns true if no transaction is open and no statement waits for a lock.
    pub(super) fn is_at_rest(&self) -> bool {
        self.links.values().all(|link| link.idle_since.is_none() && link.blocked.is_none())
    }

    /// Returns the connections that listen.
    pub(super) fn listening(&self) -> Vec<usize> {
        self.links.iter().filter(|it| it.1.listens).map(|it| *it.0).collect()
    }

    /// Runs the next statement of a connection.
    pub(super) fn run(&mut self, number: usize, fate: Fate) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let server = link.server;
        let label = link.next_request().map(|request| request.label.clone()).unwrap_or_default();
        self.events.add(|| format!("{server}: {label} {fate:?}"));
        if fate == Fate::Lost {
            return self.close(number);
        }
        let mut request = link.send();
        request.is_of_dead = request.node.is_some_and(|node| self.dead.contains(&node));
        self.receive(number, request, fate, self.now);
    }

    /// Lets the server of a connection have an announcement, or lose it.
    pub(super) fn announce(&mut self, number: usize, is_lost: bool) {
        if let Some(link) = self.links.get_mut(&number) {
            let server = link.server;
            link.announce(is_lost);
            self.events.add(|| format!("{server}: announcement, lost {is_lost}"));
        }
    }

    /// Ends a connection.
    pub(super) fn close(&mut self, number: usize) {
        if let Some(link) = self.links.get_mut(&number) {
            link.is_closed = true;
            self.close_where(|link| link.is_closed);
        }
    }

    /// Waits until a statement has ended, or waits for a lock.
    fn receive(&mut self, number: usize, request: Request, fate: Fate, since: u64) {
        let Some(link) = self.links.get_mut(&number) else { return };
        loop {
            match link.receive() {
                Received::Reply(reply) => return self.finish(number, &request, reply, fate),
                Received::Closed => return self.close(number),
                Received::Nothing => {}
            }
            if link.pid.is_some_and(|pid| self.database.is_blocked(pid)) {
                if link.blocked.is_none() && since == self.now {
                    let server = link.server;
                    self.events.add(|| format!("{server}: waits for a lock"));
                }
                link.blocked = Some((request, since));
                return;
            }
        }
    }

    fn finish(&mut self, number: usize, request: &Request, reply: DatabaseReply, fate: Fate) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let server = link.server;
        if let Some(error) = &reply.error {
            if !EXPECTED.contains(&error.as_str()) {
                let problem = format!("error {error} of {}", request.label);
                self.problem.get_or_insert(problem);
            }
            self.events.add(|| format!("{server}: error {error}"));
        } else if request.declares_dead() {
            self.dead.extend(request.node);
        } else if request.is_of_dead {
            let problem = format!("the server {server} has written, and was declared dead before");
            self.problem.get_or_insert(problem);
        }
        let ends_transaction = !reply.in_transaction;
        let is_left = link.left_until.is_some();
        link.finish(request, reply, self.now);
        if fate == Fate::AnswerLost || is_left {
            return self.close(number);
        }
        if ends_transaction && request.kind == RequestKind::Statement {
            if ["presence_a", "pg_notify", "NOTIFY"].iter().any(|part| request.label.contains(part))
            {
                self.links.values_mut().for_each(Link::read_announcements);
            }
            self.receive_blocked();
        }
    }

    /// Receives the answers of statements whose locks were released.
    fn receive_blocked(&mut self) {
        let mut blocked: Vec<(u64, usize)> = self
            .links
            .iter()
            .filter_map(|(number, link)| Some((link.blocked.as_ref()?.1, *number)))
            .collect();
        blocked.sort_unstable();
        for (since, number) in blocked {
            let request = self.links.get_mut(&number).and_then(|link| link.blocked.take());
            if let Some((request, _)) = request {
                self.receive(number, request, Fate::Runs, since);
            }
        }
    }

    /// Lets time pass for the database, which ends transactions and statements that wait too long.
    pub(super) fn advance(&mut self, millis: u64) {
        self.now += millis;
        self.database.set_time(self.now);
        let is_over = |since: &u64| self.now - since >= TIMEOUT;
        for link in self.links.values_mut() {
            link.is_closed |= link.idle_since.as_ref().is_some_and(is_over);
        }
        let late = |link: &Link| {
            link.pid.filter(|_| link.blocked.as_ref().is_some_and(|it| is_over(&it.1)))
        };
        let late: Vec<i32> = self.links.values().filter_map(late).collect();
        self.close_where(|link| link.is_closed);
        late.into_iter().for_each(|pid| self.database.cancel(pid));
        self.receive_blocked();
        self.run_late();
    }

    /// Runs the statements of servers that have crashed, when it is time.
    fn run_late(&mut self) {
        let now = self.now;
        let is_due = |link: &Link| {
            link.left_until.is_some_and(|time| time <= now) && link.next_request().is_some()
        };
        let due: Vec<usize> = self.links.iter().filter(|it| is_due(it.1)).map(|it| *it.0).collect();
        due.into_iter().for_each(|number| self.run(number, Fate::AnswerLost));
    }
}
