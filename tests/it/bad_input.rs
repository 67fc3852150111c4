//! Invalid input and a failing disk: well-behaved clients are served as before.

mod frames;
mod free_frames;
mod idle_connections;
mod slow_readers;
mod start;
mod storage;

use presence_protocol::Puid;
use presence_tests::{Application, Server, ServerOptions, Socket, User};
use serde_json::{Value, json};

/// A server with clients that behave well while a test sends bad input: a device of Alice and an
/// AppService. Bob is offline, and a notification waits for him.
struct BadInputFixture {
    server: Server,
    application: Application,
    alice: Puid,
    bob: (User, Puid),
    observer: Socket,
    stream: Socket,
    rounds: usize,
}

impl BadInputFixture {
    async fn new() -> Self {
        Self::with(ServerOptions::default()).await
    }

    async fn with(options: ServerOptions) -> Self {
        let options = options
            .with("status-burst", 1_000_000)
            .with("status-per-second", 1_000_000)
            .with("notify-burst", 1_000_000)
            .with("notify-per-second", 1_000_000)
            .with("connects-per-second", 100_000);
        let server = Server::start(options).await;
        let (application, _, alice) = server.application_with("alice").await;
        let bob = server.sign_in("bob").await;
        let bob = (bob.clone(), bob.grant(&application).await);
        let (stream, _) = Socket::stream(&server, &application).await;
        let observer = Socket::device_of(&server, "alice", "observer", "offline").await;
        let mut fixture = Self { server, application, alice, bob, observer, stream, rounds: 0 };
        assert_eq!(fixture.send_to(fixture.bob.1, "first").await["result"], "OK");
        fixture.check_service().await;
        fixture
    }

    /// Checks that presence is published and that notifications arrive.
    async fn check_service(&mut self) {
        self.check_presence().await;
        let message = format!("message {}", self.rounds);
        assert_eq!(self.send_to(self.alice, &message).await["result"], "OK");
        let received = self.observer.receive().await;
        assert_eq!(received["notifications"][0]["message"], *message, "{received}");
    }

    async fn check_presence(&mut self) {
        self.rounds += 1;
        let text = format!("round {}", self.rounds);
        self.observer.send(json!({"status": "online", "message": text})).await;
        self.observer.expect_ok().await;
        let update = self.stream.expect_status(self.alice, "online").await;
        assert_eq!(update["message"], *text);
    }

    /// Sends a notification, and returns the result of this item.
    async fn send_to(&self, uid: Puid, message: &str) -> Value {
        let item = json!({"uid": uid, "message": message, "action": ""});
        self.application.notify(&json!([item])).await.json()["results"][0].clone()
    }

    /// Checks that the notification for Bob is still queued, and no other.
    async fn check_queued_notification(&mut self) {
        let mut bob = Socket::device_of(&self.server, "bob", "phone", "offline").await;
        let received = bob.receive().await;
        assert_eq!(received["notifications"][0]["message"], "first", "{received}");
        bob.expect_no_frame().await;
    }
}
