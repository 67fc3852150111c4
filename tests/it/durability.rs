//! "Nothing answered OK and not yet settled is missing, nothing acknowledged comes back": under
//! kills at any moment, with the ledger kept in this process, which lives on.

mod ledger;
mod people;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use presence_tests::{Application, SeededRng, Server, ServerOptions, StoppedServer, TIMEOUT};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use ledger::Sums;
use people::{Person, Run};

/// The number of concurrent senders.
const PEOPLE: usize = 64;
const KILLS: usize = 200;
/// The minimum number of answered notifications, so that the kills had something to lose.
const ANSWERS: usize = 10 * KILLS;
/// A whole queue: to commit so many takes longer than to kill, so that an OK that came before the
/// commit would be found out.
const AT_ONCE: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_ok_survives_two_hundred_kills_and_what_was_acknowledged_stays_away() {
    let seed = SeededRng::seed();
    tell(&format!("seed {seed}"));
    let (begun, mut dice) = (Instant::now(), SeededRng::new(seed));
    let mut crowd = Crowd::gather().await;
    let mut kill = 0;
    // On a busy machine less happens between two kills, and it takes more of them.
    while kill < KILLS || crowd.sums().answered <= ANSWERS && kill < 5 * KILLS {
        kill += 1;
        let tasks = crowd.set_out(kill, &mut dice);
        if dice.chance(90) {
            crowd.run.has_answered(1).await;
        }
        // The kill must hit requests in progress, so its moment is random.
        sleep(Duration::from_millis(u64::try_from(dice.between(20, 300)).unwrap())).await;
        crowd.run.end();
        crowd.server.kill().await;
        join(tasks).await;
        crowd.server.restart().await;
    }
    crowd.settle_everything(kill + 1).await;
    let sums = crowd.sums();
    let seconds = begun.elapsed().as_secs();
    tell(&format!("{kill} kills under {PEOPLE} senders in {seconds} s: {sums:?}"));
    assert!(sums.answered > ANSWERS && sums.again > KILLS, "too little happened: {sums:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_as_asked_under_load_loses_nothing_and_exits_with_0() {
    let seed = SeededRng::seed();
    tell(&format!("seed {seed}"));
    let mut dice = SeededRng::new(seed);
    let mut crowd = Crowd::gather().await;
    for stop in 1..=5 {
        let tasks = crowd.set_out(stop, &mut dice);
        crowd.run.has_answered(dice.between(1, 300)).await;
        crowd.run.end();
        assert_eq!(crowd.server.terminate().await, StoppedServer::With(0));
        join(tasks).await;
        crowd.server.restart().await;
    }
    crowd.settle_everything(6).await;
    let sums = crowd.sums();
    tell(&format!("5 stops under {PEOPLE} senders: {sums:?}"));
    assert!(sums.answered > 100, "too little happened: {sums:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ok_survives_a_kill_the_moment_after() {
    let mut server = Server::start(options()).await;
    let (application, user, uid) = server.application_with("alice").await;
    let alice = Arc::new(Person::new(user.name, uid.to_string(), user.token));
    for number in 1..=20 {
        let run = run(&server, &application, number);
        alice.send_some(&run, AT_ONCE, number % 2 == 0).await;
        server.kill().await;
        server.restart().await;
        let run = self::run(&server, &application, number);
        alice.drain(&run).await;
    }
    let sums = alice.ledger().sums();
    let all = 20 * AT_ONCE;
    assert_eq!((sums.answered, sums.settled, sums.again), (all, all, 0));
}

/// The server with everybody who uses it.
struct Crowd {
    server: Server,
    application: Application,
    people: Vec<Arc<Person>>,
    run: Arc<Run>,
}

impl Crowd {
    async fn gather() -> Self {
        let server = Server::start(options()).await;
        let owner = server.sign_in("developer").await;
        let application = server.application(&owner).await;
        let mut people = Vec::new();
        for number in 0..PEOPLE {
            let user = server.sign_in(&format!("user{number}")).await;
            let uid = user.grant(&application).await.to_string();
            people.push(Arc::new(Person::new(user.name, uid, user.token)));
        }
        let run = run(&server, &application, 0);
        Self { server, application, people, run }
    }

    /// Starts all senders. Most have a device that listens, at once or a little later.
    fn set_out(&mut self, number: usize, dice: &mut SeededRng) -> JoinSet<()> {
        self.run = run(&self.server, &self.application, number);
        let mut tasks = JoinSet::new();
        for person in &self.people {
            let (person, run) = (Arc::clone(person), Arc::clone(&self.run));
            tasks.spawn(Arc::clone(&person).send_until_the_end(Arc::clone(&run), dice.another()));
            if dice.chance(66) {
                tasks.spawn(person.listen_until_the_end(run, dice.another()));
            }
        }
        tasks
    }

    /// The last run: what was left unanswered is asked again, everything is taken, and the ledgers
    /// are closed.
    async fn settle_everything(&mut self, number: usize) {
        self.run = run(&self.server, &self.application, number);
        let mut tasks = JoinSet::new();
        for person in &self.people {
            let (person, run) = (Arc::clone(person), Arc::clone(&self.run));
            tasks.spawn(async move {
                person.retry(&run).await;
                person.drain(&run).await;
            });
        }
        join(tasks).await;
        let mut ids = HashSet::new();
        for person in &self.people {
            for id in person.ledger().close() {
                assert!(ids.insert(id.to_owned()), "the id {id} names two items");
            }
        }
    }

    fn sums(&self) -> Sums {
        self.people.iter().map(|person| person.ledger().sums()).fold(Sums::default(), |a, b| Sums {
            answered: a.answered + b.answered,
            settled: a.settled + b.settled,
            void: a.void + b.void,
            again: a.again + b.again,
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
    timeout(3 * TIMEOUT, all).await.unwrap_or_else(|_| panic!("somebody hangs"));
}

#[expect(clippy::print_stdout, reason = "the seed and the figures of a run")]
fn tell(line: &str) {
    println!("durability: {line}");
}
