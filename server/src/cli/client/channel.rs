//! An open channel: prints the frames of the server, sends lines of the user, and ends in order.

use std::io::{BufRead, ErrorKind, Read as _, Write as _};
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use presence_protocol::error::RawReply;
use presence_protocol::{ApiError, CloseCode};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Interval, interval, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::connection::{ClientSocket, describe};
use super::signals::end_request;
use crate::cli::output::{CommandError, failure, print_error};

/// The interval of pings. A server from which nothing has come for two of them is lost.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// The number of intervals without a byte after which the server is lost.
const MAX_SILENCE: u32 = 2;
/// The time limit of the server's answer to the end of the channel.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The maximum number of bytes of a line of standard input.
const MAX_LINE_BYTES: u64 = 16 << 10;

/// The lines of standard input, or none.
pub(super) type Lines = Option<mpsc::Receiver<String>>;

/// A line of the user as a frame, or the reason why it is none.
pub(super) type ToFrame = fn(&str) -> Result<String, String>;

enum ChannelEvent {
    EndRequested,
    /// A line; `None` at the end of the input.
    Line(Option<String>),
    Tick,
    Received(Option<Result<Message, Error>>),
}

/// Tells whether the channel goes on.
enum Next {
    Continue,
    /// The reader of standard output is gone, so nobody sees what comes.
    Close,
}

/// A channel that is followed.
struct FollowedChannel {
    socket: ClientSocket,
    to_frame: ToFrame,
    /// Set once the server has accepted the credential.
    is_accepted: bool,
    /// The number of pings since the last byte of the server.
    silence: u32,
    last_error: Option<ApiError>,
}

/// Follows a channel until the user ends it.
///
/// # Errors
///
/// One line with the reason, if the server refuses the credential or closes the channel, or if the
/// connection is lost.
pub(super) async fn follow(
    socket: ClientSocket,
    first: Option<String>,
    mut lines: Lines,
    to_frame: ToFrame,
) -> Result<(), CommandError> {
    let mut end = pin!(end_request()?);
    let mut ticks = interval(PING_INTERVAL);
    ticks.reset();
    let mut channel =
        FollowedChannel { socket, to_frame, is_accepted: false, silence: 0, last_error: None };
    if let Some(frame) = first {
        channel.send(Message::text(frame)).await?;
    }
    loop {
        let next = match channel.next_event(end.as_mut(), &mut ticks, &mut lines).await {
            ChannelEvent::EndRequested | ChannelEvent::Line(None) => Next::Close,
            ChannelEvent::Line(Some(line)) => channel.send_line(&line).await?,
            ChannelEvent::Tick => channel.ping().await?,
            ChannelEvent::Received(message) => tokio::select! {
                next = channel.handle(message) => next?,
                // Standard output may wait for its reader.
                () = end.as_mut() => Next::Close,
            },
        };
        if matches!(next, Next::Close) {
            channel.close().await;
            return Ok(());
        }
    }
}

impl FollowedChannel {
    async fn next_event(
        &mut self,
        end: Pin<&mut impl Future<Output = ()>>,
        ticks: &mut Interval,
        lines: &mut Lines,
    ) -> ChannelEvent {
        let line = async {
            match lines {
                Some(lines) => lines.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = end => ChannelEvent::EndRequested,
            message = self.socket.next() => ChannelEvent::Received(message),
            line = line => ChannelEvent::Line(line),
            _ = ticks.tick() => ChannelEvent::Tick,
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), CommandError> {
        self.socket.send(message).await.map_err(lost)
    }

    async fn send_line(&mut self, line: &str) -> Result<Next, CommandError> {
        match (self.to_frame)(line) {
            Ok(frame) => self.send(Message::text(frame)).await?,
            Err(problem) => print_error(&problem),
        }
        Ok(Next::Continue)
    }

    async fn ping(&mut self) -> Result<Next, CommandError> {
        if self.silence >= MAX_SILENCE {
            return Err(lost("nothing has come for a minute"));
        }
        self.silence += 1;
        self.send(Message::Ping(bytes::Bytes::new())).await?;
        Ok(Next::Continue)
    }

    async fn handle(
        &mut self,
        message: Option<Result<Message, Error>>,
    ) -> Result<Next, CommandError> {
        self.silence = 0;
        match message {
            Some(Ok(Message::Text(text))) => self.handle_frame(text.as_str()).await,
            Some(Ok(Message::Close(frame))) => Err(self.closed(frame.as_ref())),
            Some(Ok(
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_),
            )) => Ok(Next::Continue),
            Some(Err(error)) => Err(lost(error)),
            None => Err(lost("it ended without a reason")),
        }
    }

    async fn handle_frame(&mut self, text: &str) -> Result<Next, CommandError> {
        let reply = serde_json::from_str::<RawReply>(text).unwrap_or_default();
        match (reply.is_ok(), self.is_accepted) {
            (Some(false), false) => {
                let error = describe(&reply.into_refusal());
                return Err(failure(format!("the server refuses: {error}")));
            }
            (Some(false), true) => self.last_error = Some(reply.into_refusal()),
            (Some(true), _) => self.is_accepted = true,
            (None, _) => {}
        }
        let line = to_line(text);
        let printed = spawn_blocking(move || print_line(&line)).await.map_err(failure)?;
        match printed {
            Ok(()) => Ok(Next::Continue),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Next::Close),
            Err(error) => Err(failure(format!("standard output cannot be written: {error}"))),
        }
    }

    /// Describes the end of the channel by the server.
    fn closed(&self, frame: Option<&CloseFrame>) -> CommandError {
        let error = self.last_error.as_ref().map(describe);
        let after = error.map(|error| format!(", after {error}")).unwrap_or_default();
        let reason = frame.map(|frame| {
            let number = u16::from(frame.code);
            let meaning = CloseCode::from_number(number).map(CloseCode::meaning);
            format!(": {number} {}", meaning.unwrap_or_default().trim())
        });
        failure(format!("the server has closed the channel{}{after}", reason.unwrap_or_default()))
    }

    /// Closes the channel, so that the server does not wait for this client to come back.
    async fn close(mut self) {
        let normal = CloseCode::Normal;
        let frame = CloseFrame { code: normal.number().into(), reason: normal.reason().into() };
        let closing = async {
            if self.socket.close(Some(frame)).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        // A server that does not answer learns of the end from its connection.
        let _ = timeout(CLOSE_TIMEOUT, closing).await;
    }
}

fn lost(reason: impl std::fmt::Display) -> CommandError {
    failure(format!("the connection to the server is lost: {reason}"))
}

/// Returns a frame in one line: between the parts of JSON, control characters mean the same as
/// spaces.
fn to_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn print_line(line: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}").and_then(|()| output.flush())
}

/// Reads standard input in a thread of its own, since a read cannot be cancelled.
pub(super) fn standard_input() -> Result<Lines, CommandError> {
    let (sender, lines) = mpsc::channel(1);
    let thread = std::thread::Builder::new().name("input".to_owned());
    let reading = thread.spawn(move || {
        let mut input = std::io::stdin().lock();
        while let Some(line) = read_line(&mut input) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    reading.map_err(failure)?;
    Ok(Some(lines))
}

/// Returns the next line, or a part of a line that is longer than any frame; `None` at the end.
fn read_line(input: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    let read = input.take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
    read.is_ok_and(|bytes| bytes > 0).then(|| String::from_utf8_lossy(&line).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_one_line() {
        assert_eq!(to_line("{\"a\":\r\n\u{1b}1}"), "{\"a\":   1}");
    }

    #[test]
    fn input_is_read_in_lines_of_a_limited_length() {
        let text = format!("online\n  offline \n{}\n", "x".repeat(20_000));
        let mut input = text.as_bytes();
        let mut lines = Vec::new();
        while let Some(line) = read_line(&mut input) {
            lines.push(line);
        }
        let lengths: Vec<usize> = lines.iter().map(String::len).collect();
        assert_eq!((lines[0].as_str(), lines[1].as_str()), ("online", "offline"));
        assert_eq!(lengths[2..], [16 << 10, 20_000 - (16 << 10)]);
    }
}
