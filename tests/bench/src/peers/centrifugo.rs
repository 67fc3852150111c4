//! Centrifugo with the settings in `peers/centrifugo.json`.

use std::net::SocketAddr;
use std::path::Path;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use presence_tests::{child_command, free_address};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::peer::{Handshake, Peer, PeerTexts};
use crate::child_server::ChildServer;
use crate::http_wire::request_with_head;
use crate::system::Process;

/// The settings. The port is chosen when a server is started.
const SETTINGS: &str = include_str!("../../peers/centrifugo.json");

/// The channel that all users publish to and all followers subscribe to.
const CHANNEL: &str = "app";

static TEXTS: PeerTexts = PeerTexts {
    reports: [
        r#"{"id":3,"publish":{"channel":"app","data":{"status":"unavailable"}}}"#,
        r#"{"id":3,"publish":{"channel":"app","data":{"status":"online"}}}"#,
    ],
    ok: r#"{"id":3,"publish":{}}"#,
    update: r#""pub":"#,
    notification: r#""pub":"#,
    is_merging: false,
};

/// A running server.
pub(crate) struct CentrifugoPeer {
    server: ChildServer,
    key: hmac::Key,
    api_key: String,
    _settings: TempDir,
}

impl CentrifugoPeer {
    /// Starts the program on a free port.
    pub(crate) async fn start(program: &Path) -> Self {
        let settings: Value = serde_json::from_str(SETTINGS).unwrap();
        let secret = settings["client"]["token"]["hmac_secret_key"].as_str().unwrap();
        let api_key = settings["http_api"]["key"].as_str().unwrap().to_owned();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("centrifugo.json");
        std::fs::write(&file, SETTINGS).unwrap();
        let address = free_address();
        let mut command = child_command(program);
        command.arg("--config").arg(file);
        command.env("CENTRIFUGO_HTTP_SERVER_PORT", address.port().to_string());
        Self {
            server: ChildServer::start_at(command, address).await,
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
            api_key,
            _settings: directory,
        }
    }

    /// Signs a token of a user.
    fn token(&self, user: &str) -> String {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!(
            "{}.{}",
            part(json!({"alg": "HS256", "typ": "JWT"})),
            part(json!({"sub": user}))
        );
        let signature = hmac::sign(&self.key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn connect(&self, user: &str) -> String {
        json!({"id": 1, "connect": {"token": self.token(user)}}).to_string()
    }
}

impl Peer for CentrifugoPeer {
    fn address(&self) -> SocketAddr {
        self.server.address
    }

    fn process(&self) -> Process {
        Process::of(self.server.pid)
    }

    fn texts(&self) -> &'static PeerTexts {
        &TEXTS
    }

    fn user(&self, number: usize) -> Handshake {
        let [_, online] = TEXTS.reports;
        Handshake {
            path: "/connection/websocket".to_owned(),
            head: "",
            hello: Some(format!("{}\n{online}", self.connect(&number.to_string()))),
            answers: &[r#""publish":{}"#],
        }
    }

    fn follower(&self) -> Handshake {
        let subscribe = json!({"id": 2, "subscribe": {"channel": CHANNEL}});
        Handshake {
            path: "/connection/websocket".to_owned(),
            head: "",
            hello: Some(format!("{}\n{subscribe}", self.connect("follower"))),
            answers: &[r#""subscribe":{}"#],
        }
    }

    fn notification(&self, user: usize) -> Vec<u8> {
        let data = json!({"message": "Lunch at one?", "action": ""});
        // The name of the personal channel of a user.
        let body = json!({"channel": format!("#{user}"), "data": data}).to_string();
        let head = format!("x-api-key: {}\r\n", self.api_key);
        request_with_head("POST", "/api/publish", &head, Some(&body))
    }
}
