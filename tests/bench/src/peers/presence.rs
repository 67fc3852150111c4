//! Presence with users who have a grant for one Application.

use std::net::SocketAddr;

use presence_tests::{Application, Server};
use serde_json::json;

use super::peer::{Handshake, Peer, PeerTexts};
use crate::clients::{self, SignedInUser};
use crate::http_wire::request;
use crate::sides::{Side, restart, start_server, unlimited};
use crate::system::Process;

static TEXTS: PeerTexts = PeerTexts {
    reports: [r#"{"status":"unavailable"}"#, r#"{"status":"online"}"#],
    ok: OK,
    update: r#""version":"#,
    notification: r#""sent_at":"#,
    is_merging: true,
};
const OK: &str = r#"{"result":"OK"}"#;

/// A running server.
pub(crate) struct PresencePeer {
    server: Server,
    application: Application,
    users: Vec<SignedInUser>,
}

impl PresencePeer {
    /// Starts a server, and signs users in.
    pub(crate) async fn start(users: usize) -> Self {
        let mut server = start_server(unlimited().with("app-notify-burst", 1_000_000)).await;
        let owner = server.sign_in("developer").await;
        let application = server.application(&owner).await;
        let users = clients::sign_in_users(&server, &application, "user", users).await;
        // Memory that is left from signing in would hide the memory of the users' sockets.
        restart(&mut server).await;
        Self { server, application, users }
    }
}

impl Peer for PresencePeer {
    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    fn process(&self) -> Process {
        Side::of(&self.server).process
    }

    fn texts(&self) -> &'static PeerTexts {
        &TEXTS
    }

    fn user(&self, number: usize) -> Handshake {
        let token = &self.users[number].token;
        let hello = json!({"token": token, "device": "bench", "status": "online"});
        Handshake {
            path: "/presence".to_owned(),
            head: "",
            hello: Some(hello.to_string()),
            answers: &[OK],
        }
    }

    fn follower(&self) -> Handshake {
        let hello = json!({"action": "auth", "token": self.application.api_key});
        Handshake {
            path: format!("/myapps/{}", self.application.appid),
            head: "sec-websocket-protocol: presence.v1\r\n",
            hello: Some(hello.to_string()),
            answers: &[r#"{"action":"auth","result":"OK""#, r#"{"snapshot":true"#],
        }
    }

    fn notification(&self, user: usize) -> Vec<u8> {
        let uid = self.users[user].uid;
        let item = json!({"uid": uid, "message": "Lunch at one?", "action": ""});
        let body = json!({"notifications": [item]}).to_string();
        let path = format!("/apps/{}/notifications", self.application.appid);
        request("POST", &path, &self.application.api_key, Some(&body))
    }
}
