//! Users with grants for 3 of many Applications, each followed at every server. Their devices
//! report another status as soon as the last one was answered.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use presence_tests::{Application, Server, User};
use tokio::task::JoinSet;

use super::pair::SharingPair;
use crate::clients::{Device, SignedInUser};
use crate::report::p99;
use crate::scale::Scale;
use crate::sides::Side;
use crate::subscribers::Subscribers;
use crate::system::Process;

/// The number of Applications that see a user.
const GRANTS: usize = 3;

/// The devices, and the sockets of the Applications.
pub(crate) struct ChangingUsers {
    processes: Vec<Process>,
    devices: Vec<Device>,
    _followers: Vec<Subscribers>,
}

/// The cost of a round.
pub(crate) struct ChangeRound {
    pub(crate) rate: f64,
    /// The 99th percentile of the time until the answer, in milliseconds.
    pub(crate) p99: f64,
    /// The CPU time of PostgreSQL for each change, in microseconds.
    pub(crate) database_micros: f64,
    /// The CPU time of all servers together, for each change.
    pub(crate) server_micros: f64,
    /// The mean number of changes that are written together.
    pub(crate) batch: f64,
}

impl ChangingUsers {
    pub(crate) async fn open(servers: &[&Server], count: usize, scale: &Scale) -> Self {
        let owner = servers[0].sign_in("developer").await;
        let mut applications = Vec::with_capacity(scale.applications);
        for number in 0..scale.applications {
            let name = format!("Application {number}");
            applications.push(servers[0].application_named(&owner, &name).await);
        }
        let users = sign_in(servers[0], &applications, count).await;
        let sides: Vec<Side> = servers.iter().map(|server| Side::of(server)).collect();
        let mut devices = Vec::with_capacity(users.len());
        for (number, user) in users.iter().enumerate() {
            devices.push(Device::connect(sides[number % sides.len()], number, user).await);
        }
        let mut followers = Vec::new();
        for side in &sides {
            for application in &applications {
                let mut follower = Subscribers::default();
                follower.open_one(*side, application).await;
                followers.push(follower);
            }
        }
        let processes = sides.iter().map(|side| side.process).collect();
        Self { processes, devices, _followers: followers }
    }

    /// Lets so many of the devices report for some time.
    pub(crate) async fn run_round(
        &mut self,
        count: usize,
        time: Duration,
        pair: Option<&SharingPair>,
    ) -> ChangeRound {
        let of_servers = || self.processes.iter().map(|it| it.cpu()).sum::<Duration>();
        let of_database = || pair.map(|pair| pair.database.cpu()).unwrap_or_default();
        // Each batch is a transaction, and hardly anything else writes meanwhile.
        let batches = || pair.map_or(0, |pair| pair.database.writing_transactions());
        let before = (of_servers(), of_database(), batches());
        let begun = Instant::now();
        let mut tasks: JoinSet<_> =
            self.devices.drain(..count).map(|it| report_until(it, begun + time)).collect();
        let mut millis = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let (device, mut latencies) = done.unwrap();
            self.devices.push(device);
            millis.append(&mut latencies);
        }
        let after = (of_servers(), of_database(), batches());
        let (clock, count) = (begun.elapsed().as_secs_f64(), millis.len() as f64);
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / count;
        ChangeRound {
            rate: count / clock,
            p99: p99(&mut millis),
            server_micros: each(after.0.saturating_sub(before.0)),
            database_micros: each(after.1.saturating_sub(before.1)),
            batch: count / after.2.saturating_sub(before.2) as f64,
        }
    }
}

/// Signs users in, each with grants for some of the Applications.
async fn sign_in(server: &Server, applications: &[Application], count: usize) -> Vec<SignedInUser> {
    let mut users = Vec::with_capacity(count);
    for first in (0..count).step_by(16) {
        let joining: FuturesUnordered<_> = (first..count.min(first + 16))
            .map(|number| async move {
                let user: User = server.sign_in(&format!("reporter{number}")).await;
                let mut uid = None;
                for grant in 0..GRANTS {
                    let place = (number * GRANTS + grant) % applications.len();
                    uid = Some(user.grant(&applications[place]).await);
                }
                SignedInUser { uid: uid.unwrap(), token: user.token }
            })
            .collect();
        users.extend(joining.collect::<Vec<_>>().await);
    }
    users
}

async fn report_until(mut device: Device, until: Instant) -> (Device, Vec<f64>) {
    let mut millis = Vec::new();
    let mut sent_at = Instant::now();
    while sent_at < until {
        device.report().await;
        let answered = Instant::now();
        millis.push((answered - sent_at).as_secs_f64() * 1e3);
        sent_at = answered;
    }
    (device, millis)
}
