//! The progress of a socket: the times of the last bytes in both directions, and of the first byte
//! of the frame that its peer is sending.

use presence_core::Steady;
use tokio_tungstenite::tungstenite::Message;

use super::counted_stream::CountedStream;

/// The size of a control frame without its payload: a header, and the mask of a client.
const CONTROL_HEADER: usize = 6;

/// The progress of a socket, up to the last call of [`Self::record`].
pub(super) struct Progress {
    received: u64,
    received_at: Steady,
    sent: u64,
    /// The time since which bytes wait to be flushed and none was written.
    unflushed_since: Option<Steady>,
    incoming: IncomingFrame,
}

impl Progress {
    pub(super) fn new(now: Steady) -> Self {
        Self {
            received: 0,
            received_at: now,
            sent: 0,
            unflushed_since: None,
            incoming: IncomingFrame::default(),
        }
    }

    /// Records the bytes that were received and sent since the last call. Each of them shows that
    /// the peer is there, also in the middle of a frame.
    pub(super) fn record<S>(&mut self, stream: &CountedStream<S>, now: Steady) {
        let (received, sent) = (stream.received(), stream.sent());
        if received > self.received {
            let bytes = usize::try_from(received - self.received).unwrap_or(usize::MAX);
            self.incoming.add(bytes, now);
            (self.received, self.received_at) = (received, now);
        }
        if sent > self.sent {
            self.sent = sent;
            if let Some(since) = &mut self.unflushed_since {
                // Bytes that had to wait could be written only because the peer reads.
                if *since < now {
                    self.received_at = now;
                }
                *since = now;
            }
        }
    }

    /// Records a complete frame of the peer.
    pub(super) fn complete(&mut self, message: &Message, now: Steady) {
        self.received_at = now;
        self.incoming.complete(message);
    }

    /// Records that bytes wait to be flushed.
    pub(super) fn begin_write(&mut self, now: Steady) {
        self.unflushed_since.get_or_insert(now);
    }

    /// Records that no bytes wait to be flushed.
    pub(super) fn complete_write(&mut self) {
        self.unflushed_since = None;
    }

    /// Returns the time of the last byte of the peer, or of the last sign that it reads.
    pub(super) fn received_at(&self) -> Steady {
        self.received_at
    }

    /// Returns the time since which bytes wait to be flushed and none was written.
    pub(super) fn unflushed_since(&self) -> Option<Steady> {
        self.unflushed_since
    }

    /// Returns the time at which the first byte of an incomplete frame arrived.
    pub(super) fn incoming_since(&self) -> Option<Steady> {
        self.incoming.since
    }
}

/// A frame of which a part has arrived.
#[derive(Debug, Default)]
struct IncomingFrame {
    /// The bytes that belong to no complete frame.
    bytes: usize,
    since: Option<Steady>,
}

impl IncomingFrame {
    /// Adds bytes that have arrived.
    fn add(&mut self, bytes: usize, now: Steady) {
        self.bytes += bytes;
        if self.bytes > 0 {
            self.since.get_or_insert(now);
        }
    }

    /// Takes away the bytes of a complete frame. A control frame may come in the middle of another
    /// frame, whose time it does not extend.
    fn complete(&mut self, message: &Message) {
        self.bytes = match message {
            Message::Ping(payload) | Message::Pong(payload) => {
                self.bytes.saturating_sub(CONTROL_HEADER + payload.len())
            }
            Message::Text(_) | Message::Binary(_) | Message::Close(_) | Message::Frame(_) => 0,
        };
        if self.bytes == 0 {
            self.since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Steady {
        Steady::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn a_frame_begins_with_its_first_byte_and_ends_with_its_last() {
        let mut frame = IncomingFrame::default();
        frame.add(0, at(1));
        assert_eq!(frame.since, None);
        frame.add(10, at(2));
        frame.add(10, at(3));
        assert_eq!(frame.since, Some(at(2)));
        frame.complete(&Message::text("text"));
        assert_eq!(frame.since, None);
    }

    #[test]
    fn a_control_frame_is_no_part_of_the_frame_around_it() {
        let mut frame = IncomingFrame::default();
        let pong = Message::Pong(bytes::Bytes::from_static(b"x"));
        frame.add(7, at(1));
        frame.complete(&pong);
        assert_eq!(frame.since, None);
        frame.add(10 + 7, at(2));
        frame.complete(&pong);
        assert_eq!(frame.since, Some(at(2)));
    }
}
