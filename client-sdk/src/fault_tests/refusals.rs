//! Refused upgrades: what the server says is obeyed, however it arrives.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::scripted_server::{long_timing, token, within};
use crate::{ConnectionState, DeviceChannel, DeviceOptions, Errno, Error};

const BUSY: &str =
    r#"{"result":"KO","errno":21,"error":"Too many connections","retry_after":3600}"#;

/// Answers each upgrade with these segments, and returns the state of a device that then waits.
async fn refused_with(segments: Vec<String>) -> (Error, Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            read_request(&mut stream).await;
            for segment in &segments {
                let _ = stream.write_all(segment.as_bytes()).await;
                let _ = stream.flush().await;
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            open.push(stream);
        }
    });
    let mut options = DeviceOptions::new(server, "phone".parse().unwrap());
    (options.credential, options.timing) = (Some(token("first")), long_timing());
    let (channel, _events) = DeviceChannel::open(options).unwrap();
    let waiting = async {
        let mut state = channel.state();
        loop {
            if let ConnectionState::Waiting { reason, retry_in } = state {
                return (reason, retry_in);
            }
            state = channel.wait_for_state_change(&state).await.unwrap();
        }
    };
    within(waiting).await
}

async fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
}

fn head(status: &str, header: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{header}\r\n\r\n")
}

#[tokio::test]
async fn a_refusal_is_obeyed_the_same_in_one_segment_in_several_and_in_chunks() {
    let (first, second) = BUSY.split_at(20);
    let length = head("429 Too Many Requests", &format!("content-length: {}", BUSY.len()));
    let chunked = head("429 Too Many Requests", "transfer-encoding: chunked");
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    for segments in [
        vec![format!("{length}{BUSY}")],
        vec![length.clone(), first.to_owned(), second.to_owned()],
        vec![format!("{chunked}{}{}0\r\n\r\n", chunk(first), chunk(second))],
        vec![chunked.clone(), chunk(first), chunk(second), "0\r\n\r\n".to_owned()],
        // The end of the body never comes.
        vec![chunked, chunk(BUSY)],
    ] {
        let (reason, retry_in) = refused_with(segments.clone()).await;
        assert_eq!(reason.errno(), Some(Errno::TooManyConnections), "{segments:?}");
        assert!(retry_in >= Duration::from_hours(1), "{segments:?}");
    }
}

#[tokio::test]
async fn the_wait_of_a_header_is_obeyed_without_a_body_that_can_be_read() {
    for (status, errno) in
        [("429 Too Many Requests", Some(Errno::SlowDown)), ("503 Service Unavailable", None)]
    {
        let header = "retry-after: 3600\r\ncontent-length: 6";
        let (reason, retry_in) =
            refused_with(vec![head(status, header), "<html>".to_owned()]).await;
        assert_eq!((reason.errno(), reason.retryable()), (errno, true), "{status}");
        assert!(retry_in >= Duration::from_hours(1), "{status}");
    }
}

#[tokio::test]
async fn a_body_without_an_end_is_not_waited_for() {
    let endless = head("503 Service Unavailable", "retry-after: 7\r\ncontent-length: 1000");
    let (reason, retry_in) = refused_with(vec![endless]).await;
    assert!(matches!(reason, Error::Unreachable(_)), "{reason:?}");
    assert!(retry_in >= Duration::from_secs(7));
}
