//! Accepted notifications are not lost and acknowledged ones do not return while the server is
//! killed at random moments. The test process records what the server has answered.

mod ledger;
mod load_user;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use presence_tests::{Application, SeededRng, Server, ServerOptions, StoppedServer, TIMEOUT};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use ledger::Totals;
use load_user::{LoadUser, Run};

/// The number of concurrent senders.
const USERS: usize = 64;
const KILLS: usize = 200;
/// The minimum number of answered notifications, so that the kills can lose something.
const ANSWERS: usize = 10 * KILLS;
/// A full queue. A commit of so many takes longer than a kill, so that a reply before the commit
/// would be detected.
const AT_ONCE: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_accepted_notification_is_lost_and_no_acknowledged_one_returns_over_200_kills() {
    let seed = SeededRng::seed();
    print(&format!("seed {seed}"));
    let (started_at, mut rng) = (Instant::now(), SeededRng::new(seed));
    let mut load = LoadTest::start().await;
    let mut kill = 0;
    // A slow machine does less between two kills and needs more of them.
    while kill < KILLS || load.totals().answered <= ANSWERS && kill < 5 * KILLS {
        kill += 1;
        let tasks = load.start_users(kill, &mut rng);
        if rng.chance(90) {
            load.run.wait_for_answers(1).await;
        }
        // The moment is random, so that the kill interrupts requests.
        sleep(Duration::from_millis(u64::try_from(rng.between(20, 300)).unwrap())).await;
        load.run.announce_end();
        load.server.kill().await;
        join(tasks).await;
        load.server.restart().await;
    }
    load.settle_everything(kill + 1).await;
    let totals = load.totals();
    let seconds = started_at.elapsed().as_secs();
    print(&format!("{kill} kills under {USERS} senders in {seconds} s: {totals:?}"));
    assert!(
        totals.answered > ANSWERS && totals.repeated > KILLS,
        "too little happened: {totals:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_stop_under_load_loses_nothing_and_exits_with_0() {
    let seed = SeededRng::seed();
    print(&format!("seed {seed}"));
    let mut rng = SeededRng::new(seed);
    let mut load = LoadTest::start().await;
    for stop in 1..=5 {
        let tasks = load.start_users(stop, &mut rng);
        load.run.wait_for_answers(rng.between(1, 300)).await;
        load.run.announce_end();
        assert_eq!(load.server.terminate().await, StoppedServer::With(0));
        join(tasks).await;
        load.server.restart().await;
    }
    load.settle_everything(6).await;
    let totals = load.totals();
    print(&format!("5 stops under {USERS} senders: {totals:?}"));
    assert!(totals.answered > 100, "too little happened: {totals:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_notification_survives_an_immediate_kill() {
    let mut server = Server::start(options()).await;
    let (application, user, uid) = server.application_with("alice").await;
    let alice = Arc::new(LoadUser::new(user.name, uid.to_string(), user.token));
    for number in 1..=20 {
        let run = run(&server, &application, number);
        alice.send_some(&run, AT_ONCE, number % 2 == 0).await;
        server.kill().await;
        server.restart().await;
        let run = self::run(&server, &application, number);
        alice.drain(&run).await;
    }
    let totals = alice.ledger().totals();
    let all = 20 * AT_ONCE;
    assert_eq!((totals.answered, totals.settled), (all, all));
}

/// A server under load, with its users.
struct LoadTest {
    server: Server,
    application: Application,
    load_user: Vec<Arc<LoadUser>>,
    run: Arc<Run>,
}

impl LoadTest {
    async fn start() -> Self {
        let server = Server::start(options()).await;
        let owner = server.sign_in("developer").await;
        let application = server.application(&owner).await;
        let mut load_user = Vec::new();
        for number in 0..USERS {
            let user = server.sign_in(&format!("user{number}")).await;
            let uid = user.grant(&application).await.to_string();
            load_user.push(Arc::new(LoadUser::new(user.name, uid, user.token)));
        }
        let run = run(&server, &application, 0);
        Self { server, application, load_user, run }
    }

    /// Starts all senders. Most of them also have a device that receives, at once or a little
    /// later.
    fn start_users(&mut self, number: usize, rng: &mut SeededRng) -> JoinSet<()> {
        self.run = run(&self.server, &self.application, number);
        let mut tasks = JoinSet::new();
        for user in &self.load_user {
            let (user, run) = (Arc::clone(user), Arc::clone(&self.run));
            tasks.spawn(Arc::clone(&user).send_until_the_end(Arc::clone(&run), rng.another()));
            if rng.chance(66) {
                tasks.spawn(user.receive_until_the_end(run, rng.another()));
            }
        }
        tasks
    }

    /// Repeats unanswered requests, receives everything, and checks the ledgers at the end.
    async fn settle_everything(&mut self, number: usize) {
        self.run = run(&self.server, &self.application, number);
        let mut tasks = JoinSet::new();
        for user in &self.load_user {
            let (user, run) = (Arc::clone(user), Arc::clone(&self.run));
            tasks.spawn(async move {
                user.retry(&run).await;
                user.drain(&run).await;
            });
        }
        join(tasks).await;
        let mut ids = HashSet::new();
        for user in &self.load_user {
            for id in user.ledger().close() {
                assert!(ids.insert(id.to_owned()), "the id {id} names two items");
            }
        }
    }

    fn totals(&self) -> Totals {
        self.load_user.iter().map(|user| user.ledger().totals()).fold(Totals::default(), |a, b| {
            Totals {
                answered: a.answered + b.answered,
                settled: a.settled + b.settled,
                dropped: a.dropped + b.dropped,
                repeated: a.repeated + b.repeated,
            }
        })
    }
}

fn options() -> ServerOptions {
    ServerOptions::default()
        .with("notify-burst", 1_000_000)
        .with("notify-per-second", 1_000_000)
        .with("connects-per-second", 100_000)
        .with("sockets-per-app", 1_000)
        .with("log", "warn")
}

fn run(server: &Server, application: &Application, number: usize) -> Arc<Run> {
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let address: SocketAddr = server.address();
    let (appid, api_key) = (application.appid.clone(), application.api_key.clone());
    Arc::new(Run::new(number, address, (appid, api_key), http))
}

async fn join(mut tasks: JoinSet<()>) {
    let all = async {
        while let Some(done) = tasks.join_next().await {
            if let Err(error) = done {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    };
    timeout(TIMEOUT, all).await.unwrap_or_else(|_| panic!("a client does not end"));
}

#[expect(clippy::print_stdout, reason = "the seed and the totals of a run")]
fn print(line: &str) {
    println!("durability: {line}");
}
