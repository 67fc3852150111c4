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
    pub(super) async fn with(options: ServerOptions) -> Self {
        let server = Server::start(options).await;
        let (application, alice, uid) = server.application_with("alice").await;
        Self { server, application, alice, uid }
    }

    pub(super) async fn new() -> Self {
        Self::with(ServerOptions::default()).await
    }

    /// Opens an authenticated socket of a device of Alice.
    pub(super) async fn device(&self, name: &str) -> Socket {
        Socket::device_of(&self.server, "alice", name, "online").await
    }

    /// Checks the error for a frame of an authenticated device.
    pub(super) async fn expect_frame_error(&self, frame: &str, errno: Errno) {
        let name = format!("refused-with-{}", errno.number());
        let mut device = self.device(&name).await;
        device.send_raw(frame).await;
        device.expect_error(errno).await;
    }

    /// Checks the error for the first frame of a device.
    pub(super) async fn expect_first_frame_error(&self, frame: Value, errno: Errno) {
        let mut device = Socket::device(&self.server).await;
        device.send(frame).await;
        device.expect_error(errno).await;
    }

    /// Returns a first frame with a fresh assertion.
    pub(super) async fn hello(&self, device: &str) -> Value {
        let assertion = self.server.assertion("alice").await;
        json!({"assertion": assertion, "status": "online", "device": device})
    }

    /// Opens the tables of the running server.
    pub(super) async fn tables(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.server.database()).connect().await.unwrap()
    }
}
