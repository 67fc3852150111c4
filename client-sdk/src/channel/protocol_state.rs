//! The interface between a channel's protocol and the loops that run it.

use tokio::time::Instant;

use super::disconnect::{Disconnect, NextStep};
use super::recent_states::RecentStates;
use crate::counters::ChannelCounters;
use crate::state::ConnectionState;

/// The protocol of one channel, without a socket: frames and times go in, frames come out. It
/// outlives its sockets.
pub(crate) trait ProtocolState: Send + 'static {
    /// The WebSocket subprotocol.
    const SUBPROTOCOL: Option<&'static str>;

    /// Returns the path of the socket on the server.
    fn path(&self) -> String;

    /// Returns true if there is a credential to connect with.
    fn has_credential(&self) -> bool;

    /// Begins a new socket: frames without a reply are sent again.
    fn handle_open(&mut self);

    /// Returns true if the server has accepted the credential on this socket.
    fn is_authenticated(&self) -> bool;

    /// Returns the next frame to send, if one is due.
    fn poll_outgoing(&mut self, now: Instant) -> Option<String>;

    /// Returns the time at which a delayed frame becomes due, or a reply counts as lost.
    fn next_deadline(&self) -> Option<Instant>;

    /// Returns true, once, if this socket is to be replaced by another one.
    fn take_reconnect_request(&mut self, now: Instant) -> bool;

    /// Makes the changes that are due by now. Returns true if the application is to be notified.
    fn handle_time(&mut self, _now: Instant) -> bool {
        false
    }

    /// Handles a frame from the server.
    ///
    /// # Errors
    ///
    /// Returns the reason if the socket cannot be used any more.
    fn handle_frame(&mut self, text: &str, now: Instant) -> Result<(), Disconnect>;

    /// Handles the loss of a socket, or of an attempt to open one, and decides what follows.
    fn handle_disconnect(&mut self, disconnect: Disconnect) -> NextStep;

    /// Returns the state of the channel.
    fn state(&self) -> &ConnectionState;

    /// Returns the last changes of the state.
    fn recent_states(&self) -> &RecentStates;

    /// Sets the counters of the protocol.
    fn fill_counters(&self, counters: &mut ChannelCounters);

    /// Sets the state of the channel. Returns false if it is the current one.
    fn set_state(&mut self, state: ConnectionState) -> bool;
}

/// The result of taking an event from a queue.
#[derive(Debug, PartialEq)]
pub(crate) enum Pulled<E> {
    /// The next event.
    Event(E),
    /// The end of the queue: no event follows.
    End,
}

impl<E> Pulled<E> {
    /// Returns the event, or `None` at the end.
    pub(crate) fn event(self) -> Option<E> {
        match self {
            Self::Event(event) => Some(event),
            Self::End => None,
        }
    }
}
