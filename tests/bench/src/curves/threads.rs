//! The CPU time of a change with one and with two worker threads. The generator needs a core too,
//! so only CPU times are compared.

use presence_tests::Server;

use super::curve::{Curve, CurvePoint, Growth};
use super::curve_scale::CurveScale;
use super::followers::Followers;
use super::reporters::{ChangePace, Reporters, alternate};
use crate::filling::{Filling, signed_in};
use crate::sides::{Side, unlimited};
use crate::system::{Half, run_on, run_on_all_cores};

/// The server starts as many worker threads as there are cores that it may use.
const THREADS: [usize; 2] = [1, 2];
/// The greatest ratio of the CPU time with two threads to that with one.
const EXPECTED: Growth = Growth::AtMostTimes(1.1);

pub(crate) async fn measure(scale: &CurveScale) -> Vec<Curve> {
    let (unit, size, expected) = ("µs of server CPU", "worker threads", EXPECTED);
    vec![
        Curve {
            name: "threads",
            what: "a status change",
            unit,
            size,
            expected,
            points: measure_with(scale, scale.devices, 0).await,
        },
        Curve {
            name: "threads-one-application",
            what: "a status change, all told to one socket",
            unit,
            size,
            expected,
            points: measure_with(scale, 1, 1).await,
        },
        Curve {
            name: "threads-many-applications",
            what: "a status change, an Application and a socket for each user",
            unit,
            size,
            expected,
            points: measure_with(scale, scale.devices, scale.devices).await,
        },
    ]
}

async fn measure_with(scale: &CurveScale, applications: usize, followed: usize) -> Vec<CurvePoint> {
    let filling = Filling { users: scale.devices, applications, grants: 1 };
    let sessions: Vec<usize> = (1..=scale.devices).collect();
    let (mut servers, mut reporters, mut followers) = (Vec::new(), Vec::new(), Vec::new());
    for threads in THREADS {
        let mut server = filling.start(unlimited(), &sessions).await;
        if threads > 1 {
            restart_on_all_cores(&mut server).await;
        }
        let (side, users) = (Side::of(&server), signed_in(sessions.iter().copied()));
        followers.push(Followers::open(side, followed).await);
        reporters.push(Reporters::connect(side, &users).await);
        servers.push(server);
    }
    alternate(&THREADS, &mut reporters, ChangePace::AtOnce, scale).await
}

async fn restart_on_all_cores(server: &mut Server) {
    server.terminate().await;
    run_on_all_cores();
    server.restart().await;
    run_on(Half::Generator);
}
