//! Queries for the present statuses of users.

use presence_protocol::Errno;
use presence_tests::{Server, Socket};
use serde_json::{Value, json};

#[tokio::test]
async fn a_query_returns_one_entry_for_each_puid_in_order() {
    let server = Server::start_default().await;
    let (application, _, alice) = server.application_with("alice").await;
    let other = server.application_named(&application.owner, "Other").await;
    let carol = server.sign_in("carol").await;
    let (carols, elsewhere) = (carol.grant(&application).await, carol.grant(&other).await);
    let bob = server.sign_in("bob").await;
    let revoked = bob.grant(&application).await;
    bob.revoke(&application).await;
    let hello = json!({"status": "online", "message": "Hi"});
    let _device = Socket::open_authenticated(
        &server,
        presence_tests::SocketRequest::device(),
        "alice",
        hello,
    )
    .await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let uids = json!([carols, alice, elsewhere, revoked, "nonsense", alice]);
    let reply = stream.ask(json!({"action": "query", "uids": uids, "id": 1})).await;
    assert_eq!((&reply["action"], &reply["result"]), (&json!("query"), &json!("OK")), "{reply}");
    let entries = reply["presence"].as_array().unwrap();
    let asked: Vec<&Value> = entries.iter().map(|entry| &entry["uid"]).collect();
    assert_eq!(json!(asked), uids);
    let statuses: Vec<&Value> = entries.iter().map(|entry| &entry["status"]).collect();
    assert_eq!(json!(statuses), json!(["offline", "online", null, null, null, "online"]));
    assert_eq!(entries[1]["message"], "Hi");
    for unknown in &entries[2..5] {
        assert_eq!(
            (&unknown["result"], &unknown["errno"]),
            (&json!("KO"), &json!(44)),
            "{unknown}"
        );
    }
}

#[tokio::test]
async fn a_query_has_at_most_500_puids() {
    let server = Server::start_default().await;
    let (application, _, alice) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let reply = stream.ask(json!({"action": "query", "uids": vec![alice; 500]})).await;
    assert_eq!(reply["presence"].as_array().unwrap().len(), 500);
    stream.send(json!({"action": "query", "uids": vec![alice; 501], "id": "many"})).await;
    assert_eq!(stream.expect_error(Errno::TooLarge).await["id"], "many");
}
