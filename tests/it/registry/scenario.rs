//! The setup of most scenarios: a server with an Application and a user who granted it.

use presence_protocol::{Errno, Puid};
use presence_tests::{Application, Server, ServerOptions, Socket, User};
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

pub(super) struct RegistryScenario {
    pub(super) server: Server,
    pub(super) application: Application,
    pub(super) alice: User,
    pub(super) uid: Puid,
}

impl RegistryScenario {
    pub(super) async fn set(options: ServerOptions) -> Self {
        let server = Server::start(options).await;
        let (application, alice, uid) = server.application_with("alice").await;
        Self { server, application, alice, uid }
    }

    pub(super) async fn plain() -> Self {
        Self::set(ServerOptions::default()).await
    }

    /// A device of alice that is known.
    pub(super) async fn device(&self, name: &str) -> Socket {
        Socket::device_of(&self.server, "alice", name, "online").await
    }

    /// Checks the refusal of a frame from an authenticated device.
    pub(super) async fn device_is_refused(&self, frame: &str, errno: Errno) {
        let name = format!("refused-with-{}", errno.number());
        let mut device = self.device(&name).await;
        device.send_raw(frame).await;
        device.expect_error(errno).await;
    }

    /// Checks the refusal of a first frame from a device that is not authenticated.
    pub(super) async fn stranger_is_refused(&self, frame: Value, errno: Errno) {
        let mut device = Socket::device(&self.server).await;
        device.send(frame).await;
        device.expect_error(errno).await;
    }

    /// A first frame with a fresh assertion.
    pub(super) async fn hello(&self, device: &str) -> Value {
        let assertion = self.server.assertion("alice").await;
        json!({"assertion": assertion, "status": "online", "device": device})
    }

    /// The server's tables, opened behind its back.
    pub(super) async fn tables(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.server.database()).connect().await.unwrap()
    }
}
