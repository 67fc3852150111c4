//! Servers that end.

use presence_tests::{Server, Socket};

use super::long_grace_time;

#[tokio::test]
async fn a_killed_server_loses_its_devices_once_and_a_stopped_one_gives_them_time_to_come_back() {
    let options = long_grace_time().with("grace-seconds", 0.5);
    let [mut one, two, mut three] = Server::start_sharing(options).await;
    let (application, _, uid) = two.application_with("alice").await;
    let bob = two.sign_in("bob").await;
    let bobs = bob.grant(&application).await;
    let (mut stream, _) = Socket::stream(&two, &application).await;
    let _phone = Socket::device_of(&one, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    let _laptop = Socket::device_of(&three, "bob", "laptop", "online").await;
    stream.expect_status(bobs, "online").await;
    one.kill().await;
    three.terminate().await;
    let _laptop = Socket::device_of(&two, "bob", "laptop", "online").await;
    // Alice's device does not come back, and bob was never seen as away.
    let offline = stream.expect_status(uid, "offline").await;
    assert_eq!(offline["cause"], "lost", "{offline}");
    assert_eq!(offline["uid"], serde_json::json!(uid), "{offline}");
}
