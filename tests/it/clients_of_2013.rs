//! The clients of 2013 that README.md names, with the frames and requests that they send.

use presence_tests::{Application, Server, Socket, SocketRequest, User, email};
use serde_json::{Value, json};

/// Opens the socket of an AppService of 2013, and reads the first update.
async fn app_service(server: &Server, application: &Application, auth: Value) -> Socket {
    let mut socket = Socket::open(server, SocketRequest::app(application)).await;
    socket.send(auth).await;
    assert_eq!(socket.receive_text().await, r#"{"action":"auth","result":"OK"}"#);
    assert_eq!(socket.receive().await["status"], "offline");
    socket
}

async fn phone(server: &Server) -> Socket {
    let mut phone = Socket::device(server).await;
    let assertion = server.assertion("alice").await;
    phone.send(json!({"email": email("alice"), "assertion": assertion, "status": "online"})).await;
    assert_eq!(phone.receive_text().await, r#"{"result":"OK"}"#);
    phone
}

#[tokio::test]
async fn a_chat_room_of_2013_sees_a_phone_and_notifies_it() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let auth = json!({"action": "auth", "token": application.api_key});
    let mut room = app_service(&server, &application, auth).await;
    let mut phone = phone(&server).await;
    let update = room.receive().await;
    assert_eq!((&update["uid"], &update["status"]), (&json!(uid), &json!("online")), "{update}");
    let frame = json!({"action": "notify", "token": application.api_key, "appid": "chat",
        "source": "bob@chat.example", "target": uid, "message": "Come in"});
    let reply = room.ask(frame).await;
    assert_eq!((&reply["result"], &reply["queue_size"]), (&json!("OK"), &json!(1)), "{reply}");
    let received = phone.receive().await;
    let item = &received["notifications"][0];
    assert_eq!(
        (&item["source"], &item["message"], &item["action"]),
        (&json!("bob@chat.example"), &json!("Come in"), &json!(""))
    );
    phone.close(Some(1000)).await;
    room.expect_status(uid, "offline").await;
}

#[tokio::test]
async fn an_app_service_of_the_first_documents_sends_its_key_and_a_bare_list() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let auth = json!({"key": application.api_key});
    let mut service = app_service(&server, &application, auth).await;
    let list = json!([{"UID": uid, "message": "One", "action": "https://chat.example/1"},
        {"UID": uid, "message": "Two", "action": ""}]);
    let reply = service.ask(list.clone()).await;
    assert_eq!((&reply["result"], &reply["queue_size"]), (&json!("OK"), &json!(2)), "{reply}");
    let over_rest = application.call("POST", "/notifications").json(&list).await.ok();
    assert_eq!(over_rest["queue_size"], 4, "{over_rest}");
    let mut phone = phone(&server).await;
    let received = phone.receive().await;
    let messages: Vec<_> =
        received["notifications"].as_array().unwrap().iter().map(|item| &item["message"]).collect();
    assert_eq!(messages, ["One", "Two", "One", "Two"], "{received}");
}

#[tokio::test]
async fn a_phone_of_2014_sends_types_and_integer_ids() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut watcher = app_service(&server, &application, json!({"key": application.api_key})).await;
    let mut phone = Socket::device(&server).await;
    let assertion = server.assertion("alice").await;
    let status = json!({"type": "status", "status": "online", "assertion": assertion,
        "application_ids": [421, application.appid]});
    phone.send(status).await;
    assert_eq!(phone.receive_text().await, r#"{"result":"OK"}"#);
    watcher.expect_status(uid, "online").await;
    let ids = json!([421, 492, 9592, 391]);
    phone.send(json!({"type": "visibility", "application_ids": ids, "assertion": assertion})).await;
    assert_eq!(phone.receive_text().await, r#"{"result":"OK"}"#);
    watcher.expect_status(uid, "offline").await;
}

#[tokio::test]
async fn a_form_of_the_grant_page_leads_back_with_the_presence_uid() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let back = format!("http://{}/joined", application.domain.name());
    let fields = [("redirect", back.as_str()), ("decision", "yes")];
    let path = format!("/grant/{}", application.appid);
    let answer = alice.call("POST", &path).form(&fields).await;
    let expected = format!("{back}?Presence-UID={uid}");
    assert_eq!((answer.status, answer.header("location")), (303, expected.as_str()));
}

async fn page(user: &User, path: &str) -> presence_tests::RestResponse {
    user.call("GET", path).header("accept", "text/html").await
}

#[tokio::test]
async fn a_link_to_revoke_asks_first_and_leads_back() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let back = format!("http://{}/left", application.domain.name());
    let path = format!("/revoke/{}", application.appid);
    let asked = page(&alice, &format!("{path}?redirect={back}")).await;
    assert_eq!(asked.status, 200, "{}", asked.text);
    assert!(asked.text.contains("Chat") && asked.text.contains("<form"), "{}", asked.text);
    let grants = alice.call("GET", "/grants").await.ok();
    assert_eq!(grants["grants"][0]["uid"], json!(uid), "the link alone revokes nothing");
    for elsewhere in ["https://evil.example/", "javascript:alert(1)", "//evil.example"] {
        let refused = page(&alice, &format!("{path}?redirect={elsewhere}")).await;
        assert_eq!(refused.status, 400, "{elsewhere}");
        let refused = alice.call("POST", &path).form(&[("redirect", elsewhere)]).await;
        assert_eq!((refused.status, refused.header("location")), (400, ""), "{elsewhere}");
    }
    let revoked = alice.call("POST", &path).form(&[("redirect", &back)]).await;
    assert_eq!((revoked.status, revoked.header("location")), (303, back.as_str()));
    assert_eq!(alice.call("GET", "/grants").await.ok()["grants"], json!([]));
    assert!(page(&alice, &path).await.text.contains("Nothing to revoke"));
}
