//! The baseline: the fastest servers that we know for what is compared. They authenticate no user,
//! check nothing and store nothing.
//!
//! - `/ack` answers every text.
//! - `/publish` answers every text, and sends an update to every socket of `/app`.
//! - `/app` receives updates; all that wait for a socket go out in one write.
//!
//! They run on one thread, with a codec of their own: all sockets are read into the same buffer, so
//! an idle one has none, and the frames that are sent were encoded in advance. A socket with an
//! update waits until all tasks that are ready have run, so that it is written once for all of
//! them.

use std::cell::RefCell;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, ready};

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::child_server;
use crate::wire::{END_OF_HEAD, server_frame};

/// The text of an answer.
pub(crate) const OK: &str = r#"{"result":"OK"}"#;
/// An update of the same length as those of the real server.
pub(crate) const UPDATE: &str = concat!(
    r#"{"presence":[{"uid":"0123456789abcdef0123456789abcdef","status":"unavailable","version":1873497444986126337,"#,
    r#""since":1786000000000}],"cursor":"0123456789abcdef1"}"#
);

static OK_FRAME: LazyLock<Vec<u8>> = LazyLock::new(|| server_frame(OK));
static UPDATE_FRAME: LazyLock<Vec<u8>> = LazyLock::new(|| server_frame(UPDATE));

/// The size of the buffer that all sockets are read into.
const BUFFER: usize = 16 << 10;

thread_local! {
    static RECEIVED: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER].into());
}

/// The updates that wait for a socket of `/app`.
#[derive(Default)]
struct UpdateCount {
    waiting: AtomicUsize,
    waker: AtomicWaker,
}

type UpdateCounts = Mutex<Vec<Arc<UpdateCount>>>;

/// Serves until the process is killed.
pub(crate) fn serve() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let counts = Arc::new(UpdateCounts::default());
    let serve = |stream| serve_connection(stream, Arc::clone(&counts));
    runtime.block_on(child_server::serve_each(serve));
    ExitCode::SUCCESS
}

/// Serves a connection until it ends.
async fn serve_connection(stream: TcpStream, counts: Arc<UpdateCounts>) -> Option<()> {
    let mut socket = BareSocket { stream, partial: Vec::new() };
    match socket.accept().await? {
        Path::Ack => socket.acknowledge(None).await,
        Path::Publish => socket.acknowledge(Some(&counts)).await,
        Path::App => {
            let count = Arc::new(UpdateCount::default());
            counts.lock().unwrap().push(Arc::clone(&count));
            socket.send_updates(&count).await;
            counts.lock().unwrap().retain(|other| !Arc::ptr_eq(other, &count));
            None
        }
    }
}

/// The path of a socket.
enum Path {
    Ack,
    Publish,
    App,
}

/// A WebSocket.
struct BareSocket {
    stream: TcpStream,
    /// The begin of a frame whose rest is still to come.
    partial: Vec<u8>,
}

impl BareSocket {
    /// Answers the request for a WebSocket. Returns `None` if the connection ends.
    async fn accept(&mut self) -> Option<Path> {
        let mut head = Vec::new();
        while !head.ends_with(END_OF_HEAD) {
            let read = self.stream.read_buf(&mut head).await.ok()?;
            (read > 0).then_some(())?;
        }
        let head = String::from_utf8(head).ok()?;
        let path = match head.split(' ').nth(1)? {
            "/publish" => Path::Publish,
            "/app" => Path::App,
            _ => Path::Ack,
        };
        let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: "))?;
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-accept: {}\r\n\r\n",
            derive_accept_key(key.as_bytes())
        );
        self.stream.write_all(answer.as_bytes()).await.ok()?;
        Some(path)
    }

    /// Answers each text, and publishes an update for it if there are counts.
    async fn acknowledge(&mut self, counts: Option<&UpdateCounts>) -> Option<()> {
        loop {
            for _ in 0..std::future::poll_fn(|context| self.poll_texts(context)).await? {
                counts.into_iter().for_each(publish);
                self.stream.write_all(&OK_FRAME).await.ok()?;
            }
        }
    }

    async fn send_updates(&mut self, count: &UpdateCount) -> Option<()> {
        let mut frames = Vec::new();
        loop {
            std::future::poll_fn(|context| self.poll_news(count, context)).await?;
            let mut is_woken = false;
            std::future::poll_fn(|context| {
                if std::mem::replace(&mut is_woken, true) {
                    return Poll::Ready(());
                }
                // The runtime polls a task that wakes itself after all others that are ready.
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            frames.clear();
            for _ in 0..count.waiting.swap(0, Ordering::Relaxed) {
                frames.extend_from_slice(&UPDATE_FRAME);
            }
            self.stream.write_all(&frames).await.ok()?;
        }
    }

    /// Waits for an update. `None` if the connection ends.
    fn poll_news(&mut self, count: &UpdateCount, context: &mut Context<'_>) -> Poll<Option<()>> {
        count.waker.register(context.waker());
        if count.waiting.load(Ordering::Relaxed) > 0 {
            return Poll::Ready(Some(()));
        }
        while ready!(self.poll_texts(context)).is_some() {}
        Poll::Ready(None)
    }

    /// Reads once, and returns the number of texts whose end has come. `None` if the connection
    /// ends.
    fn poll_texts(&mut self, context: &mut Context<'_>) -> Poll<Option<usize>> {
        let Self { stream, partial } = self;
        RECEIVED.with_borrow_mut(|buffer| {
            let mut read = ReadBuf::new(buffer);
            let is_read = ready!(Pin::new(stream).poll_read(context, &mut read)).is_ok();
            let received = read.filled();
            if !is_read || received.is_empty() {
                return Poll::Ready(None);
            }
            if partial.is_empty() {
                let (texts, end) = whole_texts(received);
                partial.extend_from_slice(&received[end..]);
                return Poll::Ready(Some(texts));
            }
            partial.extend_from_slice(received);
            let (texts, end) = whole_texts(partial);
            partial.drain(..end);
            Poll::Ready(Some(texts))
        })
    }
}

fn publish(counts: &UpdateCounts) {
    for count in &*counts.lock().unwrap() {
        if count.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            count.waker.wake();
        }
    }
}

/// Returns the number of whole texts of a client, and the end of the last one. Frames of 64 KiB and
/// more are not supported.
fn whole_texts(bytes: &[u8]) -> (usize, usize) {
    let (mut texts, mut end) = (0, 0);
    while let [first, second, rest @ ..] = &bytes[end..] {
        let (head, length) = match (second & 0x7f, rest) {
            (126, [high, low, ..]) => (8, usize::from(u16::from_be_bytes([*high, *low]))),
            (126, _) => break,
            (length, _) => (6, usize::from(length)),
        };
        if bytes.len() < end + head + length {
            break;
        }
        end += head + length;
        texts += usize::from(first & 0x0f == 1);
    }
    (texts, end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame;

    #[test]
    fn texts_are_counted_only_when_they_are_whole() {
        for length in [0, 17, 125, 126, 4_000] {
            let one = frame(&"x".repeat(length));
            let two = [one.clone(), one.clone()].concat();
            assert_eq!(whole_texts(&two), (2, two.len()));
            assert_eq!(whole_texts(&two[..two.len() - 1]), (1, one.len()));
            assert_eq!(whole_texts(&one[..one.len() - 1]), (0, 0));
        }
    }
}
