//! The baseline: the smallest servers on bare tokio-tungstenite that do what is compared, with read
//! buffers of 4 KiB. They authenticate no user, check nothing and store nothing. They run in a
//! process of their own, so that their CPU time is measured separately.
//!
//! - `/ack` answers every text.
//! - `/publish` answers every text, and sends an update to every socket of `/app`.
//! - `/app` receives updates; all that are queued for a socket go out in one flush.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::{ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use presence_tests::child_command;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::Child;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};
use tokio_util::task::TaskTracker;

use crate::system::{Half, run_on};

const OK: Utf8Bytes = Utf8Bytes::from_static(r#"{"result":"OK"}"#);
/// An update of the same length as those of the real server.
const UPDATE: Utf8Bytes = Utf8Bytes::from_static(concat!(
    r#"{"presence":[{"uid":"0123456789abcdef0123456789abcdef","status":"unavailable","version":1873497444986126337,"#,
    r#""since":1786000000000}],"cursor":"0123456789abcdef1"}"#
));

type Socket = WebSocketStream<TcpStream>;

/// The queue of a socket of `/app`.
#[derive(Default)]
struct Outbox {
    waiting: Mutex<VecDeque<Utf8Bytes>>,
    waker: AtomicWaker,
}

type Outboxes = Mutex<Vec<Arc<Outbox>>>;

/// Serves until the process is killed.
pub(crate) fn serve() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(4096).unwrap();
        println!("{}", listener.local_addr().unwrap());
        let (outboxes, tasks) = (Arc::new(Outboxes::default()), TaskTracker::new());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tasks.spawn(serve_connection(stream, Arc::clone(&outboxes)));
        }
    })
}

async fn serve_connection(stream: TcpStream, outboxes: Arc<Outboxes>) {
    let mut path = String::new();
    #[expect(clippy::result_large_err, reason = "the library asks for this type")]
    let record_path = |request: &Request, response: Response| {
        request.uri().path().clone_into(&mut path);
        Ok(response)
    };
    let config = WebSocketConfig::default().read_buffer_size(4 << 10).write_buffer_size(4 << 10);
    let Ok(mut socket) = accept_hdr_async_with_config(stream, record_path, Some(config)).await
    else {
        return;
    };
    match path.as_str() {
        "/publish" => publish(&mut socket, &outboxes).await,
        "/app" => {
            let outbox = Arc::new(Outbox::default());
            outboxes.lock().unwrap().push(Arc::clone(&outbox));
            std::future::poll_fn(|context| send_updates(&mut socket, &outbox, context)).await;
            outboxes.lock().unwrap().retain(|other| !Arc::ptr_eq(other, &outbox));
        }
        _ => acknowledge(&mut socket).await,
    }
}

async fn acknowledge(socket: &mut Socket) {
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() && socket.send(Message::Text(OK)).await.is_err() {
            return;
        }
    }
}

async fn publish(socket: &mut Socket, outboxes: &Outboxes) {
    while let Some(Ok(message)) = socket.next().await {
        if !message.is_text() {
            continue;
        }
        for outbox in &*outboxes.lock().unwrap() {
            outbox.waiting.lock().unwrap().push_back(UPDATE);
            outbox.waker.wake();
        }
        if socket.send(Message::Text(OK)).await.is_err() {
            return;
        }
    }
}

fn send_updates(socket: &mut Socket, outbox: &Outbox, context: &mut Context<'_>) -> Poll<()> {
    outbox.waker.register(context.waker());
    let mut socket = Pin::new(socket);
    for update in std::mem::take(&mut *outbox.waiting.lock().unwrap()) {
        if socket.as_mut().start_send(Message::Text(update)).is_err() {
            return Poll::Ready(());
        }
    }
    if matches!(socket.as_mut().poll_flush(context), Poll::Ready(Err(_))) {
        return Poll::Ready(());
    }
    loop {
        match socket.as_mut().poll_next(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
        }
    }
}

/// A running baseline server. Dropping it kills the process.
pub(crate) struct Baseline {
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    _child: Child,
}

impl Baseline {
    pub(crate) async fn start() -> Self {
        run_on(Half::Server);
        let mut child = child_command(std::env::current_exe().unwrap())
            .arg("baseline")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        run_on(Half::Generator);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.next_line().await.unwrap().unwrap().parse().unwrap();
        Self { address, pid: child.id().unwrap(), _child: child }
    }
}
