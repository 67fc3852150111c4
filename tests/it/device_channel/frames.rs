//! The frames of a device and their exact replies.

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Server, ServerOptions, Socket, SocketRequest, email};
use serde_json::{Value, json};

async fn server() -> Server {
    Server::start(ServerOptions::default().with("status-burst", 1000)).await
}

#[tokio::test]
async fn the_first_documented_frame_gets_exactly_the_documented_reply() {
    let server = server().await;
    let mut device = Socket::device(&server).await;
    let assertion = server.assertion("alice").await;
    let text =
        format!(r#"{{"email":"{}","assertion":"{assertion}","status":"online"}}"#, email("alice"));
    device.send_raw(&text).await;
    assert_eq!(device.receive_text().await, r#"{"result":"OK"}"#);
    device.send_raw(r#"{"status":"unavailable"}"#).await;
    assert_eq!(device.receive_text().await, r#"{"result":"OK"}"#);
}

#[tokio::test]
async fn an_invalid_assertion_gets_exactly_the_documented_error_and_a_valid_one_may_follow() {
    let server = server().await;
    let mut device = Socket::device(&server).await;
    device
        .send_raw(r#"{"email":"a@dev.localhost","assertion":"nonsense","status":"online"}"#)
        .await;
    let refusal = r#"{"result":"KO","errno":34,"error":"Invalid assertion"}"#;
    assert_eq!(device.receive_text().await, refusal);
    let assertion = server.assertion("alice").await;
    device.send(json!({"assertion": assertion, "status": "online"})).await;
    device.expect_ok().await;
}

#[tokio::test]
async fn the_type_and_the_email_are_optional() {
    let server = server().await;
    for (n, first_frame) in [json!({"type": "status"}), json!({}), json!({"email": email("alice")})]
        .into_iter()
        .enumerate()
    {
        let mut device = Socket::device(&server).await;
        let mut first_frame = first_frame;
        first_frame["assertion"] = server.assertion("alice").await.into();
        first_frame["status"] = "online".into();
        first_frame["device"] = format!("device-{n}").into();
        device.send(first_frame).await;
        device.expect_ok().await;
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored_and_unknown_types_are_refused() {
    let server = server().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let of_2013 =
        json!({"status": "online", "source": "x", "appid": "y", "token": "z", "new": {"a": [1]}});
    device.send(of_2013).await;
    device.expect_ok().await;
    device.send(json!({"type": "dance", "status": "online"})).await;
    device.expect_error(Errno::UnknownType).await;
}

#[tokio::test]
async fn an_invalid_frame_gets_an_error_and_the_socket_stays_open() {
    let server = server().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let too_many: Vec<String> = (0..1001).map(|n| format!("app-{n}")).collect();
    let wrong = [
        ("", Errno::NotJson),
        ("online", Errno::NotJson),
        ("[1]", Errno::NotJson),
        (r#"{"status":"online""#, Errno::NotJson),
        ("{}", Errno::MissingField),
        (r#"{"type":"visibility"}"#, Errno::MissingField),
        (r#"{"type":"ack"}"#, Errno::MissingField),
        (r#"{"status":"away"}"#, Errno::InvalidField),
        (r#"{"status":1}"#, Errno::InvalidField),
        (r#"{"status":"online","acks":"yes"}"#, Errno::InvalidField),
        (r#"{"status":"online","application_ids":"all"}"#, Errno::InvalidField),
        (r#"{"type":"ack","ids":"all"}"#, Errno::InvalidField),
        (r#"{"status":"online","device":"other"}"#, Errno::InvalidField),
        (r#"{"status":"online","id":1.5}"#, Errno::InvalidField),
        (r#"{"type":7,"status":"online"}"#, Errno::InvalidField),
    ];
    for (text, errno) in wrong {
        device.send_raw(text).await;
        device.expect_error(errno).await;
    }
    device.send(json!({"type": "visibility", "application_ids": too_many})).await;
    device.expect_error(Errno::TooLarge).await;
    device.report("online").await;
}

#[tokio::test]
async fn a_reply_and_an_error_repeat_the_id_unchanged() {
    let server = server().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    for id in ["7", "-7", r#""a \"b\" é""#, r#""""#, "123456789012345678901234567890"] {
        device.send_raw(&format!(r#"{{"status":"online","id":{id}}}"#)).await;
        assert_eq!(device.receive_text().await, format!(r#"{{"result":"OK","id":{id}}}"#));
        device.send_raw(&format!(r#"{{"status":"away","id":{id}}}"#)).await;
        let refusal = device.receive_text().await;
        assert!(refusal.ends_with(&format!(r#","id":{id}}}"#)), "{refusal}");
    }
    device.send_raw(r#"{"id":"a","status":"#).await;
    assert_eq!(device.receive().await["id"], Value::Null);
}

#[tokio::test]
async fn replies_arrive_in_the_order_of_the_requests() {
    let server = server().await;
    let mut device = Socket::device(&server).await;
    let assertion = server.assertion("alice").await;
    let mut frames = vec![json!({"assertion": assertion, "status": "online", "id": 0})];
    for id in 1..200 {
        frames.push(match id % 4 {
            0 => json!({"status": "online", "id": id}),
            1 => json!({"type": "ack", "ids": ["x"], "id": id}),
            2 => json!({"status": "away", "id": id}),
            _ => json!({"type": "visibility", "application_ids": [], "id": id}),
        });
    }
    device.send_all(frames).await;
    for id in 0..200 {
        let reply = device.receive().await;
        assert_eq!(reply["id"], id);
        assert_eq!(reply["result"], if id % 4 == 2 { "KO" } else { "OK" });
    }
}

#[tokio::test]
async fn a_status_text_is_limited_in_length_and_has_no_control_characters() {
    let server = server().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    for good in ["", "At lunch 🍜", "שלום", &"é".repeat(128)] {
        device.send(json!({"status": "online", "message": good})).await;
        device.expect_ok().await;
    }
    for bad in [&"é".repeat(129), "two\nlines", "\u{202e}evil", "\u{2066}", "\0", "\u{85}"] {
        device.send(json!({"status": "online", "message": bad})).await;
        device.expect_error(Errno::InvalidField).await;
    }
}

#[tokio::test]
async fn a_device_name_has_a_limited_length_and_character_set() {
    let server = server().await;
    let mut device = Socket::device(&server).await;
    let assertion = server.assertion("alice").await;
    for bad in ["", "a b", "a/b", "é", &"a".repeat(65)] {
        device.send(json!({"assertion": assertion, "status": "online", "device": bad})).await;
        device.expect_error(Errno::InvalidField).await;
    }
    let name = format!("Az09._-{}", "a".repeat(57));
    device.send(json!({"assertion": assertion, "status": "online", "device": name})).await;
    device.expect_ok().await;
}

#[tokio::test]
async fn binary_invalid_utf8_and_oversized_frames_close_the_connection() {
    let server = server().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    device.send_binary(b"{}").await;
    device.expect_close(CloseCode::Unsupported).await;

    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    // A text frame of two bytes, masked with zeros.
    device.send_bytes(&[0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28]).await;
    device.expect_close(CloseCode::InvalidUtf8).await;

    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let frame = |bytes: usize| {
        let empty = r#"{"status":"online","x":""}"#;
        format!(r#"{{"status":"online","x":"{}"}}"#, "x".repeat(bytes - empty.len()))
    };
    device.send_raw(&frame(16 * 1024)).await;
    device.expect_ok().await;
    device.send_raw(&frame(16 * 1024 + 1)).await;
    device.expect_close(CloseCode::TooLarge).await;
}

#[tokio::test]
async fn a_visibility_in_the_first_frame_applies_before_the_first_status() {
    let server = server().await;
    let (chat, alice, uid) = server.application_with("alice").await;
    let other = server.application_named(&chat.owner, "Other").await;
    let hidden = alice.grant(&other).await;
    let (mut stream, _) = Socket::stream(&server, &chat).await;
    let (mut other_stream, _) = Socket::stream(&server, &other).await;
    let first_frame = json!({"type": "visibility", "application_ids": [chat.appid]});
    let mut device =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", first_frame).await;
    stream.expect_no_stream_frame().await;
    device.report("online").await;
    stream.expect_status(uid, "online").await;
    other_stream.expect_no_stream_frame().await;
    assert_eq!(other.presence_of(hidden).await["status"], "offline");
}
