//! The cost of a change by the number of Applications that have a grant of the user, and so are
//! told the change: without an open socket, then with a socket of each Application.

use super::curve::{Curve, Growth};
use super::curve_scale::CurveScale;
use super::followers::Followers;
use super::reporters::{ChangePace, Reporters, alternate};
use crate::filling::{Filling, signed_in};
use crate::sides::{Side, unlimited};

/// The number of devices that report, of as many users.
const DEVICES: usize = 20;

pub(crate) async fn measure(scale: &CurveScale) -> Vec<Curve> {
    let sizes = scale.sizes([1, 10, 100, 500]);
    let users: Vec<usize> = (1..=DEVICES).collect();
    let (mut servers, mut reporters) = (Vec::new(), Vec::new());
    for grants in sizes {
        let filling = Filling { users: DEVICES, applications: grants, grants };
        let server = filling.start(unlimited(), &users).await;
        let users = signed_in(users.iter().copied());
        reporters.push(Reporters::connect(Side::of(&server), &users).await);
        servers.push(server);
    }
    let logged = alternate(&sizes, &mut reporters, ChangePace::InTurn, scale).await;
    let mut followers = Vec::new();
    for (server, grants) in servers.iter().zip(sizes) {
        followers.push(Followers::open(Side::of(server), grants).await);
    }
    let told = alternate(&sizes, &mut reporters, ChangePace::InTurn, scale).await;
    let (unit, size, expected) = ("µs of server CPU", "grants of the user", Growth::Linear);
    vec![
        Curve {
            name: "grants",
            what: "a status change, no Application connected",
            unit,
            size,
            expected,
            points: logged,
        },
        Curve {
            name: "grants-told",
            what: "a status change, each Application connected",
            unit,
            size,
            expected,
            points: told,
        },
    ]
}
