//! The costs of calls by the size of the database: each user has a grant for each of ten
//! Applications.

use std::time::{Duration, Instant};

use presence_tests::Server;
use serde_json::json;

use super::curve::{Curve, CurvePoint, Growth};
use super::curve_scale::CurveScale;
use super::reporters::{ChangePace, Reporters};
use crate::clients::Device;
use crate::filling::{Filling, application, restart, signed_in};
use crate::http_wire::{HttpWire, request};
use crate::sides::{Side, cost, unlimited};
use crate::subscribers;
use crate::wire::{Wire, frame};

/// The number of Applications, and of grants of each user.
const GRANTS: usize = 10;
/// The number of users of different kinds in all rounds: those who connect in a round, and those
/// who are asked for or get a notification in a round.
const CONNECTING: usize = 50;
const ASKED: usize = 500;
/// The number of notifications in a frame.
const ITEMS: usize = 100;

/// Measures databases of up to a million grants.
pub(crate) async fn measure(scale: &CurveScale) -> Vec<Curve> {
    measure_sizes(scale.sizes([1_000, 10_000, 100_000]), scale).await
}

/// Measures databases of up to ten million grants. Filling the largest one takes minutes.
pub(crate) async fn measure_large(scale: &CurveScale) -> Vec<Curve> {
    measure_sizes(scale.sizes([1_000, 10_000, 100_000, 1_000_000]), scale).await
}

async fn measure_sizes<const N: usize>(sizes: [usize; N], scale: &CurveScale) -> Vec<Curve> {
    let mut stages = Vec::new();
    for users in sizes {
        stages.push(FilledServer::start(users, scale).await);
    }
    let mut points = KINDS.map(|_| sizes.map(|users| CurvePoint::new(users * GRANTS)));
    for round in 0..=scale.rounds {
        for (place, stage) in stages.iter_mut().enumerate() {
            let costs = stage.run_round(round, scale.round).await;
            // The first round is not counted.
            for (points, cost) in points.iter_mut().zip(costs).filter(|_| round > 0) {
                points[place].costs.push(cost);
            }
        }
    }
    let mut curves = Vec::new();
    for ((name, what, unit), points) in KINDS.into_iter().zip(points) {
        let (size, expected) = ("grants in the database", Growth::Flat);
        curves.push(Curve { name, what, unit, size, expected, points: points.into() });
    }
    curves
}

/// The costs of a round, in the order of [`FilledServer::run_round`].
const KINDS: [(&str, &str, &str); 6] = [
    ("database-change", "a status change", "µs of server CPU"),
    ("database-connect", "a device connects", "µs of server CPU"),
    ("database-poll", "a poll of one user", "µs of server CPU"),
    ("database-notify", "a notification on disk, of 100 in a frame", "µs of server CPU"),
    ("database-start", "a start of the server", "ms of server CPU"),
    ("database-start-time", "a start of the server until it listens", "ms"),
];

/// A server with a filled database.
struct FilledServer {
    server: Server,
    filling: Filling,
    /// The users with a session: those who report, then those who connect.
    sessions: Vec<usize>,
    devices: usize,
}

impl FilledServer {
    async fn start(users: usize, scale: &CurveScale) -> Self {
        let filling = Filling { users, applications: GRANTS, grants: GRANTS };
        let wanted = scale.devices + CONNECTING * (scale.rounds + 1);
        let sessions = spread(users, wanted, 0).map(|user| user - 1).collect::<Vec<_>>();
        let server = filling.start(unlimited(), &sessions).await;
        Self { server, filling, devices: scale.devices.min(sessions.len()), sessions }
    }

    async fn run_round(&mut self, round: usize, time: Duration) -> [f64; 6] {
        self.server.terminate().await;
        let begun = Instant::now();
        restart(&mut self.server).await;
        let listening = begun.elapsed().as_secs_f64() * 1e3;
        let starting = Side::of(&self.server).process.cpu().as_secs_f64() * 1e3;
        let asked: Vec<usize> = spread(self.filling.users, ASKED, round).collect();
        [
            self.change(time).await,
            self.connect(round).await,
            self.poll(&asked, time / 2).await,
            self.notify(&asked).await,
            starting,
            listening,
        ]
    }

    async fn change(&self, time: Duration) -> f64 {
        let users = signed_in(self.sessions[..self.devices].iter().copied());
        let mut reporters = Reporters::connect(Side::of(&self.server), &users).await;
        reporters.report(ChangePace::AtOnce, time).await
    }

    async fn connect(&self, round: usize) -> f64 {
        let others = &self.sessions[self.devices..];
        let count = CONNECTING.min(others.len());
        let connecting = others.iter().cycle().skip(round * count).take(count);
        let users = signed_in(connecting.copied());
        let side = Side::of(&self.server);
        let connecting = users.iter().enumerate();
        let connecting = connecting.map(|(place, user)| Device::connect(side, place, user));
        let (devices, cost) = cost(side.process, futures_util::future::join_all(connecting)).await;
        cost.micros_each(devices.len() as u64)
    }

    async fn poll(&self, users: &[usize], time: Duration) -> f64 {
        let (side, (appid, key)) = (Side::of(&self.server), application(1));
        let requests: Vec<Vec<u8>> = users
            .iter()
            .map(|user| {
                let uid = self.filling.puid_for_first_application(*user);
                request("GET", &format!("/apps/{appid}/presence?uid={uid}"), &key, None)
            })
            .collect();
        let mut wire = HttpWire::open(side.address, 0).await;
        let (mut calls, until) = (0, Instant::now() + time);
        let ((), cost) = cost(side.process, async {
            while Instant::now() < until {
                wire.call(&requests[calls % requests.len()]).await;
                calls += 1;
            }
        })
        .await;
        cost.micros_each(calls as u64)
    }

    async fn notify(&self, users: &[usize]) -> f64 {
        let (side, (appid, key)) = (Side::of(&self.server), application(1));
        let item = |user: &usize| {
            let uid = self.filling.puid_for_first_application(*user);
            json!({"uid": uid, "message": "Lunch at one? The usual place.", "action": ""})
        };
        let frames: Vec<Vec<u8>> = users
            .chunks(ITEMS)
            .map(|users| users.iter().map(item).collect::<Vec<_>>())
            .map(|items| frame(&json!({"action": "notify", "notifications": items}).to_string()))
            .collect();
        let mut wire = subscribers::open_with_key(side, 0, (&appid, &key)).await;
        read_until(&mut wire, br#"{"snapshot":true"#).await;
        let ((), cost) = cost(side.process, async {
            for frame in &frames {
                wire.send(frame).await;
                read_until(&mut wire, br#"{"action":"notify","result":"OK""#).await;
            }
        })
        .await;
        cost.micros_each(users.len() as u64)
    }
}

/// Reads frames until one begins with this text.
async fn read_until(wire: &mut Wire, text: &[u8]) {
    while !wire.text().await.starts_with(text) {}
}

/// Returns this number of different users with an even number, or fewer if there are fewer, from
/// all over the database. Those before them have devices, so that no device gets a notification.
fn spread(users: usize, count: usize, round: usize) -> impl Iterator<Item = usize> {
    let half = users / 2;
    let step = (half / count).max(1);
    (0..count.min(half)).map(move |number| 2 * ((number * step + round) % half + 1))
}
