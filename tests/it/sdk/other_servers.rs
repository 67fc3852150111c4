//! Other peers in place of the server: captive portals, proxies, and faulty servers.

use futures_util::{SinkExt, StreamExt};
use presence_client::{ConnectionState, Credential, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::fixtures::Phone;

/// Serves each connection with a function, and returns a phone that connects.
async fn phone_at<Answer>(answers: fn(TcpStream) -> Answer) -> (Phone, JoinSet<()>)
where
    Answer: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(answers(stream));
        }
    });
    let phone = Phone::with(url.parse().unwrap(), |options| {
        options.credential = Some(Credential::Token("secret token".to_owned().into()));
    });
    (phone, task)
}

/// Reads the request, and sends an HTTP response.
async fn answer(mut stream: TcpStream, text: &str) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await;
    let _ = stream.write_all(text.as_bytes()).await;
}

async fn retries(mut phone: Phone) -> Error {
    let state =
        phone.wait_for_state(|state| matches!(state, ConnectionState::Waiting { .. })).await;
    let ConnectionState::Waiting { reason, .. } = state else { unreachable!() };
    assert!(reason.retryable() && !format!("{reason:?} {reason}").contains("secret"), "{reason:?}");
    reason
}

#[tokio::test]
async fn a_captive_portal_is_retried() {
    async fn captive_portal(stream: TcpStream) {
        let page = "<html>Accept our terms</html>";
        let length = page.len();
        let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{page}");
        answer(stream, &text).await;
    }
    let (phone, _task) = phone_at(captive_portal).await;
    assert!(matches!(retries(phone).await, Error::Unreachable(_)));
}

#[tokio::test]
async fn a_proxy_without_its_server_is_retried() {
    async fn proxy(stream: TcpStream) {
        answer(stream, "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
    }
    let (phone, _task) = phone_at(proxy).await;
    assert!(matches!(retries(phone).await, Error::Unreachable(_)));
}

#[tokio::test]
async fn retry_after_of_a_refused_upgrade_is_respected() {
    async fn busy(stream: TcpStream) {
        let body = r#"{"result":"KO","errno":20,"error":"Slow down","retry_after":3600}"#;
        let length = body.len();
        let head = "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json";
        answer(stream, &format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}")).await;
    }
    let (phone, _task) = phone_at(busy).await;
    let reason = retries(phone).await;
    assert_eq!(reason.retry_after(), Some(std::time::Duration::from_hours(1)));
}

#[tokio::test]
async fn bytes_that_are_no_http_and_silence_are_retried() {
    async fn noise(stream: TcpStream) {
        answer(stream, "\u{0}\u{1}\u{2} nonsense\r\n\r\n").await;
    }
    async fn silence(stream: TcpStream) {
        std::future::pending::<()>().await;
        drop(stream);
    }
    let (phone, _task) = phone_at(noise).await;
    retries(phone).await;
    let (phone, _task) = phone_at(silence).await;
    assert_eq!(retries(phone).await, Error::TimedOut);
}

#[tokio::test]
async fn a_frame_without_an_end_is_not_read() {
    async fn endless(stream: TcpStream) {
        let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
        // The header of a text frame of 2^62 bytes.
        let head = [0x81, 127, 0x40, 0, 0, 0, 0, 0, 0, 0];
        let _ = socket.get_mut().write_all(&head).await;
        while let Some(Ok(_)) = socket.next().await {}
    }
    let (phone, _task) = phone_at(endless).await;
    retries(phone).await;
}

#[tokio::test]
async fn binary_frames_and_frames_of_a_newer_server_are_skipped() {
    async fn newer(stream: TcpStream) {
        let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
        let _ = socket.send(Message::Binary(Bytes::from_static(b"\0"))).await;
        let _ = socket.send(Message::text(r#"{"weather":{"rain":true}}"#)).await;
        let _ = socket.next().await;
        let _ = socket.send(Message::text(r#"{"result":"OK","id":1,"new":[]}"#)).await;
        while let Some(Ok(_)) = socket.next().await {}
    }
    let (phone, _task) = phone_at(newer).await;
    phone.wait_until_confirmed().await;
    assert_eq!(phone.channel.state(), ConnectionState::Connected);
}
