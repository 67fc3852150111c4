//! A simulation of servers that share presence, with faults, against a real PostgreSQL.
//!
//! All servers are in this process and in one thread. Between each and the database is a proxy
//! ([`network`]), which holds each statement back until the run lets it go: one at a time, and only
//! when all tasks wait. A seed decides which statement runs next, which answer or announcement is
//! lost, when time passes, what users do, and when servers and the database crash ([`steps`]).
//! From time to time all goes on without faults until nothing is left to do ([`rest`]), and the
//! promises are checked ([`checks`]).
//!
//! The time of the servers and of the database is that of the run, and so are the random numbers of
//! the database. What servers choose at random has no influence on the order of events.

mod accounts;
mod answers;
mod application;
mod checks;
mod command;
mod database;
mod device;
mod erasures;
mod events;
mod faults;
mod link;
mod network;
mod receipts;
mod rest;
mod rng;
mod run;
mod server;
mod steps;
mod switches;
mod wire;
mod world;

use run::Run;

/// The number of steps between two rests.
const STEPS: std::ops::Range<usize> = 200..700;

/// A seed with all kinds of faults.
const SEED_RUN_TWICE: u64 = 3;

/// Runs a seed for at least so many steps. Returns the events.
async fn run(seed: u64, steps: usize) -> Vec<String> {
    let mut run = Run::start(seed).await;
    while run.network.events.steps < steps {
        run.choose_faults();
        let count = STEPS.start + run.rng.below(STEPS.len());
        for _ in 0..count {
            run.step().await;
        }
        run.rest().await;
        run.check().await;
        run.replace_erased_users().await;
        run.network.database.query("VACUUM");
    }
    run.network.events.all().to_vec()
}

fn setting(name: &str) -> Option<u64> {
    std::env::var_os(name).and_then(|value| value.to_str()?.parse().ok())
}

#[tokio::test(start_paused = true)]
async fn all_promises_hold_in_any_order_of_statements_and_with_faults() {
    let given = setting("PRESENCE_SIMULATION_SEED");
    let steps = setting("PRESENCE_SIMULATION_STEPS").unwrap_or(3_000);
    let steps = usize::try_from(steps).unwrap();
    let seeds = given.map_or(1..=3, |seed| seed..=seed);
    for seed in seeds {
        run(seed, steps).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_seed_leads_to_the_same_events_each_time() {
    let [one, other] = [run(SEED_RUN_TWICE, 1_500).await, run(SEED_RUN_TWICE, 1_500).await];
    let place = one.iter().zip(&other).position(|(one, other)| one != other);
    if let Some(place) = place {
        panic!("another event: {:?} and {:?}", &one[..=place], &other[place]);
    }
    assert_eq!(one.len(), other.len());
}
