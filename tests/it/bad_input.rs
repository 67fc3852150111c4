//! Invalid input and a failing disk: well-behaved clients are served as before.

mod frames;
mod idlers;
mod peers;
mod start;
mod storage;

use presence_protocol::Puid;
use presence_tests::{Application, Server, ServerOptions, Socket, User};
use serde_json::{Value, json};

/// A server on which somebody is about to misbehave, with some who do not: Alice's device and an
/// AppService; and Bob, who is away while a message waits for him.
struct Scene {
    server: Server,
    application: Application,
    alice: Puid,
    bob: (User, Puid),
    witness: Socket,
    stream: Socket,
    rounds: usize,
}

impl Scene {
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
        let witness = Socket::device_of(&server, "alice", "witness", "offline").await;
        let mut scene = Self { server, application, alice, bob, witness, stream, rounds: 0 };
        assert_eq!(scene.send_to(scene.bob.1, "first").await["result"], "OK");
        scene.all_is_well().await;
        scene
    }

    /// Presence is told, and messages come through.
    async fn all_is_well(&mut self) {
        self.presence_goes_on().await;
        let message = format!("message {}", self.rounds);
        assert_eq!(self.send_to(self.alice, &message).await["result"], "OK");
        let heard = self.witness.receive().await;
        assert_eq!(heard["notifications"][0]["message"], *message, "{heard}");
    }

    async fn presence_goes_on(&mut self) {
        self.rounds += 1;
        let text = format!("round {}", self.rounds);
        self.witness.send(json!({"status": "online", "message": text})).await;
        self.witness.expect_ok().await;
        let update = self.stream.sees(self.alice, "online").await;
        assert_eq!(update["message"], *text);
    }

    /// Sends a message, and gives the result of this one item.
    async fn send_to(&self, uid: Puid, message: &str) -> Value {
        let item = json!({"uid": uid, "message": message, "action": ""});
        self.application.notify(&json!([item])).await.json()["results"][0].clone()
    }

    /// Checks that the notifications for Bob are unchanged.
    async fn nothing_is_lost(&mut self) {
        let mut bob = Socket::device_of(&self.server, "bob", "phone", "offline").await;
        let heard = bob.receive().await;
        assert_eq!(heard["notifications"][0]["message"], "first", "{heard}");
        bob.expect_no_frame().await;
    }
}
