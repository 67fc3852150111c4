//! A developer's Applications, their keys, and what an AppService does with one.

use poem::http::Method;
use serde_json::json;

use super::fixture::Server;

#[tokio::test]
async fn an_application_is_registered_verified_and_activated() {
    let server = Server::development().await;
    let token = server.sign_in("dev@dev.localhost", "account").await;
    let other = server.sign_in("other@dev.localhost", "account").await;
    let (domain, document) = server.domain().await;
    let body = json!({ "name": "Chess", "domain": domain, "description": "Play" });
    let created = server.post("/apps").bearer(&token).json(&body).send().await;
    assert_eq!(created.status, 201);
    let (app, path) = (created.json(), created.header("location").to_owned());
    assert_eq!(path, format!("/apps/{}", app["appid"].as_str().unwrap()));
    assert_eq!((&app["state"], &app["description"]), (&json!("registered"), &json!("Play")));
    let post = |what: &str| server.post(&format!("{path}/{what}")).bearer(&token);

    assert_eq!(server.get(&path).bearer(&other).errno().await, 40);
    assert_eq!(post("activate").errno().await, 43);
    assert_eq!(post("deactivate").errno().await, 42);
    assert_eq!(post("keys").errno().await, 43);
    assert_eq!(post("verify").errno().await, 43);
    document.send(app["domain_key"].as_str().unwrap().to_owned()).unwrap();
    assert_eq!(post("verify").send().await.json()["state"], "verified");
    let first = post("activate").send().await.json();
    assert!(first["api_key"].as_str().unwrap().starts_with("prs_test_"));
    assert_eq!(post("deactivate").send().await.json()["state"], "inactive");
    let later = post("activate").send().await.json();
    assert_eq!(later, json!({ "appid": app["appid"], "state": "active" }));

    let change = json!({ "name": "Chess 2", "description": null });
    let changed =
        server.call(Method::PATCH, &path).bearer(&token).json(&change).send().await.json();
    assert_eq!((&changed["name"], &changed["description"]), (&json!("Chess 2"), &json!("Play")));
    let listed = server.get("/apps").bearer(&token).send().await.json();
    assert_eq!(listed, json!({ "apps": [changed] }));
    assert_eq!(server.delete(&path).bearer(&other).errno().await, 40);
    assert_eq!(server.delete(&path).bearer(&token).errno().await, 0);
    assert_eq!(server.get(&path).bearer(&token).errno().await, 40);
}

#[tokio::test]
async fn a_key_is_shown_once_and_can_be_changed_without_a_gap() {
    let server = Server::development().await;
    let token = server.sign_in("dev@dev.localhost", "account").await;
    let (app, first) = server.active_app(&token).await;
    let path = format!("/apps/{app}/keys");
    let created = server.post(&path).bearer(&token).send().await;
    assert_eq!((created.status.as_u16(), created.header("cache-control")), (201, "no-store"));
    let second = created.json()["api_key"].as_str().unwrap().to_owned();
    assert_eq!(created.header("location"), format!("{path}/{}", created.json()["id"]));
    let keys = server.get(&path).bearer(&token).send().await;
    assert!(!keys.text.contains("api_key") && !keys.text.contains(&second));
    let keys = keys.json()["keys"].as_array().unwrap().clone();
    assert_eq!(keys.len(), 2);
    let first_id = keys.iter().find(|key| key["id"] != created.json()["id"]).unwrap()["id"].clone();
    let poll = format!("/apps/{app}/presence");
    assert_eq!(server.get(&poll).bearer(&second).errno().await, 0);
    assert_eq!(server.delete(&format!("{path}/{first_id}")).bearer(&token).errno().await, 0);
    assert_eq!(server.delete(&format!("{path}/{first_id}")).bearer(&token).errno().await, 47);
    assert_eq!(server.get(&poll).bearer(&first).errno().await, 41);
    assert_eq!(server.get(&poll).bearer(&second).errno().await, 0);
}

#[tokio::test]
async fn presence_is_polled_by_uid_or_all() {
    let server = Server::development().await;
    let token = server.sign_in("dev@dev.localhost", "account").await;
    let (app, key) = server.active_app(&token).await;
    let grant = server.post(&format!("/grant/{app}")).bearer(&token).send().await.json();
    let uid = grant["uid"].as_str().unwrap();
    let poll = |query: &str| server.get(&format!("/apps/{app}/presence?{query}")).bearer(&key);

    assert_eq!(poll("").send().await.json(), json!({ "presence": [] }));
    let found = poll(&format!("uid={uid},x&uid={uid}")).send().await.json();
    let found = found["presence"].as_array().unwrap().clone();
    let statuses: Vec<_> = found.iter().map(|entry| entry["status"].as_str()).collect();
    assert_eq!(statuses, [Some("offline"), None, Some("offline")]);
    let unknown = json!({ "uid": "x", "result": "KO", "errno": 44, "error": "Unknown uid" });
    assert_eq!(found[1], unknown);
    assert_eq!(poll("limit=1").errno().await, 0);
    for query in ["limit=0", "limit=501", "limit=x", "limit=-1", "after=x", "uid=a&after=x"] {
        assert_eq!(poll(query).errno().await, 12, "{query}");
    }
    assert_eq!(poll(&format!("uid={}", vec!["x"; 501].join(","))).errno().await, 14);
}

#[tokio::test]
async fn each_notification_is_accepted_or_refused_on_its_own() {
    let server = Server::development().await;
    let token = server.sign_in("dev@dev.localhost", "account").await;
    let (app, key) = server.active_app(&token).await;
    let grant = server.post(&format!("/grant/{app}")).bearer(&token).send().await.json();
    let send = |body: serde_json::Value| {
        server.post(&format!("/apps/{app}/notifications")).bearer(&key).json(&body)
    };
    let items = json!([
        { "uid": grant["uid"], "message": "Your move", "action": "https://chess.example.org/" },
        { "uid": "x", "message": "m" },
        { "uid": grant["uid"], "message": "m", "action": "javascript:alert(1)" },
        5,
    ]);
    let response = send(json!({ "notifications": items })).send().await.json();
    assert_eq!((&response["result"], &response["queue_size"]), (&json!("OK"), &json!(1)));
    let results = response["results"].as_array().unwrap();
    assert_eq!((&results[0]["result"], &results[0]["queue_size"]), (&json!("OK"), &json!(1)));
    let errnos: Vec<_> = results.iter().map(|result| result["errno"].as_u64()).collect();
    assert_eq!(errnos, [None, Some(44), Some(12), Some(10)]);

    assert_eq!(send(json!({})).errno().await, 11);
    assert_eq!(send(json!({ "notifications": {} })).errno().await, 12);
    assert_eq!(send(json!({ "notifications": vec![1; 501] })).errno().await, 14);
    let account = server.get("/account").bearer(&token).send().await.json();
    let waiting = account["notifications"].as_array().unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(
        (&waiting[0]["source"], &waiting[0]["id"]),
        (&json!("Chess <b>"), &results[0]["id"])
    );
    assert_eq!((account["apps"].as_array().unwrap().len(), &account["sessions"]), (1, &json!(1)));
}
