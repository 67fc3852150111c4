//! Authentication of an AppService on its channel.

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Server, ServerOptions, Socket, SocketRequest, forged};
use serde_json::{Value, json};

#[tokio::test]
async fn an_api_key_is_accepted_in_each_form() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let key = &application.api_key;
    for auth in [
        json!({"action": "auth", "token": key}),
        json!({"action": "auth", "key": key}),
        json!({"key": key}),
        json!({"action": "auth", "token": key, "source": "2013", "new": [1]}),
    ] {
        let mut socket = Socket::open(&server, SocketRequest::app(&application)).await;
        socket.send(auth).await;
        assert_eq!(socket.receive_text().await, r#"{"action":"auth","result":"OK"}"#);
        socket.send(json!({"action": "auth", "token": key, "id": "again"})).await;
        socket.receive_until(|frame| frame["id"] == "again" && frame["result"] == "OK").await;
    }
}

#[tokio::test]
async fn an_upgrade_with_a_bearer_key_authenticates_the_socket() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let request = SocketRequest::app(&application).v1().bearer(&application.api_key);
    let mut socket = Socket::open(&server, request.clone()).await;
    assert_eq!(socket.receive_text().await, r#"{"action":"auth","result":"OK"}"#);
    let snapshot = socket.receive().await;
    assert_eq!(snapshot["snapshot"], true, "{snapshot}");
    let cursor = snapshot["cursor"].as_str().unwrap();

    let request = request.query(&format!("cursor={cursor}&receipts=true"));
    let mut resumed = Socket::open(&server, request).await;
    assert_eq!(resumed.receive().await["action"], "auth");
    resumed.expect_no_stream_frame().await;
}

#[tokio::test]
async fn an_upgrade_with_a_wrong_bearer_key_is_refused() {
    let server = Server::start_default().await;
    let (application, alice, _) = server.application_with("alice").await;
    let other = server.application_named(&application.owner, "Other").await;
    for wrong in ["nonsense", &other.api_key, &alice.token] {
        let request = SocketRequest::app(&application).bearer(wrong);
        let refused = Socket::try_open(&server, request).await.unwrap_err();
        refused.assert_error(Errno::InvalidApiKey);
    }
}

#[tokio::test]
async fn a_key_in_the_upgrade_has_the_scheme_bearer_in_any_case() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let key = &application.api_key;
    for credential in [format!("bearer {key}"), format!("BEARER  {key}")] {
        let request = SocketRequest::app(&application).v1().header("authorization", &credential);
        let mut socket = Socket::open(&server, request).await;
        assert_eq!(socket.receive().await["action"], "auth", "{credential}");
        let path = format!("/apps/{}/presence", application.appid);
        server.call("GET", &path).header("authorization", &credential).await.ok();
    }
    // A proxy in front may have credentials of its own; the key then comes in the first frame.
    let of_proxy = SocketRequest::app(&application).header("authorization", "Basic dXNlcjpwYXNz");
    let mut socket = Socket::open(&server, of_proxy.clone()).await;
    assert_eq!(socket.ask(json!({"action": "auth", "token": key})).await["result"], "OK");
    let mut socket = Socket::open(&server, of_proxy.bearer(key)).await;
    assert_eq!(socket.receive().await["action"], "auth");
}

#[tokio::test]
async fn an_upgrade_to_another_version_names_the_known_one() {
    let server = Server::start_default().await;
    for path in ["/presence", "/presence/", "/myapps/", "/myapps/0123456789abcdef0123456789abcdef"]
    {
        for version in ["25", "8", "7, 8"] {
            let call = server.call("GET", path).header("connection", "upgrade");
            let call = call.header("upgrade", "websocket").header("sec-websocket-version", version);
            let refused = call.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==").await;
            refused.assert_error(Errno::InvalidField);
            assert_eq!(refused.header("sec-websocket-version"), "13", "{path} {version}");
        }
    }
}

#[tokio::test]
async fn both_channels_accept_a_slash_at_the_end_of_their_paths() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let path = format!("/myapps/{}/", application.appid);
    let request = SocketRequest::to(&path).v1().bearer(&application.api_key);
    let mut stream = Socket::open(&server, request).await;
    assert_eq!(stream.receive().await["action"], "auth");
    let mut device = Socket::open(&server, SocketRequest::to("/presence/")).await;
    assert_eq!(device.ask(json!({"token": alice.token, "status": "online"})).await["result"], "OK");
    stream.receive_until(|frame| frame["presence"][0]["uid"] == uid.to_string()).await;
}

#[tokio::test]
async fn a_request_before_authentication_is_refused() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut socket = Socket::open(&server, SocketRequest::app(&application)).await;
    let item = json!({"uid": uid, "message": "x", "action": ""});
    for frame in [
        json!({"action": "notify", "notifications": [item]}),
        json!({"action": "notify", "target": uid, "message": "x"}),
        json!({"action": "query", "uids": [uid]}),
    ] {
        socket.send(frame).await;
        socket.expect_error(Errno::NotAuthenticated).await;
    }
}

#[tokio::test]
async fn a_wrong_key_and_an_unknown_application_get_the_same_error() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let other = server.application_named(&application.owner, "Other").await;
    let unknown = "/myapps/0123456789abcdef0123456789abcdef";
    let wrong_key = format!("{}x", application.api_key);
    let mut answers: Vec<String> = Vec::new();
    for (request, key) in [
        (SocketRequest::app(&application), wrong_key.as_str()),
        (SocketRequest::app(&application), "nonsense"),
        (SocketRequest::app(&application), &other.api_key),
        (SocketRequest::to(unknown), &application.api_key),
        (SocketRequest::to("/myapps/no-id"), &application.api_key),
        (SocketRequest::to("/myapps/"), &wrong_key),
    ] {
        let mut socket = Socket::open(&server, request).await;
        socket.send(json!({"action": "auth", "token": key})).await;
        answers.push(socket.receive_text().await);
        socket.expect_close(CloseCode::NotAuthorised).await;
    }
    assert!(answers[0].contains(r#""errno":41"#), "{answers:?}");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn a_forged_key_with_a_valid_checksum_is_refused() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let forged = forged(&application.api_key);
    for request in [SocketRequest::app(&application), SocketRequest::to("/myapps/")] {
        let mut socket = Socket::open(&server, request.clone()).await;
        socket.send(json!({"action": "auth", "token": forged})).await;
        socket.expect_error(Errno::InvalidApiKey).await;
        socket.expect_close(CloseCode::NotAuthorised).await;
        let refused = Socket::try_open(&server, request.bearer(&forged)).await.unwrap_err();
        refused.assert_error(Errno::InvalidApiKey);
    }
    // A forged key is refused also on a socket that the real key opened.
    let (mut socket, _) = Socket::stream(&server, &application).await;
    socket.send(json!({"action": "auth", "token": forged})).await;
    socket.expect_error(Errno::InvalidApiKey).await;
    socket.expect_close(CloseCode::NotAuthorised).await;
}

#[tokio::test]
async fn the_key_identifies_the_application_if_the_path_does_not() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut socket = Socket::app(&server, &application, SocketRequest::to("/myapps/")).await;
    socket.expect_status(uid, "offline").await;
    let request = SocketRequest::to("/myapps/").bearer(&application.api_key);
    let mut socket = Socket::open(&server, request).await;
    assert_eq!(socket.receive().await["result"], "OK");
    socket.expect_status(uid, "offline").await;
}

#[tokio::test]
async fn a_socket_without_a_first_frame_is_closed() {
    let server = Server::start(ServerOptions::default().with("hello-seconds", 0.3)).await;
    let (application, _, _) = server.application_with("alice").await;
    let mut socket = Socket::open(&server, SocketRequest::app(&application)).await;
    socket.expect_close(CloseCode::Silent).await;
}

#[tokio::test]
async fn an_inactive_application_is_refused() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    application.deactivate().await;
    let mut socket = Socket::open(&server, SocketRequest::app(&application)).await;
    socket.send(json!({"action": "auth", "token": application.api_key})).await;
    socket.expect_error(Errno::ApplicationNotActive).await;
    let request = SocketRequest::app(&application).bearer(&application.api_key);
    let refused = Socket::try_open(&server, request).await.unwrap_err();
    refused.assert_error(Errno::ApplicationNotActive);
    application.activate().await;
    Socket::app(&server, &application, SocketRequest::app(&application)).await;
}

#[tokio::test]
async fn the_subprotocol_is_used_only_if_the_client_offers_it() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let plain = Socket::open(&server, SocketRequest::app(&application)).await;
    assert_eq!(plain.subprotocol, None);
    let request =
        SocketRequest::app(&application).header("sec-websocket-protocol", "chat, presence.v1");
    let mut socket = Socket::app(&server, &application, request).await;
    assert_eq!(socket.subprotocol.as_deref(), Some("presence.v1"));
    assert_eq!(socket.receive().await["snapshot"], true);
}

#[tokio::test]
async fn an_invalid_frame_gets_an_error_and_the_socket_stays_open() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let (mut socket, _) = Socket::stream(&server, &application).await;
    for (text, errno) in [
        ("7", Errno::NotJson),
        ("", Errno::NotJson),
        ("{}", Errno::MissingField),
        (r#"{"action":"dance"}"#, Errno::UnknownType),
        (r#"{"action":"query"}"#, Errno::MissingField),
        (r#"{"action":"query","uids":"all"}"#, Errno::InvalidField),
        (r#"{"action":"notify"}"#, Errno::MissingField),
        (r#"{"action":"notify","notifications":{}}"#, Errno::InvalidField),
        (r#"{"action":7}"#, Errno::InvalidField),
    ] {
        socket.send_raw(text).await;
        socket.expect_error(errno).await;
    }
    socket.send_raw(r#"{"action":"dance","id":"é"}"#).await;
    assert_eq!(socket.expect_error(Errno::UnknownType).await["id"], "é");
    socket.send_raw(r#"{"action":"query","uids":[],"id":12345678901234567890}"#).await;
    let reply = socket.receive_text().await;
    assert_eq!(
        reply,
        r#"{"action":"query","result":"OK","presence":[],"id":12345678901234567890}"#
    );
}

#[tokio::test]
async fn binary_invalid_utf8_and_oversized_frames_close_the_connection() {
    let options = ServerOptions::default().with("app-frame-bytes", 2000);
    let server = Server::start(options).await;
    let (application, _, _) = server.application_with("alice").await;
    let (mut socket, _) = Socket::stream(&server, &application).await;
    socket.send_binary(b"{}").await;
    socket.expect_close(CloseCode::Unsupported).await;
    let (mut socket, _) = Socket::stream(&server, &application).await;
    socket.send_bytes(&[0x81, 0x81, 0, 0, 0, 0, 0xff]).await;
    socket.expect_close(CloseCode::InvalidUtf8).await;
    let (mut socket, _) = Socket::stream(&server, &application).await;
    let reply = socket.ask(json!({"action": "query", "uids": [], "x": "x".repeat(1900)})).await;
    assert_eq!(reply["presence"], Value::Array(Vec::new()));
    socket.send(json!({"action": "query", "uids": [], "x": "x".repeat(2000)})).await;
    socket.expect_close(CloseCode::TooLarge).await;
}
