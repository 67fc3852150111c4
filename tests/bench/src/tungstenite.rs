//! The smallest servers on bare tokio-tungstenite that do what the baseline does, on a runtime with
//! several threads and with read buffers of 4 KiB: what a library gives to everybody.

use std::collections::VecDeque;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use crate::{baseline, child_server};

const OK: Utf8Bytes = Utf8Bytes::from_static(baseline::OK);
const UPDATE: Utf8Bytes = Utf8Bytes::from_static(baseline::UPDATE);

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
    let outboxes = Arc::new(Outboxes::default());
    let serve = |stream| serve_connection(stream, Arc::clone(&outboxes));
    runtime.block_on(child_server::serve_each(serve));
    ExitCode::SUCCESS
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
