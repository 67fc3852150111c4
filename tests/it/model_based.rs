//! Model-based test of the whole system: a model of the contract computes what each Application
//! must see while devices act and connections fail, and each Application must see exactly that.

mod expected;
mod observed;
mod shared;
mod simulated_user;
mod watcher;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use presence_tests::{FaultProxy, SeededRng, Server, ServerOptions};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use expected::{APPS, VisibleStatus};
use observed::ObservedState;
use shared::SharedState;
use simulated_user::SimulatedUser;
use watcher::{Watcher, WatcherKind};

const USERS: usize = 60;
const EVENTS: usize = 100_000;
const PHASES: usize = 10;
/// The minimum number of losses that the Application must not have seen.
const MIN_GRACE_RETURNS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_hundred_thousand_events_two_applications_see_what_the_model_expects() {
    let (seed, begun) = (SeededRng::seed(), Instant::now());
    print_line(&format!("seed {seed}"));
    let mut run = ModelRun::start(SeededRng::new(seed)).await;
    let grace_returns = |run: &ModelRun| run.shared.grace_returns.load(Ordering::Relaxed);
    let mut phase = 0;
    // On a busy machine fewer devices are back within their grace period, and more phases are
    // needed.
    while phase < PHASES || grace_returns(&run) <= MIN_GRACE_RETURNS && phase < 3 * PHASES {
        phase += 1;
        run.shared.set_target(EVENTS / PHASES * phase);
        run.inject_faults().await;
        run.assert_all_match_the_model().await;
    }
    let (frames, faults) = run.shared.events();
    assert!(frames + faults >= EVENTS);
    let departures = run.shared.departures.load(Ordering::Relaxed);
    let grace_returns = grace_returns(&run);
    let seconds = begun.elapsed().as_secs();
    print_line(&format!(
        "{frames} frames, {faults} faults, {departures} departures, {grace_returns} returns within the grace period, {seconds} s"
    ));
    for watcher in &run.watchers {
        let (updates, resumed) =
            (watcher.with_observed(|observed| observed.updates), *watcher.resumed.lock().unwrap());
        print_line(&format!("{:?}: {updates} updates, resumed {resumed} times", watcher.kind));
    }
    assert!(
        departures > 100 && grace_returns > MIN_GRACE_RETURNS,
        "too few users went offline and came back"
    );
}

struct ModelRun {
    _server: Server,
    shared: Arc<SharedState>,
    watchers: [Arc<Watcher>; 3],
    /// The proxy of the watcher that resumes.
    proxy: FaultProxy,
    users: Vec<SimulatedUser>,
    rng: SeededRng,
    watch_tasks: JoinSet<()>,
}

impl ModelRun {
    async fn start(mut rng: SeededRng) -> Self {
        let server = Server::start(options()).await;
        let owner = server.sign_in("developer").await;
        let paged = server.application_named(&owner, "Paged").await;
        let plain = server.application_named(&owner, "Plain").await;
        let (address, proxy) = (server.address(), FaultProxy::to(&server).await);
        let watchers = [
            Watcher::new(WatcherKind::Steady, address, &paged),
            Watcher::new(WatcherKind::Plain, address, &plain),
            Watcher::new(WatcherKind::Resuming, proxy.address(), &paged),
        ];
        let steady = [Arc::clone(&watchers[0]), Arc::clone(&watchers[1])];
        let shared = Arc::new(SharedState::new([paged, plain], steady));
        let mut users = Vec::new();
        for number in 0..USERS {
            let user = server.sign_in(&format!("user{number}")).await;
            let mut simulated_user =
                SimulatedUser::new(&server, user, Arc::clone(&shared), rng.another()).await;
            for app in 0..APPS {
                simulated_user.grant(app).await;
            }
            users.push(simulated_user);
        }
        let mut watch_tasks = JoinSet::new();
        watchers.iter().for_each(|watcher| drop(watch_tasks.spawn(Arc::clone(watcher).watch())));
        let all_seen = |observed: &ObservedState| observed.updates >= USERS;
        assert!(watchers[1].wait_until(all_seen).await, "a plain socket receives every user");
        for watcher in &watchers {
            watcher.wait_for_all_updates().await;
        }
        Self { _server: server, shared, watchers, proxy, users, rng, watch_tasks }
    }

    /// Lets all users act, and breaks the connection of one watcher again and again, until the
    /// phase is over.
    async fn inject_faults(&mut self) {
        let mut tasks = JoinSet::new();
        for mut simulated_user in self.users.drain(..) {
            tasks.spawn(async move {
                simulated_user.act().await;
                simulated_user
            });
        }
        while self.shared.is_running() {
            sleep(Duration::from_millis(u64::try_from(self.rng.between(5, 60)).unwrap())).await;
            match self.rng.below(3) {
                0 => self.proxy.reset(),
                1 => self.proxy.hang_up(),
                _ => {
                    self.proxy.stall();
                    sleep(Duration::from_millis(20)).await;
                    self.proxy.resume_traffic();
                }
            }
            self.shared.record_fault();
            if let Some(ended) = self.watch_tasks.try_join_next() {
                std::panic::resume_unwind(ended.unwrap_err().into_panic());
            }
        }
        while let Some(simulated_user) = tasks.join_next().await {
            match simulated_user {
                Ok(simulated_user) => self.users.push(simulated_user),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        self.users.sort_by(|a, b| a.user.name.cmp(&b.user.name));
    }

    /// Asserts that each Application sees what the model expects, and receives nothing more.
    async fn assert_all_match_the_model(&self) {
        for (watcher, app) in self.watchers.iter().zip([0, 1, 0]) {
            let (expected, granted) = (self.expected(app), self.granted(app));
            watcher.wait_until(|observed| observed.errors(&expected, &granted).is_empty()).await;
            watcher.wait_for_all_updates().await;
            let errors = watcher.with_observed(|observed| observed.errors(&expected, &granted));
            assert!(
                errors.is_empty(),
                "{:?} differs from the model:\n{}",
                watcher.kind,
                errors.join("\n")
            );
        }
        for app in 0..APPS {
            assert_eq!(self.polled(app).await, self.visible(app), "a poll has a different result");
        }
    }

    fn expected(&self, app: usize) -> HashMap<String, VisibleStatus> {
        let status = |simulated_user: &SimulatedUser| {
            let grant = simulated_user.expected.grant(app)?;
            Some((grant.uid.clone(), simulated_user.expected.visible_status(app)))
        };
        self.users.iter().filter_map(status).collect()
    }

    fn visible(&self, app: usize) -> HashMap<String, VisibleStatus> {
        self.expected(app).into_iter().filter(|(_, view)| !view.is_offline()).collect()
    }

    fn granted(&self, app: usize) -> HashSet<String> {
        self.shared.granted[app].lock().unwrap().clone()
    }

    async fn polled(&self, app: usize) -> HashMap<String, VisibleStatus> {
        let answer = self.shared.applications[app].call("GET", "/presence").await.ok();
        let read = |update: &Value| {
            let view =
                VisibleStatus::new(update["status"].as_str().unwrap(), update["message"].as_str());
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
        .with("grace-seconds", simulated_user::GRACE.as_secs_f64())
        .with("log", "warn")
}

#[expect(clippy::print_stdout, reason = "the seed and the totals of a run")]
fn print_line(line: &str) {
    println!("model-based test: {line}");
}
