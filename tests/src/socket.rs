//! A WebSocket client that a test drives frame by frame.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use presence_protocol::{CloseCode, Errno, Puid};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as Code;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::fixtures::{Application, email};
use crate::socket_request::{ByteStream, RejectedUpgrade, SocketRequest, assert_error_frame};
use crate::{Server, TIMEOUT};

/// The end of a socket, as its client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketEnd {
    /// The server sent a close frame, with this code or with none.
    Closed(Option<u16>),
    /// The connection ended without a close frame.
    Lost,
}

/// An open socket. It answers pings whenever it is read. Dropping it cuts the connection without a
/// close frame.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<Box<dyn ByteStream>>,
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
    /// The frames received so far, for the message of a failing test.
    received: Vec<String>,
    marks: u64,
}

impl Socket {
    /// Opens a socket.
    pub async fn open(server: &Server, upgrade: SocketRequest) -> Self {
        match Self::try_open(server, upgrade).await {
            Ok(socket) => socket,
            Err(refused) => panic!("the upgrade was refused: {} {}", refused.status, refused.body),
        }
    }

    /// Opens a socket, and returns a refused upgrade as an error.
    pub async fn try_open(
        server: &Server,
        upgrade: SocketRequest,
    ) -> Result<Self, RejectedUpgrade> {
        let (stream, response) = upgrade.open(server).await?;
        Ok(Self::new(stream, &response))
    }

    /// Opens a Device Presence Channel, and sends nothing.
    pub async fn device(server: &Server) -> Self {
        Self::open(server, SocketRequest::device()).await
    }

    /// Opens an authenticated socket of a device that has reported a status, and receives the OK.
    pub async fn device_of(server: &Server, name: &str, device: &str, status: &str) -> Self {
        let first_frame = json!({"device": device, "status": status});
        Self::open_authenticated(server, SocketRequest::device(), name, first_frame).await
    }

    /// Opens such a socket with the given request and first frame, to which an assertion is added.
    pub async fn open_authenticated(
        server: &Server,
        upgrade: SocketRequest,
        name: &str,
        mut first_frame: Value,
    ) -> Self {
        let mut socket = Self::open(server, upgrade).await;
        first_frame["email"] = email(name).into();
        first_frame["assertion"] = server.assertion(name).await.into();
        socket.send(first_frame).await;
        socket.expect_ok().await;
        socket
    }

    /// Opens an authenticated socket of an AppService, and receives only the OK.
    pub async fn app(server: &Server, application: &Application, upgrade: SocketRequest) -> Self {
        Self::app_with(server, application, upgrade, json!({})).await
    }

    /// Opens such a socket with further fields of the `auth` frame, such as `cursor` and
    /// `receipts`.
    pub async fn app_with(
        server: &Server,
        application: &Application,
        upgrade: SocketRequest,
        mut auth: Value,
    ) -> Self {
        let mut socket = Self::open(server, upgrade).await;
        auth["action"] = "auth".into();
        auth["token"] = application.api_key.clone().into();
        socket.send(auth).await;
        assert_eq!(socket.receive().await, json!({"action": "auth", "result": "OK"}));
        socket
    }

    /// Opens an AppService's socket with `presence.v1`, and returns it with its snapshot, which
    /// must have a single page.
    pub async fn stream(server: &Server, application: &Application) -> (Self, Value) {
        let mut socket = Self::app(server, application, SocketRequest::app(application).v1()).await;
        let snapshot = socket.receive().await;
        assert_eq!(snapshot["snapshot"], true, "{snapshot}");
        assert_eq!(snapshot["more"], Value::Null, "{snapshot}");
        (socket, snapshot)
    }

    /// Opens such a socket that also gets receipts, and receives the snapshot.
    pub async fn stream_with_receipts(server: &Server, application: &Application) -> Self {
        let (request, auth) = (SocketRequest::app(application).v1(), json!({"receipts": true}));
        let mut socket = Self::app_with(server, application, request, auth).await;
        assert_eq!(socket.receive().await["snapshot"], true);
        socket
    }

    fn new(stream: WebSocketStream<Box<dyn ByteStream>>, response: &Response) -> Self {
        let subprotocol = response.headers().get("sec-websocket-protocol");
        let subprotocol = subprotocol.map(|value| value.to_str().unwrap().to_owned());
        Self { stream, subprotocol, received: Vec::new(), marks: 0 }
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: Value) {
        self.send_raw(&frame.to_string()).await;
    }

    /// Sends a text frame as it is.
    pub async fn send_raw(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    /// Sends a binary frame.
    pub async fn send_binary(&mut self, bytes: &[u8]) {
        self.send_message(Message::Binary(Bytes::copy_from_slice(bytes))).await;
    }

    /// Sends a ping.
    pub async fn send_ping(&mut self) {
        self.send_message(Message::Ping(Bytes::new())).await;
    }

    /// Queues all frames, and then flushes them together.
    pub async fn send_all(&mut self, frames: impl IntoIterator<Item = Value>) {
        for frame in frames {
            self.stream.feed(Message::text(frame.to_string())).await.unwrap();
        }
        self.stream.flush().await.unwrap();
    }

    /// Writes raw bytes into the connection, such as a frame that no library would make.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        let wire = self.stream.get_mut();
        wire.write_all(bytes).await.unwrap();
        wire.flush().await.unwrap();
    }

    async fn send_message(&mut self, message: Message) {
        let sent = self.stream.send(message).await;
        sent.unwrap_or_else(|error| {
            panic!("cannot send: {error}; received so far: {:?}", self.received)
        });
    }

    /// Returns the next text frame.
    pub async fn receive_text(&mut self) -> String {
        match self.next_within(TIMEOUT).await {
            Ok(text) => text,
            Err(ended) => {
                panic!("no frame arrived: {ended:?}; received so far: {:?}", self.received)
            }
        }
    }

    /// Returns the next frame.
    pub async fn receive(&mut self) -> Value {
        let text = self.receive_text().await;
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
    }

    /// Returns the first frame that matches, and discards those before it.
    pub async fn receive_until(&mut self, expected: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.receive().await;
            if expected(&frame) {
                return frame;
            }
        }
    }

    /// Checks that the next frame is exactly `{"result":"OK"}`.
    pub async fn expect_ok(&mut self) {
        assert_eq!(self.receive_text().await, r#"{"result":"OK"}"#);
    }

    /// Checks that the next frame is an error with this errno, and returns the frame.
    pub async fn expect_error(&mut self, errno: Errno) -> Value {
        let frame = self.receive().await;
        assert_error_frame(&frame, errno);
        frame
    }

    /// Sends a frame, and returns the next frame that arrives.
    pub async fn ask(&mut self, frame: Value) -> Value {
        self.send(frame).await;
        self.receive().await
    }

    /// Reports a status, and receives the OK.
    pub async fn report(&mut self, status: &str) {
        self.send(json!({"status": status})).await;
        self.expect_ok().await;
    }

    /// Checks that no frame is pending on a device's socket: sends an acknowledgement without ids,
    /// which has no effect and does not count against the rate, and expects its reply as the next
    /// frame.
    pub async fn expect_no_frame(&mut self) {
        self.marks += 1;
        let mark = format!("mark-{}", self.marks);
        self.send(json!({"type": "ack", "ids": [], "id": mark})).await;
        assert_eq!(self.receive().await, json!({"result": "OK", "id": mark}));
    }

    /// Checks that no frame is pending on an AppService's socket. Effects of frames that the server
    /// has answered on other sockets are sent before this reply.
    pub async fn expect_no_stream_frame(&mut self) {
        let passed = self.frames_until_now().await;
        assert!(passed.is_empty(), "unexpected frames: {passed:?}");
    }

    /// Returns all frames that an AppService's socket has received up to now.
    pub async fn frames_until_now(&mut self) -> Vec<Value> {
        self.marks += 1;
        let mark = format!("mark-{}", self.marks);
        self.send(json!({"action": "query", "uids": [], "id": mark})).await;
        let mut passed = Vec::new();
        loop {
            let frame = self.receive().await;
            if frame["id"] == mark.as_str() {
                return passed;
            }
            passed.push(frame);
        }
    }

    /// Returns the next update of an AppService's socket, with or without the subprotocol. A batch
    /// must contain exactly one update.
    pub async fn update(&mut self) -> Value {
        let frame = self.receive().await;
        match frame["presence"].as_array().map(Vec::as_slice) {
            None if frame["uid"].is_string() => frame,
            Some([update]) => update.clone(),
            Some(_) | None => panic!("one update was expected, not {frame}"),
        }
    }

    /// Checks that the next update reports this status of a user, and returns the update.
    pub async fn expect_status(&mut self, uid: Puid, status: &str) -> Value {
        let update = self.update().await;
        let actual = (update["uid"].as_str(), update["status"].as_str());
        assert_eq!(actual, (Some(uid.to_string().as_str()), Some(status)), "{update}");
        update
    }

    /// Waits until the server has ended this socket, and discards frames before that.
    pub async fn ended(&mut self) -> SocketEnd {
        loop {
            if let Err(ended) = self.next_within(2 * TIMEOUT).await {
                return ended;
            }
        }
    }

    /// Checks that the server closes this socket with a code.
    pub async fn expect_close(&mut self, code: CloseCode) {
        let ended = self.ended().await;
        assert_eq!(ended, SocketEnd::Closed(Some(code.number())), "received: {:?}", self.received);
    }

    /// Checks that the connection itself ends cleanly after the close frame, also with TLS.
    pub async fn expect_clean_end(&mut self) {
        let next = timeout(TIMEOUT, self.stream.next()).await;
        match next.unwrap_or_else(|_| panic!("the connection does not end")) {
            None | Some(Err(Error::ConnectionClosed)) => {}
            other => panic!("the connection did not end cleanly: {other:?}"),
        }
    }

    /// Returns the close code of the server, or `None` if there is no code or the connection was
    /// lost.
    pub async fn closed(&mut self) -> Option<u16> {
        match self.ended().await {
            SocketEnd::Closed(code) => code,
            SocketEnd::Lost => None,
        }
    }

    /// Sends a close frame with a code, or without one as a browser does.
    pub async fn send_close(&mut self, code: Option<u16>) {
        let frame = code.map(|code| CloseFrame { code: Code::from(code), reason: "".into() });
        // After a close frame of the server, this send fails.
        let _ = self.stream.close(frame).await;
    }

    /// Closes the socket, and waits for the reply.
    pub async fn close(mut self, code: Option<u16>) {
        self.send_close(code).await;
        while let Some(Ok(_)) = self.stream.next().await {}
    }

    /// Returns the next text frame or the end of the socket, or `None` after the given time. Prefer
    /// [`Socket::expect_no_frame`] to check that nothing arrives, because it does not wait.
    pub async fn within(&mut self, time: Duration) -> Option<Result<Value, SocketEnd>> {
        let text = timeout(time, self.next()).await.ok()?;
        Some(text.map(|text| serde_json::from_str(&text).unwrap()))
    }

    async fn next_within(&mut self, time: Duration) -> Result<String, SocketEnd> {
        let next = timeout(time, self.next()).await;
        next.unwrap_or_else(|_| {
            panic!("nothing arrived in {time:?}; received so far: {:?}", self.received)
        })
    }

    async fn next(&mut self) -> Result<String, SocketEnd> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    self.received.push(text.to_string());
                    return Ok(text.to_string());
                }
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map(|frame| u16::from(frame.code));
                    return Err(SocketEnd::Closed(code));
                }
                Some(Ok(Message::Binary(_))) => panic!("the server sent a binary frame"),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(_)) | None => return Err(SocketEnd::Lost),
            }
        }
    }
}

/// Returns the PUID of an update.
pub fn uid_of(update: &Value) -> Puid {
    update["uid"]
        .as_str()
        .and_then(|uid| uid.parse().ok())
        .unwrap_or_else(|| panic!("no uid in {update}"))
}
