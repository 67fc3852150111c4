//! Memory of an idle connection, on the side of the client: each kind in a process of its own, so that none lives on what another
//! has left.

use std::net::SocketAddr;
use std::ops::Range;
use std::process::Command;

use presence_client::{DeviceChannel, DeviceEvents};
use presence_tests::Server;
use serde_json::json;

use crate::bare::Bare;
use crate::sdk;

const SOCKETS: u32 = 2_000;

pub(crate) async fn measure(server: &Server) {
    let token = server.sign_in("alice").await.token;
    let mut kib = [0.0; 2];
    for (kind, kib) in ["bare", "sdk"].into_iter().zip(&mut kib) {
        let address = if kind == "bare" { server.address().to_string() } else { server.url() };
        let (program, token) = (std::env::current_exe().unwrap(), token.clone());
        let held = tokio::task::spawn_blocking(move || {
            Command::new(program).args(["hold", kind, &address, &token]).output().unwrap()
        });
        let output = held.await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let wrong = String::from_utf8_lossy(&output.stderr);
        *kib = said.trim().parse().unwrap_or_else(|_| panic!("{said}{wrong}"));
    }
    let [bare, ours] = kib;
    println!("memory of an idle device connection in the client, KiB, over {SOCKETS} sockets");
    println!("  bare {bare:.1}   sdk {ours:.1}   its own {:.1}", ours - bare);
    println!("{}", json!({"measure": "client memory, KiB a socket", "bare": bare, "sdk": ours}));
}

/// Opens sockets, and prints how much memory each of them takes, in KiB.
pub(crate) async fn hold(kind: &str, server: &str, token: &str) {
    let mut held = Held { server, token, bare: Vec::new(), ours: Vec::new() };
    held.open(kind, 0..50).await;
    let before = resident_kib();
    held.open(kind, 50..50 + SOCKETS).await;
    println!("{}", (resident_kib() - before) / f64::from(SOCKETS));
    // Not closed one by one: the process ends.
    std::process::exit(0);
}

struct Held<'a> {
    server: &'a str,
    token: &'a str,
    bare: Vec<Bare>,
    ours: Vec<(DeviceChannel, DeviceEvents)>,
}

impl Held<'_> {
    async fn open(&mut self, kind: &str, numbers: Range<u32>) {
        for number in numbers {
            let device = format!("{kind}-{number}");
            if kind == "bare" {
                let address: SocketAddr = self.server.parse().unwrap();
                let mut socket = Bare::open(address, "/presence", None).await;
                let hello = json!({"token": self.token, "device": device, "acks": true, "status": "online"});
                socket.ask(hello.to_string()).await;
                self.bare.push(socket);
            } else {
                self.ours.push(sdk::device(self.server, self.token, &device).await);
            }
        }
    }
}

fn resident_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
