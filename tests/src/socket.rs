//! A WebSocket client that a test drives frame by frame.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use presence_protocol::app::SUBPROTOCOL;
use presence_protocol::{CloseCode, Errno, Puid};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as Code;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::fixtures::{Application, email};
use crate::{CertificateAuthority, FaultProxy, Server, TIMEOUT};

/// The upgrade request of a socket: its path, its headers and its route.
#[derive(Debug, Clone)]
pub struct SocketRequest {
    path: String,
    headers: Vec<(&'static str, String)>,
    through: Option<SocketAddr>,
    receive_buffer: Option<u32>,
}

impl SocketRequest {
    /// The Device Presence Channel.
    pub fn device() -> Self {
        Self::to("/presence")
    }

    /// The AppService Presence Channel of an Application, as in 2013.
    pub fn app(application: &Application) -> Self {
        Self::to(&format!("/myapps/{}", application.appid))
    }

    /// Any path, with or without a query.
    pub fn to(path: &str) -> Self {
        Self { path: path.to_owned(), headers: Vec::new(), through: None, receive_buffer: None }
    }

    /// Asks for `presence.v1`.
    #[must_use]
    pub fn v1(self) -> Self {
        self.header("sec-websocket-protocol", SUBPROTOCOL)
    }

    /// With a credential in the upgrade request.
    #[must_use]
    pub fn bearer(self, credential: &str) -> Self {
        self.header("authorization", &format!("Bearer {credential}"))
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// With a query.
    #[must_use]
    pub fn query(mut self, query: &str) -> Self {
        self.path = format!("{}?{query}", self.path);
        self
    }

    /// Through a wire that can be cut.
    #[must_use]
    pub fn through(self, fault_proxy: &FaultProxy) -> Self {
        Self { through: Some(fault_proxy.address()), ..self }
    }

    /// With a small receive buffer, so that a client that does not read is felt early.
    #[must_use]
    pub fn small_receive_buffer(self) -> Self {
        Self { receive_buffer: Some(4096), ..self }
    }

    fn request(&self, address: SocketAddr) -> Request {
        let mut request = format!("ws://{address}{}", self.path).into_client_request().unwrap();
        for (name, value) in &self.headers {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().append(HeaderName::from_static(name), value);
        }
        request
    }
}

/// Plain or by TLS.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug {}

impl<W: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug> Wire for W {}

async fn secured(stream: TcpStream, authority: &CertificateAuthority) -> TlsStream<TcpStream> {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let greeting = TlsConnector::from(authority.client()).connect(name, stream);
    let open_authenticated = timeout(TIMEOUT, greeting).await;
    open_authenticated.unwrap_or_else(|_| panic!("the TLS handshake does not end")).unwrap()
}

/// An upgrade that was refused: the HTTP status and the body.
#[derive(Debug, Clone, PartialEq)]
pub struct RejectedUpgrade {
    /// The HTTP status.
    pub status: u16,
    /// The body as JSON; `null` where it is none.
    pub body: Value,
}

impl RejectedUpgrade {
    /// Makes sure that it is the one error object with this errno, and the HTTP status that belongs
    /// to it.
    #[track_caller]
    pub fn assert_error(&self, errno: Errno) {
        assert_eq!(self.status, errno.http_status(), "{}", self.body);
        assert_ko(&self.body, errno);
    }
}

/// The end of a socket, as its client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketEnd {
    /// With a close frame that bore this code, or none.
    Closed(Option<u16>),
    /// Without a close frame.
    Lost,
}

/// An open socket. Pings are answered whenever it is read. Dropping it cuts it without a good-bye.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<Box<dyn Wire>>,
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
    /// The frames received so far, for the message of a failing test.
    heard: Vec<String>,
    marks: u64,
}

impl Socket {
    /// Opens a socket.
    pub async fn open(server: &Server, way: SocketRequest) -> Self {
        match Self::try_open(server, way).await {
            Ok(socket) => socket,
            Err(refused) => panic!("the upgrade was refused: {} {}", refused.status, refused.body),
        }
    }

    /// Opens a socket where the server may refuse the upgrade.
    pub async fn try_open(server: &Server, way: SocketRequest) -> Result<Self, RejectedUpgrade> {
        let address = way.through.unwrap_or(server.address());
        let tcp = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = way.receive_buffer {
            tcp.set_recv_buffer_size(bytes).unwrap();
        }
        let stream = tcp.connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let stream: Box<dyn Wire> = match server.tls() {
            Some(authority) => Box::new(secured(stream, authority).await),
            None => Box::new(stream),
        };
        let opening = timeout(TIMEOUT, client_async(way.request(address), stream)).await;
        match opening.unwrap_or_else(|_| panic!("the upgrade was not answered")) {
            Ok((stream, response)) => Ok(Self::new(stream, &response)),
            Err(Error::Http(response)) => Err(RejectedUpgrade {
                status: response.status().as_u16(),
                body: serde_json::from_slice(response.body().as_deref().unwrap_or_default())
                    .unwrap_or(Value::Null),
            }),
            Err(error) => panic!("the upgrade failed: {error}"),
        }
    }

    /// Opens a Device Presence Channel, and says nothing yet.
    pub async fn device(server: &Server) -> Self {
        Self::open(server, SocketRequest::device()).await
    }

    /// A device of somebody that is known and has reported a status, with its OK heard.
    pub async fn device_of(server: &Server, name: &str, device: &str, status: &str) -> Self {
        let hello = json!({"device": device, "status": status});
        Self::open_authenticated(server, SocketRequest::device(), name, hello).await
    }

    /// The same, by a way and with a first frame of one's own, to which the assertion is added.
    pub async fn open_authenticated(
        server: &Server,
        way: SocketRequest,
        name: &str,
        mut hello: Value,
    ) -> Self {
        let mut socket = Self::open(server, way).await;
        hello["email"] = email(name).into();
        hello["assertion"] = server.assertion(name).await.into();
        socket.send(hello).await;
        socket.expect_ok().await;
        socket
    }

    /// An AppService's socket that is authenticated, with the OK heard and nothing else.
    pub async fn app(server: &Server, application: &Application, way: SocketRequest) -> Self {
        Self::app_with(server, application, way, json!({})).await
    }

    /// The same with further fields of the `auth`, such as `cursor` and `receipts`.
    pub async fn app_with(
        server: &Server,
        application: &Application,
        way: SocketRequest,
        mut auth: Value,
    ) -> Self {
        let mut socket = Self::open(server, way).await;
        auth["action"] = "auth".into();
        auth["token"] = application.api_key.clone().into();
        socket.send(auth).await;
        assert_eq!(socket.receive().await, json!({"action": "auth", "result": "OK"}));
        socket
    }

    /// An AppService's socket in `presence.v1`, with its first snapshot, which must be a single
    /// page.
    pub async fn stream(server: &Server, application: &Application) -> (Self, Value) {
        let mut socket = Self::app(server, application, SocketRequest::app(application).v1()).await;
        let snapshot = socket.receive().await;
        assert_eq!(snapshot["snapshot"], true, "{snapshot}");
        assert_eq!(snapshot["more"], Value::Null, "{snapshot}");
        (socket, snapshot)
    }

    fn new(stream: WebSocketStream<Box<dyn Wire>>, response: &Response) -> Self {
        let subprotocol = response.headers().get("sec-websocket-protocol");
        let subprotocol = subprotocol.map(|value| value.to_str().unwrap().to_owned());
        Self { stream, subprotocol, heard: Vec::new(), marks: 0 }
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

    /// Sends many frames, and only then lets them go.
    pub async fn send_all(&mut self, frames: impl IntoIterator<Item = Value>) {
        for frame in frames {
            self.stream.feed(Message::text(frame.to_string())).await.unwrap();
        }
        self.stream.flush().await.unwrap();
    }

    /// Writes bytes past the WebSocket, such as a frame that no library would make.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        let wire = self.stream.get_mut();
        wire.write_all(bytes).await.unwrap();
        wire.flush().await.unwrap();
    }

    async fn send_message(&mut self, message: Message) {
        let sent = self.stream.send(message).await;
        sent.unwrap_or_else(|error| panic!("cannot send: {error}; heard so far: {:?}", self.heard));
    }

    /// The next text frame, as it stands.
    pub async fn receive_text(&mut self) -> String {
        match self.next_within(TIMEOUT).await {
            Ok(text) => text,
            Err(ended) => panic!("a frame was awaited: {ended:?}; heard so far: {:?}", self.heard),
        }
    }

    /// The next frame.
    pub async fn receive(&mut self) -> Value {
        let text = self.receive_text().await;
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
    }

    /// The first frame that is what was asked for; those before it are thrown away.
    pub async fn receive_until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.receive().await;
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// Makes sure that the next frame is exactly `{"result":"OK"}`.
    pub async fn expect_ok(&mut self) {
        assert_eq!(self.receive_text().await, r#"{"result":"OK"}"#);
    }

    /// Makes sure that the next frame is a refusal with this errno, and gives it.
    pub async fn expect_error(&mut self, errno: Errno) -> Value {
        let frame = self.receive().await;
        assert_ko(&frame, errno);
        frame
    }

    /// Sends a frame and gives the next that is heard.
    pub async fn ask(&mut self, frame: Value) -> Value {
        self.send(frame).await;
        self.receive().await
    }

    /// Reports a status and hears the OK.
    pub async fn report(&mut self, status: &str) {
        self.send(json!({"status": status})).await;
        self.expect_ok().await;
    }

    /// Makes sure that a device's socket has nothing more to say now: a frame is sent, and its
    /// reply is the next that is heard. An acknowledgement of nothing serves, since it changes
    /// nothing and counts against no rate.
    pub async fn expect_no_frame(&mut self) {
        self.marks += 1;
        let mark = format!("mark-{}", self.marks);
        self.send(json!({"type": "ack", "ids": [], "id": mark})).await;
        assert_eq!(self.receive().await, json!({"result": "OK", "id": mark}));
    }

    /// The same for an AppService's socket. What the server was told on another socket, and has
    /// answered there, has gone out before this reply.
    pub async fn expect_no_stream_frame(&mut self) {
        let passed = self.frames_until_now().await;
        assert!(passed.is_empty(), "nothing was awaited: {passed:?}");
    }

    /// All frames of an AppService's socket up to now.
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

    /// The next update of an AppService's socket, in either form. One that comes in a batch must
    /// come alone.
    pub async fn update(&mut self) -> Value {
        let frame = self.receive().await;
        match frame["presence"].as_array().map(Vec::as_slice) {
            None if frame["uid"].is_string() => frame,
            Some([update]) => update.clone(),
            Some(_) | None => panic!("one update was awaited, not {frame}"),
        }
    }

    /// Makes sure that the next update says this of somebody.
    pub async fn sees(&mut self, uid: Puid, status: &str) -> Value {
        let update = self.update().await;
        let said = (update["uid"].as_str(), update["status"].as_str());
        assert_eq!(said, (Some(uid.to_string().as_str()), Some(status)), "{update}");
        update
    }

    /// Waits until the server has ended this socket; frames on the way are thrown away.
    pub async fn ended(&mut self) -> SocketEnd {
        loop {
            if let Err(ended) = self.next_within(2 * TIMEOUT).await {
                return ended;
            }
        }
    }

    /// Makes sure that the server closes this socket with a code.
    pub async fn expect_close(&mut self, code: CloseCode) {
        let ended = self.ended().await;
        assert_eq!(ended, SocketEnd::Closed(Some(code.number())), "heard: {:?}", self.heard);
    }

    /// Makes sure that after the good-bye the connection itself ends in good order, by TLS too.
    pub async fn expect_clean_end(&mut self) {
        let next = timeout(TIMEOUT, self.stream.next()).await;
        match next.unwrap_or_else(|_| panic!("the connection does not end")) {
            None | Some(Err(Error::ConnectionClosed)) => {}
            other => panic!("the connection did not end in good order: {other:?}"),
        }
    }

    /// The code with which the server closed, or `None` for a close frame without one or a lost
    /// connection.
    pub async fn closed(&mut self) -> Option<u16> {
        match self.ended().await {
            SocketEnd::Closed(code) => code,
            SocketEnd::Lost => None,
        }
    }

    /// Says good-bye with a code, or without one as a browser does.
    pub async fn send_close(&mut self, code: Option<u16>) {
        let frame = code.map(|code| CloseFrame { code: Code::from(code), reason: "".into() });
        // After the server's own good-bye there is nothing to say.
        let _ = self.stream.close(frame).await;
    }

    /// Says good-bye and waits for the answer.
    pub async fn close(mut self, code: Option<u16>) {
        self.send_close(code).await;
        while let Some(Ok(_)) = self.stream.next().await {}
    }

    /// Returns the next text frame or the end within a time, or `None`. To check that something
    /// does *not* happen prefer [`Socket::expect_no_frame`], which waits for no time.
    pub async fn within(&mut self, time: Duration) -> Option<Result<Value, SocketEnd>> {
        let text = timeout(time, self.next()).await.ok()?;
        Some(text.map(|text| serde_json::from_str(&text).unwrap()))
    }

    async fn next_within(&mut self, time: Duration) -> Result<String, SocketEnd> {
        let next = timeout(time, self.next()).await;
        next.unwrap_or_else(|_| panic!("nothing came in {time:?}; heard so far: {:?}", self.heard))
    }

    async fn next(&mut self) -> Result<String, SocketEnd> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    self.heard.push(text.to_string());
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

/// The uid in an update.
pub fn uid_of(update: &Value) -> Puid {
    update["uid"]
        .as_str()
        .and_then(|uid| uid.parse().ok())
        .unwrap_or_else(|| panic!("no uid in {update}"))
}

#[track_caller]
fn assert_ko(frame: &Value, errno: Errno) {
    let said = (frame["result"].as_str(), frame["errno"].as_u64());
    assert_eq!(said, (Some("KO"), Some(u64::from(errno.number()))), "{frame}");
    assert!(frame["error"].is_string(), "{frame}");
}
