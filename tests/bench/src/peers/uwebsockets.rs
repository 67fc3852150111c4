//! The server on uWebSockets.js, `peers/uwebsockets/server.js`.

use std::net::SocketAddr;
use std::path::Path;

use presence_tests::child_command;
use serde_json::json;

use super::peer::{Handshake, Peer, PeerTexts};
use crate::child_server::ChildServer;
use crate::http_wire::request;
use crate::system::Process;

static TEXTS: PeerTexts = PeerTexts {
    reports: [r#"{"status":"unavailable"}"#, r#"{"status":"online"}"#],
    ok: OK,
    update: r#""uid":"#,
    notification: r#""message":"#,
    is_merging: false,
};
const OK: &str = r#"{"result":"OK"}"#;

/// A running server.
pub(crate) struct UWebSocketsPeer(ChildServer);

impl UWebSocketsPeer {
    /// Starts the server in a folder that has its packages.
    pub(crate) async fn start(folder: &Path) -> Self {
        let mut command = child_command("node");
        command.arg(folder.join("server.js"));
        Self(ChildServer::start_program(command).await)
    }
}

impl Peer for UWebSocketsPeer {
    fn address(&self) -> SocketAddr {
        self.0.address
    }

    fn process(&self) -> Process {
        Process::of(self.0.pid)
    }

    fn texts(&self) -> &'static PeerTexts {
        &TEXTS
    }

    fn user(&self, number: usize) -> Handshake {
        let [_, online] = TEXTS.reports;
        Handshake {
            path: format!("/users/{number}"),
            head: "",
            hello: Some(online.to_owned()),
            answers: &[OK],
        }
    }

    fn follower(&self) -> Handshake {
        Handshake { path: "/app".to_owned(), head: "", hello: None, answers: &[] }
    }

    fn notification(&self, user: usize) -> Vec<u8> {
        let body = json!({"message": "Lunch at one?", "action": ""}).to_string();
        request("POST", &format!("/users/{user}"), "", Some(&body))
    }
}
