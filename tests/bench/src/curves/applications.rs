//! The cost of a change by the number of Applications that each have an open socket. Each user has
//! a grant for one of them.

use super::curve::{Curve, Growth};
use super::curve_scale::CurveScale;
use super::followers::Followers;
use super::reporters::{ChangePace, Reporters, alternate};
use crate::filling::{Filling, signed_in};
use crate::sides::{Side, unlimited};
use crate::system::allow_open_files;

/// The greatest ratio of the cost of changes at once in many Applications to that in one, whose
/// socket gets many changes in one write.
const SEPARATE_WRITES: f64 = 3.0;

pub(crate) async fn measure(scale: &CurveScale) -> Vec<Curve> {
    let sizes = scale.sizes([1, 10, 100, 1_000]);
    // As many users as the most Applications, so that each Application is told changes.
    let users = sizes.into_iter().max().unwrap();
    allow_open_files((sizes.len() * 2 * users) as u64 + 1_000);
    let sessions: Vec<usize> = (1..=users).collect();
    let (mut servers, mut reporters, mut followers) = (Vec::new(), Vec::new(), Vec::new());
    for applications in sizes {
        let filling = Filling { users, applications, grants: 1 };
        let server = filling.start(unlimited(), &sessions).await;
        let side = Side::of(&server);
        followers.push(Followers::open(side, applications).await);
        reporters.push(Reporters::connect(side, &signed_in(1..=users)).await);
        servers.push(server);
    }
    let (unit, size) = ("µs of server CPU", "connected Applications");
    let in_turn = alternate(&sizes, &mut reporters, ChangePace::InTurn, scale).await;
    let at_once = alternate(&sizes, &mut reporters, ChangePace::AtOnce, scale).await;
    vec![
        Curve {
            name: "applications",
            what: "a status change that one Application is told",
            unit,
            size,
            expected: Growth::Flat,
            points: in_turn,
        },
        Curve {
            name: "applications-at-once",
            what: "a status change of many at once",
            unit,
            size,
            expected: Growth::AtMostTimes(SEPARATE_WRITES),
            points: at_once,
        },
    ]
}
