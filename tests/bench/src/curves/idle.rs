//! The CPU time of a server to which no client sends anything, by the number of users who are
//! online.

use std::time::Duration;

use super::curve::{Curve, CurvePoint, Growth};
use super::curve_scale::CurveScale;
use super::online::OnlineServer;
use crate::sides::cost;

/// The duration of a round for each second of other curves.
const LONGER: u32 = 2;

/// Measures the CPU time of a second. Rounds alternate between the servers.
pub(crate) async fn measure(servers: &[OnlineServer], scale: &CurveScale) -> Curve {
    let mut points: Vec<CurvePoint> =
        servers.iter().map(|server| CurvePoint::new(server.users)).collect();
    let time: Duration = scale.round * LONGER;
    for _ in 0..scale.rounds {
        for (point, server) in points.iter_mut().zip(servers) {
            let ((), cost) = cost(server.side().process, tokio::time::sleep(time)).await;
            point.costs.push(cost.cpu.as_secs_f64() * 1e3 / cost.clock.as_secs_f64());
        }
    }
    Curve {
        name: "idle",
        what: "a second without any request",
        unit: "ms of server CPU",
        size: "users who are online",
        expected: Growth::Flat,
        points,
    }
}
