//! Polling of presence.

use presence_protocol::Errno;
use presence_tests::{Server, Socket};
use serde_json::{Value, json};

#[tokio::test]
async fn presence_is_polled_by_uid_or_page_by_page() {
    let server = Server::start_default().await;
    let (application, _, alice) = server.application_with("alice").await;
    let mut devices = vec![Socket::device_of(&server, "alice", "phone", "online").await];
    let absent = server.sign_in("absent").await.grant(&application).await;
    for name in ["bob", "carol"] {
        server.sign_in(name).await.grant(&application).await;
        devices.push(Socket::device_of(&server, name, "phone", "unavailable").await);
    }
    let path = format!("/presence?uid={absent}&uid={alice},nonsense");
    let asked = application.call("GET", &path).await.ok();
    let entries = asked["presence"].as_array().unwrap();
    let statuses: Vec<&Value> = entries.iter().map(|entry| &entry["status"]).collect();
    assert_eq!(json!(statuses), json!(["offline", "online", null]));
    assert_eq!((&entries[2]["uid"], &entries[2]["errno"]), (&json!("nonsense"), &json!(44)));
    let all = application.call("GET", "/presence").await.ok();
    assert_eq!((all["presence"].as_array().unwrap().len(), &all["next"]), (3, &Value::Null));
    let mut pages = Vec::new();
    let mut path = "/presence?limit=1".to_owned();
    loop {
        let page = application.call("GET", &path).await.ok();
        pages.extend(page["presence"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/presence?limit=1&after={next}");
    }
    assert_eq!(json!(pages), all["presence"]);
}

#[tokio::test]
async fn a_poll_with_invalid_parameters_is_refused() {
    let server = Server::start_default().await;
    let (application, _, alice) = server.application_with("alice").await;
    for query in ["limit=0", "limit=501", "limit=x", "after=nonsense"] {
        let answer = application.call("GET", &format!("/presence?{query}")).await;
        assert_eq!(answer.json()["errno"], Errno::InvalidField.number(), "{query}");
    }
    let many = vec![alice.to_string(); 501].join(",");
    application.call("GET", &format!("/presence?uid={many}")).await.assert_error(Errno::TooLarge);
}
