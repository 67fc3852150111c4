//! The contract between the socket loop and the protocol of a channel, which does no I/O.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use presence_protocol::{AppId, CloseCode};

use crate::meter::Channel;

/// The state of the protocol on one socket: frames and time come in, frames go out.
pub(crate) trait ProtocolState: Send {
    /// The channel of the socket.
    const CHANNEL: Channel;

    /// Set if a socket that is woken waits until the other tasks that are ready have run, so that
    /// the news of all of them are written at once.
    const GATHERS_NEWS: bool;

    /// Returns true if another frame can be handled now.
    fn can_handle_frame(&self) -> bool;

    /// Handles a text frame. Called only if [`Self::can_handle_frame`] returns true.
    fn handle_frame(&mut self, text: &str);

    /// Handles a ping or pong of the peer, which has no reply of the protocol but costs a frame.
    /// Called only if [`Self::can_handle_frame`] returns true.
    fn handle_control_frame(&mut self);

    /// Handles a wake-up of the socket: there may be news to send.
    fn handle_wake(&mut self);

    /// Polls the work that frames have started.
    fn poll_work(&mut self, context: &mut Context<'_>);

    /// Drops the work that frames have started. The socket is closing; nothing more is sent, and
    /// the work may hold what others wait for.
    fn cancel_pending(&mut self);

    /// Returns the next frame to send, if there is one.
    fn poll_outgoing(&mut self) -> Option<Outgoing>;

    /// Handles that all frames so far have been passed to the operating system.
    fn handle_flushed(&mut self);

    /// Handles deadlines that are over. Returns the time until the next one, `None` if there is
    /// none.
    fn handle_time(&mut self) -> Option<Duration>;

    /// Returns whether the peer is authenticated.
    fn authentication(&self) -> Authentication;

    /// Ends the protocol. `clean` is true if the peer closed the socket in good order. Returns work
    /// that is to be done before the socket gives up its place, if there is any.
    fn end(self, clean: bool) -> Option<EndWork>;
}

/// The work at the end of a socket.
pub(crate) type EndWork = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The progress of the peer's authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authentication {
    /// The peer is not authenticated; this code closes the socket if its time is over.
    Missing(CloseCode),
    /// The peer is authenticated, as a device or for an Application.
    Complete(Option<AppId>),
}

/// A frame to send.
pub(crate) enum Outgoing {
    /// A text frame.
    Text(Bytes),
    /// A close frame; nothing is sent after it.
    Close(CloseCode),
}
