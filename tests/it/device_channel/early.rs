//! A device that does not wait for the upgrade to be answered.

use std::io::{Read, Write};
use std::net::TcpStream;

use presence_tests::{Server, TIMEOUT};

/// A text frame of a client, masked with zeros.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 126);
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

fn reads_until(stream: &mut TcpStream, wanted: &str) -> String {
    let (mut heard, mut scratch) = (Vec::new(), [0; 256]);
    loop {
        let text = String::from_utf8_lossy(&heard).into_owned();
        if text.contains(wanted) {
            return text;
        }
        let read = stream.read(&mut scratch).unwrap();
        assert!(read > 0, "the connection ended after: {text}");
        heard.extend(&scratch[..read]);
    }
}

#[tokio::test]
async fn what_is_sent_together_with_the_request_is_heard_and_so_is_what_follows() {
    let server = Server::quick().await;
    let address = server.address();
    let talk = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let request = format!(
            "GET /presence HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        // More than one buffer full, and the last frame in halves.
        let first: Vec<u8> = (0..3)
            .flat_map(|id| {
                frame(&format!(r#"{{"id":{id},"status":"online","x":"{}"}}"#, "y".repeat(70)))
            })
            .collect();
        let last = frame(r#"{"id":"last","status":"online"}"#);
        let (half, other) = last.split_at(9);
        stream.write_all(&[request.as_bytes(), &first, half].concat()).unwrap();
        let heard = reads_until(&mut stream, r#""id":2}"#);
        stream.write_all(other).unwrap();
        (heard, reads_until(&mut stream, r#""id":"last"}"#))
    };
    let (early, late) = tokio::task::spawn_blocking(talk).await.unwrap();
    assert!(early.starts_with("HTTP/1.1 101"), "{early}");
    for id in 0..3 {
        assert_eq!(early.matches(&format!(r#""id":{id}}}"#)).count(), 1, "{early}");
    }
    assert!(late.contains(r#""errno":30"#), "{late}");
}
