//! Invalid and unusual frames.

use presence_protocol::{CloseCode, Errno};
use presence_tests::{ServerOptions, Socket, SocketRequest};
use serde_json::{Value, json};

use super::BadInputFixture;

#[tokio::test]
async fn a_device_that_sends_invalid_frames_gets_errors_and_stays_connected() {
    let mut fixture = BadInputFixture::new().await;
    let mut device = Socket::device_of(&fixture.server, "alice", "phone", "offline").await;
    let ids = vec!["x"; 1_001];
    let too_many = json!({"type": "ack", "ids": ids}).to_string();
    let deep = "[".repeat(10_000);
    let nested = format!("{{\"status\":{}1{}}}", "[".repeat(7_000), "]".repeat(7_000));
    for (frame, errno) in [
        ("", Errno::NotJson),
        ("{", Errno::NotJson),
        ("null", Errno::NotJson),
        ("[]", Errno::NotJson),
        (&deep, Errno::NotJson),
        ("{\"status\":\"\\ud800\"}", Errno::InvalidField),
        ("{}", Errno::MissingField),
        ("{\"type\":\"visibility\"}", Errno::MissingField),
        ("{\"type\":\"ack\"}", Errno::MissingField),
        ("{\"status\":7}", Errno::InvalidField),
        ("{\"status\":\"away\"}", Errno::InvalidField),
        ("{\"status\":\"online\",\"message\":[]}", Errno::InvalidField),
        ("{\"status\":\"online\",\"application_ids\":\"all\"}", Errno::InvalidField),
        ("{\"type\":\"ack\",\"ids\":{}}", Errno::InvalidField),
        ("{\"type\":7}", Errno::InvalidField),
        ("{\"type\":\"dance\"}", Errno::UnknownType),
        (&too_many, Errno::TooLarge),
    ] {
        device.send_raw(frame).await;
        let refused = device.receive().await;
        let short = frame.get(..frame.len().min(60)).unwrap();
        assert_eq!(refused["errno"], errno.number(), "{short}: {refused}");
    }
    device.send_raw(&nested).await;
    assert_eq!(device.receive().await["result"], "KO");
    device.report("unavailable").await;
    fixture.check_service().await;
    fixture.check_queued_notification().await;
}

#[tokio::test]
async fn an_app_service_that_sends_invalid_frames_gets_errors_and_stays_connected() {
    let mut fixture = BadInputFixture::new().await;
    let request = SocketRequest::app(&fixture.application).v1();
    let mut socket = Socket::app(&fixture.server, &fixture.application, request).await;
    assert_eq!(socket.receive().await["snapshot"], true);
    let many = vec![json!({"uid": fixture.alice, "message": "", "action": ""}); 501];
    let too_many = json!({"action": "notify", "notifications": many}).to_string();
    let uids = json!({"action": "query", "uids": vec![fixture.alice; 501]}).to_string();
    for (frame, errno) in [
        ("", Errno::NotJson),
        ("{\"action\"", Errno::NotJson),
        ("7", Errno::NotJson),
        ("{}", Errno::MissingField),
        ("{\"action\":\"notify\"}", Errno::MissingField),
        ("{\"action\":\"query\"}", Errno::MissingField),
        ("{\"action\":[]}", Errno::InvalidField),
        ("{\"action\":\"query\",\"uids\":7}", Errno::InvalidField),
        ("{\"action\":\"notify\",\"notifications\":{}}", Errno::InvalidField),
        ("{\"action\":\"dance\"}", Errno::UnknownType),
        (&too_many, Errno::TooLarge),
        (&uids, Errno::TooLarge),
    ] {
        socket.send_raw(frame).await;
        let refused = socket.receive().await;
        let short = frame.get(..frame.len().min(60)).unwrap();
        assert_eq!(refused["errno"], errno.number(), "{short}: {refused}");
    }
    let items =
        json!([7, {"uid": fixture.alice}, {"uid": fixture.bob.1, "message": [], "action": ""}]);
    let answer = socket.ask(json!({"action": "notify", "notifications": items})).await;
    let results: Vec<&Value> = answer["results"].as_array().unwrap().iter().collect();
    assert!(results.iter().all(|result| result["result"] == "KO"), "{answer}");
    socket.expect_no_stream_frame().await;
    fixture.check_service().await;
    fixture.check_queued_notification().await;
}

#[tokio::test]
async fn unknown_fields_are_ignored_at_any_depth() {
    let mut fixture = BadInputFixture::new().await;
    let deep = |levels: usize| format!("{}7{}", "[{\"a\":".repeat(levels), "}]".repeat(levels));
    let mut device = Socket::device_of(&fixture.server, "alice", "phone", "offline").await;
    device.send_raw(&format!("{{\"status\":\"unavailable\",\"new\":{}}}", deep(2_000))).await;
    device.expect_ok().await;
    let request = SocketRequest::app(&fixture.application).v1();
    let mut socket = Socket::app(&fixture.server, &fixture.application, request).await;
    socket.receive().await;
    let deep = deep(100_000);
    socket.send_raw(&format!("{{\"action\":\"query\",\"uids\":[],\"new\":{deep}}}")).await;
    assert_eq!(socket.receive_until(|frame| frame["action"] == "query").await["result"], "OK");
    // A known field with such a value is refused.
    socket.send_raw(&format!("{{\"action\":\"query\",\"uids\":{deep}}}")).await;
    socket.expect_error(Errno::InvalidField).await;
    socket.send_raw(&format!("{{\"action\":\"notify\",\"notifications\":{deep}}}")).await;
    let answer = socket.receive_until(|frame| frame["action"] == "notify").await;
    assert_eq!(answer["results"][0]["errno"], Errno::MissingField.number(), "{answer}");
    fixture.check_service().await;
    fixture.check_queued_notification().await;
}

#[tokio::test]
async fn a_protocol_violation_closes_only_its_own_socket() {
    let mut fixture = BadInputFixture::new().await;
    let bad_utf8 = masked(true, 1, b"{\"status\":\"\xff\xfe\"}");
    for app in [false, true] {
        for code in [CloseCode::Unsupported, CloseCode::InvalidUtf8, CloseCode::TooLarge] {
            let mut socket = if app {
                let request = SocketRequest::app(&fixture.application).v1();
                Socket::app(&fixture.server, &fixture.application, request).await
            } else {
                Socket::device_of(&fixture.server, "alice", "phone", "offline").await
            };
            if code == CloseCode::Unsupported {
                socket.send_binary(b"{}").await;
            } else if code == CloseCode::InvalidUtf8 {
                socket.send_bytes(&bad_utf8).await;
            } else {
                socket.send_raw(&" ".repeat(1024 * 1024 + 1)).await;
            }
            socket.expect_close(code).await;
            fixture.check_service().await;
        }
    }
    fixture.check_queued_notification().await;
}

#[tokio::test]
async fn an_oversized_frame_is_refused_by_its_header_and_by_the_sum_of_its_fragments() {
    let options = ServerOptions::default().with("device-frame-bytes", 5_000);
    let mut fixture = BadInputFixture::with(options.with("app-frame-bytes", 5_000)).await;
    // The header of a masked frame of 5,001 bytes, without any payload.
    let announced = vec![0x81, 0xfe, 0x13, 0x89, 0, 0, 0, 0];
    let blanks = [b' '; 125];
    let begun = masked(false, 1, &blanks);
    let pieces = [begun, masked(false, 0, &blanks).repeat(40)].concat();
    for bytes in [announced, pieces] {
        let mut device = Socket::device_of(&fixture.server, "alice", "phone", "offline").await;
        device.send_bytes(&bytes).await;
        device.expect_close(CloseCode::TooLarge).await;
        let request = SocketRequest::app(&fixture.application).v1();
        let mut socket = Socket::app(&fixture.server, &fixture.application, request).await;
        socket.send_bytes(&bytes).await;
        socket.expect_close(CloseCode::TooLarge).await;
        fixture.check_service().await;
    }
    fixture.check_queued_notification().await;
}

#[tokio::test]
async fn a_fragmented_frame_may_be_interleaved_with_a_ping() {
    let mut fixture = BadInputFixture::new().await;
    let mut device = Socket::device_of(&fixture.server, "alice", "phone", "offline").await;
    let text = json!({"status": "unavailable", "message": "in pieces"}).to_string();
    let mut bytes = text.as_bytes().chunks(3).enumerate().flat_map(|(number, piece)| {
        let opcode = u8::from(number == 0);
        [masked(false, opcode, piece), masked(true, 9, b"?")].concat()
    });
    let mut wire: Vec<u8> = bytes.by_ref().collect();
    wire.extend(masked(true, 0, b""));
    for byte in wire {
        device.send_bytes(&[byte]).await;
    }
    device.expect_ok().await;
    fixture.check_service().await;
    fixture.check_queued_notification().await;
}

#[tokio::test]
async fn a_flood_of_pings_does_not_disturb_other_clients() {
    let mut fixture = BadInputFixture::new().await;
    let flood = masked(true, 9, &[b'!'; 125]).repeat(1_000);
    for number in 0..5 {
        let device = format!("phone-{number}");
        let mut device = Socket::device_of(&fixture.server, "carol", &device, "offline").await;
        device.send_bytes(&flood).await;
        fixture.check_service().await;
        device.expect_close(CloseCode::TooSlowOrTooFast).await;
    }
    fixture.check_queued_notification().await;
}

/// Returns a masked frame of at most 125 bytes.
fn masked(last: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let first = u8::from(last) << 7 | opcode;
    let length = 0x80 | u8::try_from(payload.len()).unwrap();
    [&[first, length, 0, 0, 0, 0], payload].concat()
}
