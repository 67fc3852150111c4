//! The cost of a change by the number of users who are online in the same Application, without
//! connections and with them.

use super::curve::{Curve, Growth};
use super::curve_scale::CurveScale;
use super::idle;
use super::online::OnlineServer;
use super::reporters::{ChangePace, Reporters, alternate};
use crate::clients::Device;
use crate::filling::signed_in;
use crate::system::allow_open_files;

/// Measures users whose connections were lost, and the same servers without any request.
pub(crate) async fn measure_online(scale: &CurveScale) -> Vec<Curve> {
    let sizes = scale.sizes([1_000, 3_000, 10_000, 30_000, 100_000]);
    let (mut servers, mut reporters) = (Vec::new(), Vec::new());
    for users in sizes {
        let server = OnlineServer::start_with_all_online(users).await;
        let devices = signed_in(1..=scale.devices.min(users));
        reporters.push(Reporters::connect(server.side(), &devices).await);
        servers.push(server);
    }
    let points = alternate(&sizes, &mut reporters, ChangePace::AtOnce, scale).await;
    let (what, unit, expected) = ("a status change", "µs of server CPU", Growth::Flat);
    vec![
        Curve { name: "users", what, unit, size: "users who are online", expected, points },
        idle::measure(&servers, scale).await,
    ]
}

/// Measures users who are all connected.
pub(crate) async fn measure_connected(scale: &CurveScale) -> Vec<Curve> {
    let sizes = scale.sizes([1_000, 3_000, 10_000]);
    allow_open_files(sizes.iter().sum::<usize>() as u64 + 1_000);
    let (mut servers, mut reporters, mut idle) = (Vec::new(), Vec::new(), Vec::<Device>::new());
    for users in sizes {
        let server = OnlineServer::start(users).await;
        let devices = scale.devices.min(users);
        reporters.push(Reporters::connect(server.side(), &signed_in(1..=devices)).await);
        idle.extend(server.connect_after(devices).await);
        servers.push(server);
    }
    let points = alternate(&sizes, &mut reporters, ChangePace::AtOnce, scale).await;
    let (what, unit, expected) = ("a status change", "µs of server CPU", Growth::Flat);
    vec![Curve { name: "connections", what, unit, size: "connected users", expected, points }]
}
