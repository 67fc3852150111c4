//! A device that sends frames before the upgrade is answered.

use std::io::{Read, Write};
use std::net::TcpStream;

use presence_tests::{Server, TIMEOUT};

/// Returns a text frame of a client, masked with zeros.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 126);
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

fn read_until(stream: &mut TcpStream, expected: &str) -> String {
    let (mut received, mut scratch) = (Vec::new(), [0; 256]);
    loop {
        let text = String::from_utf8_lossy(&received).into_owned();
        if text.contains(expected) {
            return text;
        }
        let read = stream.read(&mut scratch).unwrap();
        assert!(read > 0, "the connection ended after: {text}");
        received.extend(&scratch[..read]);
    }
}

#[tokio::test]
async fn frames_sent_with_the_upgrade_request_and_after_it_are_received() {
    let server = Server::start_default().await;
    let address = server.address();
    let client = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let request = format!(
            "GET /presence HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        // The frames fill more than one buffer, and the last one is sent in halves.
        let first: Vec<u8> = (0..3)
            .flat_map(|id| {
                frame(&format!(r#"{{"id":{id},"status":"online","x":"{}"}}"#, "y".repeat(70)))
            })
            .collect();
        let last = frame(r#"{"id":"last","status":"online"}"#);
        let (half, other) = last.split_at(9);
        stream.write_all(&[request.as_bytes(), &first, half].concat()).unwrap();
        let received = read_until(&mut stream, r#""id":2}"#);
        stream.write_all(other).unwrap();
        (received, read_until(&mut stream, r#""id":"last"}"#))
    };
    let (early, late) = tokio::task::spawn_blocking(client).await.unwrap();
    assert!(early.starts_with("HTTP/1.1 101"), "{early}");
    for id in 0..3 {
        assert_eq!(early.matches(&format!(r#""id":{id}}}"#)).count(), 1, "{early}");
    }
    assert!(late.contains(r#""errno":30"#), "{late}");
}
