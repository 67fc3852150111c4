//! Model-based test of the whole system: a model of the contract computes what each Application
//! must see while devices act and connections fail, and each Application must see exactly that.

mod actor;
mod belief;
mod board;
mod truth;
mod watcher;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use presence_tests::{FaultProxy, SeededRng, Server, ServerOptions};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use actor::Actor;
use board::Board;
use truth::{APPS, View};
use watcher::{Form, Watcher};

const PEOPLE: usize = 60;
const EVENTS: usize = 100_000;
const PHASES: usize = 10;
/// The minimum number of losses that the Application must not have seen.
const BLINKS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_hundred_thousand_events_two_applications_believe_exactly_the_truth() {
    let (seed, begun) = (SeededRng::seed(), Instant::now());
    tell(&format!("seed {seed}"));
    let mut oracle = Oracle::begin(SeededRng::new(seed)).await;
    let blinks = |oracle: &Oracle| oracle.board.blinks.load(Ordering::Relaxed);
    let mut phase = 0;
    // On a busy machine fewer devices are back within their grace period, and more phases are
    // needed.
    while phase < PHASES || blinks(&oracle) <= BLINKS && phase < 3 * PHASES {
        phase += 1;
        oracle.board.go_on_until(EVENTS / PHASES * phase);
        oracle.disturb().await;
        oracle.all_believe_the_truth().await;
    }
    let (frames, disturbances) = oracle.board.events();
    assert!(frames + disturbances >= EVENTS);
    let farewells = oracle.board.farewells.load(Ordering::Relaxed);
    let blinks = blinks(&oracle);
    let seconds = begun.elapsed().as_secs();
    tell(&format!(
        "{frames} frames, {disturbances} disturbances, {farewells} farewells, {blinks} blinks, {seconds} s"
    ));
    for watcher in &oracle.watchers {
        let (updates, resumed) =
            (watcher.look(|belief| belief.updates), *watcher.resumed.lock().unwrap());
        tell(&format!("{:?}: {updates} updates, resumed {resumed} times", watcher.form));
    }
    assert!(farewells > 100 && blinks > BLINKS, "too few went away and came back");
}

struct Oracle {
    _server: Server,
    board: Arc<Board>,
    watchers: [Arc<Watcher>; 3],
    /// The proxy of the watcher that resumes.
    wire: FaultProxy,
    actors: Vec<Actor>,
    dice: SeededRng,
    watching: JoinSet<()>,
}

impl Oracle {
    async fn begin(mut dice: SeededRng) -> Self {
        let server = Server::start(options()).await;
        let owner = server.sign_in("developer").await;
        let paged = server.application_named(&owner, "Paged").await;
        let plain = server.application_named(&owner, "Plain").await;
        let (address, wire) = (server.address(), FaultProxy::to(&server).await);
        let watchers = [
            Watcher::new(Form::Steady, address, &paged),
            Watcher::new(Form::Plain, address, &plain),
            Watcher::new(Form::Resuming, wire.address(), &paged),
        ];
        let steady = [Arc::clone(&watchers[0]), Arc::clone(&watchers[1])];
        let board = Arc::new(Board::new([paged, plain], steady));
        let mut actors = Vec::new();
        for number in 0..PEOPLE {
            let user = server.sign_in(&format!("user{number}")).await;
            let mut actor = Actor::new(&server, user, Arc::clone(&board), dice.another()).await;
            for app in 0..APPS {
                actor.grant(app).await;
            }
            actors.push(actor);
        }
        let mut watching = JoinSet::new();
        watchers.iter().for_each(|watcher| drop(watching.spawn(Arc::clone(watcher).watch())));
        let known = |belief: &belief::Belief| belief.updates >= PEOPLE;
        assert!(watchers[1].comes_to(known).await, "a plain socket is told of everybody");
        for watcher in &watchers {
            watcher.has_heard_all().await;
        }
        Self { _server: server, board, watchers, wire, actors, dice, watching }
    }

    /// Lets all users act, and breaks the connection of one watcher again and again, until the
    /// phase is over.
    async fn disturb(&mut self) {
        let mut acting = JoinSet::new();
        for mut actor in self.actors.drain(..) {
            acting.spawn(async move {
                actor.act().await;
                actor
            });
        }
        while self.board.goes_on() {
            sleep(Duration::from_millis(u64::try_from(self.dice.between(5, 60)).unwrap())).await;
            match self.dice.below(3) {
                0 => self.wire.reset(),
                1 => self.wire.hang_up(),
                _ => {
                    self.wire.stall();
                    sleep(Duration::from_millis(20)).await;
                    self.wire.carry();
                }
            }
            self.board.disturbed();
            if let Some(ended) = self.watching.try_join_next() {
                std::panic::resume_unwind(ended.unwrap_err().into_panic());
            }
        }
        while let Some(actor) = acting.join_next().await {
            match actor {
                Ok(actor) => self.actors.push(actor),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        self.actors.sort_by(|a, b| a.user.name.cmp(&b.user.name));
    }

    /// Asserts that each Application sees what the model expects, and receives nothing more.
    async fn all_believe_the_truth(&self) {
        for (watcher, app) in self.watchers.iter().zip([0, 1, 0]) {
            let (truth, granted) = (self.truth(app), self.granted(app));
            watcher.comes_to(|belief| belief.errors(&truth, &granted).is_empty()).await;
            watcher.has_heard_all().await;
            let errors = watcher.look(|belief| belief.errors(&truth, &granted));
            assert!(errors.is_empty(), "{:?} is wrong:\n{}", watcher.form, errors.join("\n"));
        }
        for app in 0..APPS {
            assert_eq!(self.polled(app).await, self.present(app), "a poll tells something else");
        }
    }

    fn truth(&self, app: usize) -> HashMap<String, View> {
        let shown = |actor: &Actor| {
            let grant = actor.truth.grant(app)?;
            Some((grant.uid.clone(), actor.truth.shown_to(app)))
        };
        self.actors.iter().filter_map(shown).collect()
    }

    fn present(&self, app: usize) -> HashMap<String, View> {
        self.truth(app).into_iter().filter(|(_, view)| !view.is_offline()).collect()
    }

    fn granted(&self, app: usize) -> HashSet<String> {
        self.board.granted[app].lock().unwrap().clone()
    }

    async fn polled(&self, app: usize) -> HashMap<String, View> {
        let answer = self.board.applications[app].call("GET", "/presence").await.ok();
        let read = |update: &Value| {
            let view = View::new(update["status"].as_str().unwrap(), update["message"].as_str());
            (update["uid"].as_str().unwrap().to_owned(), view)
        };
        answer["presence"].as_array().unwrap().iter().map(read).collect()
    }
}

fn options() -> ServerOptions {
    ServerOptions::default()
        .with("status-burst", 1_000_000)
        .with("status-per-second", 1_000_000)
        .with("connects-per-second", 100_000)
        .with("sockets-per-user", 100)
        .with("grace-seconds", actor::GRACE.as_secs_f64())
        .with("log", "warn")
}

#[expect(clippy::print_stdout, reason = "the seed and the figures of a run")]
fn tell(line: &str) {
    println!("oracle: {line}");
}
