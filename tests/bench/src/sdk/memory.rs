//! Memory of an idle connection, on the side of the client. Each kind of client runs in a process
//! of its own, so that none reuses memory that another has freed.

use std::net::SocketAddr;
use std::ops::Range;
use std::process::Command;

use presence_client::{DeviceChannel, DeviceEvents};
use presence_tests::Server;
use serde_json::json;

use super::bare_client::BareClient;
use super::channels;
use crate::report::{Finding, Judged, Pair};
use crate::scale::Scale;

pub(crate) async fn measure(server: &Server, scale: &Scale) -> Finding {
    let (token, sockets) = (server.sign_in("alice").await.token, scale.arrivals.to_string());
    let mut kib = [0.0; 2];
    for (kind, kib) in ["bare", "sdk"].into_iter().zip(&mut kib) {
        let address = if kind == "bare" { server.address().to_string() } else { server.url() };
        let (program, token) = (std::env::current_exe().unwrap(), token.clone());
        let sockets = sockets.clone();
        let held = tokio::task::spawn_blocking(move || {
            Command::new(program).args(["hold", kind, &address, &token, &sockets]).output().unwrap()
        });
        let output = held.await.unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        *kib = stdout.trim().parse().unwrap_or_else(|_| panic!("{stdout}{stderr}"));
    }
    let [bare, measured] = kib;
    Finding {
        what: "SDK: an idle device connection beside a bare one",
        unit: "KiB of the client's memory",
        rounds: vec![Pair::new(bare, measured)],
        judged: Judged::Nothing,
    }
}

/// Opens sockets, and prints how much memory each of them takes, in KiB.
pub(crate) async fn hold(kind: &str, server: &str, token: &str, sockets: &str) {
    let sockets: u32 = sockets.parse().unwrap();
    let mut held = OpenSockets { server, token, bare: Vec::new(), measured: Vec::new() };
    held.open(kind, 0..50).await;
    let before = resident_kib();
    held.open(kind, 50..50 + sockets).await;
    println!("{}", (resident_kib() - before) / f64::from(sockets));
    // The sockets are not closed one by one, because the process ends here.
    std::process::exit(0);
}

struct OpenSockets<'a> {
    server: &'a str,
    token: &'a str,
    bare: Vec<BareClient>,
    measured: Vec<(DeviceChannel, DeviceEvents)>,
}

impl OpenSockets<'_> {
    async fn open(&mut self, kind: &str, numbers: Range<u32>) {
        for number in numbers {
            let device = format!("{kind}-{number}");
            if kind == "bare" {
                let address: SocketAddr = self.server.parse().unwrap();
                let mut socket = BareClient::open(address, "/presence", None).await;
                let hello = json!({"token": self.token, "device": device, "acks": true, "status": "online"});
                socket.ask(hello.to_string()).await;
                self.bare.push(socket);
            } else {
                self.measured.push(channels::device(self.server, self.token, &device).await);
            }
        }
    }
}

fn resident_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
