//! Backups of PostgreSQL: made with the commands of OPERATION.md while a server runs, and restored.

use presence_protocol::{CloseCode, Puid};
use presence_test_postgres::Cluster;
use presence_tests::{Application, Server, ServerOptions, Socket, SocketRequest, User};
use serde_json::{Value, json};

/// The place of the database in the guide.
const PLACE: &str = "db.example";

/// A server with a device online, and a notification that waits for another user.
struct BackedUp {
    server: Server,
    application: Application,
    alice: User,
    of_alice: Puid,
    of_bob: Puid,
    waiting: Value,
    /// The newest update of a user, and a cursor after it.
    update: Value,
    cursor: Value,
    _phone: Socket,
}

impl BackedUp {
    async fn new(cluster: &Cluster) -> Self {
        cluster.create_named("presence");
        let options = ServerOptions::default().with_database(&cluster.url("presence"));
        let server = Server::start(options).await;
        let (application, alice, of_alice) = server.application_with("alice").await;
        let of_bob = server.sign_in("bob").await.grant(&application).await;
        let (mut stream, _) = Socket::stream(&server, &application).await;
        let phone = Socket::device_of(&server, "bob", "phone", "online").await;
        let frame = stream.receive_until(|frame| !frame["presence"][0].is_null()).await;
        assert_eq!(frame["presence"][0]["status"], "online", "{frame}");
        let (update, cursor) = (frame["presence"][0].clone(), frame["cursor"].clone());
        assert!(cursor.is_string(), "{frame}");
        let waiting = notify(&server, &application, of_alice).await;
        Self {
            server,
            application,
            alice,
            of_alice,
            of_bob,
            waiting,
            update,
            cursor,
            _phone: phone,
        }
    }

    /// Checks that a server on the restored database goes on.
    async fn assert_goes_on_at(&self, url: &str) {
        let restored = Server::start(ServerOptions::default().with_database(url)).await;
        let account = restored.call("GET", "/account").bearer(&self.alice.token).await.ok();
        assert_eq!(account["grants"][0]["uid"], json!(self.of_alice), "{account}");
        assert_eq!(account["notifications"][0]["id"], self.waiting, "{account}");
        let request = SocketRequest::app(&self.application).v1();
        let auth = json!({"cursor": self.cursor});
        let mut stream = Socket::app_with(&restored, &self.application, request, auth).await;
        // The snapshot comes when devices have had the time to come back.
        let frame = stream.receive().await;
        assert_eq!((&frame["gap"], &frame["snapshot"]), (&json!(true), &json!(true)), "{frame}");
        assert_eq!(frame["presence"], json!([]), "the device of bob is not connected here");
        let path = format!("/apps/{}/presence", self.application.appid);
        let poll = restored.call("GET", &path).bearer(&self.application.api_key).await.ok();
        assert_eq!(poll["presence"], json!([]), "{poll}");

        let _phone = self.expect_waiting_once(&restored).await;
        self.assert_newer(&stream.expect_status(self.of_alice, "online").await);
        let _laptop = Socket::device_of(&restored, "bob", "laptop", "online").await;
        self.assert_newer(&stream.expect_status(self.of_bob, "online").await);
    }

    /// Checks that an update has a greater version than those of before.
    fn assert_newer(&self, update: &Value) {
        assert!(update["version"].as_u64() > self.update["version"].as_u64(), "{update}");
    }

    /// Checks that the notification that waited is delivered once. Returns the device.
    async fn expect_waiting_once(&self, restored: &Server) -> Socket {
        let mut phone = self.open_phone(restored).await;
        let received = phone.receive().await;
        assert_eq!(received["notifications"][0]["id"], self.waiting, "{received}");
        assert_eq!(received["notifications"].as_array().map(Vec::len), Some(1), "{received}");
        phone.send(json!({"type": "ack", "ids": [self.waiting]})).await;
        phone.expect_ok().await;
        // A later connection gets only what is sent later.
        let mut again = self.open_phone(restored).await;
        phone.expect_close(CloseCode::Replaced).await;
        let next = notify(restored, &self.application, self.of_alice).await;
        let received = again.receive().await;
        assert_eq!(received["notifications"][0]["id"], next, "{received}");
        again
    }

    /// Opens a device of alice with the session of before.
    async fn open_phone(&self, server: &Server) -> Socket {
        let mut phone = Socket::device(server).await;
        let token = &self.alice.token;
        let hello = json!({"token": token, "device": "phone", "status": "online", "acks": true});
        phone.send(hello).await;
        phone.expect_ok().await;
        phone
    }
}

/// Sends a notification, and returns its id.
async fn notify(server: &Server, application: &Application, uid: Puid) -> Value {
    let path = format!("/apps/{}/notifications", application.appid);
    let body = json!({"notifications": [{"uid": uid, "message": "Lunch?"}]});
    let sent = server.call("POST", &path).bearer(&application.api_key).json(&body).await;
    sent.ok()["results"][0]["id"].clone()
}

/// Returns the commands of the guide that begin with one of a program, for this cluster.
fn commands(cluster: &Cluster, program: &str) -> String {
    let guide = include_str!("../../../server/OPERATION.md");
    let blocks = guide.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut found = blocks.filter(|block| block.starts_with(program));
    let commands = found.next().unwrap_or_else(|| panic!("the guide has no {program}"));
    assert!(commands.contains(PLACE), "{commands}");
    commands.replace(PLACE, &format!("127.0.0.1:{}", cluster.port()))
}

#[tokio::test]
async fn a_server_on_a_restored_dump_goes_on_without_the_presence_of_before() {
    let cluster = Cluster::start(&[]);
    let backed_up = BackedUp::new(&cluster).await;
    cluster.run_shell(&commands(&cluster, "pg_dump"));
    backed_up.assert_goes_on_at(&cluster.url("restored")).await;
    // The original does not notice it.
    backed_up.server.call("GET", "/__heartbeat__").await.ok();
}

#[tokio::test]
async fn a_server_on_a_base_backup_goes_on_without_the_presence_of_before() {
    let cluster = Cluster::start(&[]);
    let backed_up = BackedUp::new(&cluster).await;
    let copy = Cluster::start_from(|data| {
        let commands = commands(&cluster, "pg_basebackup");
        let folder = format!("--pgdata={}", data.display());
        assert!(commands.contains("--pgdata=backup"), "{commands}");
        cluster.run_shell(&commands.replace("--pgdata=backup", &folder));
    });
    backed_up.assert_goes_on_at(&copy.url("presence")).await;
    backed_up.server.call("GET", "/__heartbeat__").await.ok();
}
