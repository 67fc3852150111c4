//! The sides of a comparison: the baseline, a server on bare tokio-tungstenite, and the real server
//! with identity, hub and metrics.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use presence_tests::{Server, ServerOptions};

use crate::child_server::ChildServer;
use crate::system::{Half, Process, run_on};

/// The argument of this program that makes it the baseline.
pub(crate) const BASELINE: &str = "baseline";
/// The argument of this program that makes it the server on bare tokio-tungstenite.
pub(crate) const TUNGSTENITE: &str = "tungstenite";

/// The address of one side, and its kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    /// The path to which devices connect.
    pub(crate) devices: &'static str,
    /// Set for the baseline and the server on tokio-tungstenite, which authenticate nobody.
    pub(crate) is_bare: bool,
}

impl Side {
    /// Returns the side of a real server.
    pub(crate) fn of(server: &Server) -> Self {
        Self {
            address: server.address(),
            process: Process::of(server.pid()),
            devices: "/presence",
            is_bare: false,
        }
    }
}

/// All sides, running.
pub(crate) struct Sides {
    pub(crate) server: Server,
    baseline: ChildServer,
    tungstenite: ChildServer,
}

impl Sides {
    /// Starts all on the servers' half of the machine.
    pub(crate) async fn start() -> Self {
        let server = start_server(unlimited()).await;
        let baseline = ChildServer::start(BASELINE).await;
        Self { server, baseline, tungstenite: ChildServer::start(TUNGSTENITE).await }
    }

    pub(crate) fn measured(&self) -> Side {
        Side::of(&self.server)
    }

    /// Returns the baseline's side. `devices` is the path to which its devices connect.
    pub(crate) fn baseline(&self, devices: &'static str) -> Side {
        bare_side(&self.baseline, devices)
    }

    /// Returns the side on bare tokio-tungstenite, with the same paths.
    pub(crate) fn tungstenite(&self, devices: &'static str) -> Side {
        bare_side(&self.tungstenite, devices)
    }

    /// Starts the baseline and the server on tokio-tungstenite in new processes.
    pub(crate) async fn restart_bare(&mut self) {
        self.baseline = ChildServer::start(BASELINE).await;
        self.tungstenite = ChildServer::start(TUNGSTENITE).await;
    }

    /// Stops the server gracefully, and starts it again with the same database.
    pub(crate) async fn restart_server(&mut self) {
        restart(&mut self.server).await;
    }
}

/// Stops a server gracefully, and starts it again with the same database.
pub(crate) async fn restart(server: &mut Server) {
    server.terminate().await;
    run_on(Half::Server);
    server.restart().await;
    run_on(Half::Generator);
}

fn bare_side(server: &ChildServer, devices: &'static str) -> Side {
    let (address, process) = (server.address, Process::of(server.pid));
    Side { address, process, devices, is_bare: true }
}

/// Starts a server on its half of the machine.
pub(crate) async fn start_server(options: ServerOptions) -> Server {
    // The binary may have to be built first. The number of the server's threads follows from the
    // cores that it is allowed to use.
    presence_tests::server_binary();
    run_on(Half::Server);
    let server = Server::start(options).await;
    run_on(Half::Generator);
    server
}

/// Returns options without rate limits, and without pings during a measurement.
pub(crate) fn unlimited() -> ServerOptions {
    [
        "status-burst",
        "status-per-second",
        "notify-burst",
        "notify-per-second",
        "frame-burst",
        "frame-per-second",
        "connects-per-second",
        "unproven-connections-per-address",
        "sign-ins-per-second",
        "verifications-burst",
        "verifications-per-second",
        "sockets-per-user",
        "sockets-per-app",
    ]
    .into_iter()
    .fold(
        ServerOptions::default().with("log", "error").with("ping-seconds", 600),
        |options, limit| options.with(limit, 1_000_000),
    )
}

/// The wall-clock time and the server's CPU time of some work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) cpu: Duration,
    pub(crate) clock: Duration,
}

impl Cost {
    /// Returns the CPU time of the server for each operation, in microseconds.
    pub(crate) fn micros_each(self, operations: u64) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / operations as f64
    }

    /// Returns the operations per second of the server's CPU time.
    pub(crate) fn per_core_second(self, operations: u64) -> f64 {
        operations as f64 / self.cpu.as_secs_f64()
    }
}

/// Measures the cost of some work to a server.
pub(crate) async fn cost<T>(process: Process, work: impl Future<Output = T>) -> (T, Cost) {
    let (cpu, begun) = (process.cpu(), Instant::now());
    let result = work.await;
    (result, Cost { cpu: process.cpu().saturating_sub(cpu), clock: begun.elapsed() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_divided_by_its_operations() {
        let cost = Cost { cpu: Duration::from_millis(5), clock: Duration::from_secs(1) };
        assert!((cost.micros_each(1_000) - 5.0).abs() < 1e-9);
        assert!((cost.per_core_second(1_000) - 200_000.0).abs() < 1e-6);
    }
}
