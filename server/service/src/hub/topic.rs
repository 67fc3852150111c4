//! The room of one Application: its stream, and the sockets that read it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use presence_core::UnixMillis;
use presence_core::reader::{Page, ReadOutcome, Reader, WireFormat};
use presence_core::roster::View;
use presence_core::stream::Stream;
use presence_protocol::app::{StreamFrameRef, single_update};
use presence_protocol::{CloseCode, PresenceUpdate, Puid};

use crate::clock::Stopwatch;
use crate::meters::TopicMeters;
use crate::socket_waker::SocketWaker;

/// The room of one Application.
pub struct Topic {
    inner: Mutex<Inner>,
}

struct Inner {
    stream: Stream,
    sockets: Vec<Socket>,
    turns: u64,
    shared: Option<Shared>,
    last_looked_at: Option<UnixMillis>,
    /// Users of whom receipts are withheld until they are seen again.
    withheld: HashSet<Puid>,
    /// When the stream last changed.
    changed_at: Stopwatch,
    /// How often something was handed to a socket.
    handed: u32,
    meters: TopicMeters,
}

struct Socket {
    turn: u64,
    key: i64,
    bell: Arc<SocketWaker>,
}

/// The bytes of the last range that was read, so that sockets that keep up share them.
struct Shared {
    form: WireFormat,
    from: u64,
    to: u64,
    frames: Vec<Bytes>,
    updates: usize,
}

/// One in so many times that something is handed to a socket, it is timed: often enough to see, seldom enough not to be felt.
const TIMED: u32 = 16;

/// No more sockets of this Application can be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many sockets of this Application")]
pub struct TooManySockets;

impl Topic {
    pub(super) fn new(stream: Stream, meters: TopicMeters) -> Self {
        Self {
            inner: Mutex::new(Inner {
                stream,
                sockets: Vec::new(),
                turns: 0,
                shared: None,
                last_looked_at: None,
                withheld: HashSet::new(),
                changed_at: Stopwatch::start(),
                handed: 0,
                meters,
            }),
        }
    }

    /// Changes the stream; the sockets are woken where the work says so.
    pub(super) fn change(&self, work: impl FnOnce(&mut Stream) -> bool) {
        self.with(|inner| {
            if work(&mut inner.stream) {
                inner.wake_all();
            }
        });
    }

    /// A user is shown like this from now on. True where receipts that were withheld have become due; said once.
    pub(super) fn tell(&self, puid: Puid, view: View, now: UnixMillis) -> bool {
        self.with(|inner| {
            if inner.stream.tell(puid, view, now) {
                inner.wake_all();
            }
            !inner.withheld.is_empty() && inner.stream.shows(puid) && inner.withheld.remove(&puid)
        })
    }

    /// Looks at the stream.
    pub fn read<T>(&self, work: impl FnOnce(&Stream) -> T) -> T {
        self.with(|inner| work(&inner.stream))
    }

    /// Opens a reader's way through the stream for a socket.
    ///
    /// # Errors
    ///
    /// [`TooManySockets`] where `most` sockets are open.
    pub fn subscribe(
        self: &Arc<Self>,
        key: i64,
        bell: Arc<SocketWaker>,
        most: usize,
        open: impl FnOnce(&Stream) -> Reader,
    ) -> Result<Subscription, TooManySockets> {
        self.with(|inner| {
            if inner.sockets.len() >= most {
                return Err(TooManySockets);
            }
            inner.turns += 1;
            let turn = inner.turns;
            inner.sockets.push(Socket { turn, key, bell });
            let reader = open(&inner.stream);
            Ok(Subscription { room: Arc::clone(self), turn, reader })
        })
    }

    /// Closes the sockets of one key, or of all.
    pub fn close(&self, key: Option<i64>, code: CloseCode) {
        self.with(|inner| {
            let of_key = |socket: &&Socket| key.is_none_or(|key| socket.key == key);
            inner.sockets.iter().filter(of_key).for_each(|socket| socket.bell.close(code));
        });
    }

    /// Receipts of a user are withheld. True where the user is seen again already, so that they are due.
    pub(super) fn withhold(&self, puid: Puid) -> bool {
        self.with(|inner| {
            let seen = inner.stream.shows(puid);
            if !seen {
                inner.withheld.insert(puid);
            }
            seen
        })
    }

    /// Wakes all sockets.
    pub fn wake_all(&self) {
        self.change(|_| true);
    }

    /// Notes that the Application looked at somebody's presence.
    pub fn record_access(&self, now: UnixMillis) {
        self.with(|inner| inner.last_looked_at = Some(now));
    }

    /// When the Application last looked: now, while a socket is open.
    pub fn last_access(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.with(|inner| if inner.sockets.is_empty() { inner.last_looked_at } else { Some(now) })
    }

    /// Forgets what is older than what is kept.
    pub fn prune(&self, now: UnixMillis) {
        self.with(|inner| inner.stream.prune(now));
    }

    /// How many sockets are open.
    pub fn sockets(&self) -> usize {
        self.with(|inner| inner.sockets.len())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One socket's way through the stream; dropping it leaves the room.
pub struct Subscription {
    room: Arc<Topic>,
    turn: u64,
    reader: Reader,
}

impl Subscription {
    /// The next frames, each a JSON text; none where there is nothing new.
    ///
    /// # Errors
    ///
    /// The code to close with, where the socket reads too slowly.
    pub fn next_frames(&mut self, warming_up: bool) -> Result<Vec<Bytes>, CloseCode> {
        let room = Arc::clone(&self.room);
        room.with(|inner| read(inner, &mut self.reader, warming_up))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.room.with(|inner| inner.sockets.retain(|socket| socket.turn != self.turn));
    }
}

impl Inner {
    /// There is something new to read.
    fn wake_all(&mut self) {
        self.changed_at = Stopwatch::start();
        self.sockets.iter().for_each(|socket| socket.bell.wake());
    }

    /// Counts updates that are handed to a socket; of news, now and then, how old they are.
    fn count(&mut self, updates: usize, news: bool) {
        self.meters.written.increment(updates as u64);
        if !news {
            return;
        }
        if self.handed.is_multiple_of(TIMED) {
            self.meters.fan_out_seconds.record(self.changed_at.elapsed().as_secs_f64());
        }
        self.handed = self.handed.wrapping_add(1);
    }
}

fn read(inner: &mut Inner, reader: &mut Reader, warming_up: bool) -> Result<Vec<Bytes>, CloseCode> {
    let (from, to, form) = (reader.shares_from(), inner.stream.head(), reader.form());
    if let (Some(from), Some(shared)) = (from, &inner.shared)
        && (shared.form, shared.from, shared.to) == (form, from, to)
    {
        reader.skip_to(to);
        let (frames, updates) = (shared.frames.clone(), shared.updates);
        inner.count(updates, true);
        return Ok(frames);
    }
    let (frames, updates) = match reader.next(&inner.stream, warming_up) {
        ReadOutcome::Nothing => return Ok(Vec::new()),
        ReadOutcome::TooSlow => return Err(CloseCode::TooSlowOrTooFast),
        ReadOutcome::Page(page) => (frames(form, &page, &inner.stream), page.presence.len()),
    };
    // A page that is not one of news has waited for its reader, not for us.
    inner.count(updates, from.is_some());
    if let Some(from) = from
        && reader.shares_from() == Some(to)
    {
        inner.shared = Some(Shared { form, from, to, frames: frames.clone(), updates });
    }
    Ok(frames)
}

fn frames(form: WireFormat, page: &Page, stream: &Stream) -> Vec<Bytes> {
    match form {
        WireFormat::Plain => {
            page.presence.iter().map(|update| single_update(update).into()).collect()
        }
        WireFormat::Paged { .. } => vec![paged(page, stream)],
    }
}

fn paged(page: &Page, stream: &Stream) -> Bytes {
    let cursor = page.up_to.map(|place| stream.cursor(place));
    let presence: Vec<&PresenceUpdate> = page.presence.iter().collect();
    let batch = StreamFrameRef {
        snapshot: page.snapshot,
        gap: page.gap,
        presence: (page.snapshot || !presence.is_empty()).then_some(presence),
        receipts: &page.receipts,
        cursor: cursor.as_deref(),
        more: page.more,
    };
    batch.to_json().into()
}

#[cfg(test)]
mod tests {
    use presence_core::stream::Retention;
    use presence_protocol::Status;

    use super::*;

    fn room() -> Arc<Topic> {
        let kept = Retention { entries: 1_000, age: std::time::Duration::from_hours(1) };
        Arc::new(Topic::new(Stream::new(1, 1_000, true, kept), TopicMeters::default()))
    }

    fn reader(room: &Arc<Topic>) -> Subscription {
        let open = |stream: &Stream| Reader::paged(stream, None, false);
        room.subscribe(1, Arc::default(), 10, open).unwrap()
    }

    #[test]
    fn sockets_that_keep_up_share_the_same_bytes() {
        let room = room();
        let mut sockets = [reader(&room), reader(&room)];
        sockets.iter_mut().for_each(|socket| drop(socket.next_frames(false)));
        room.change(|stream| {
            stream.tell(Puid::from_bits(1), View::new(Status::Online, None), UnixMillis::default())
        });
        let [one, other] = sockets.each_mut().map(|socket| socket.next_frames(false).unwrap());
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].as_ptr(), other[0].as_ptr());
        assert!(sockets[1].next_frames(false).unwrap().is_empty());
    }

    #[test]
    fn a_dropped_subscription_leaves_the_room() {
        let room = room();
        let socket = reader(&room);
        assert_eq!(room.sockets(), 1);
        drop(socket);
        assert_eq!(room.sockets(), 0);
    }

    #[test]
    fn only_the_sockets_of_a_removed_key_are_closed() {
        let room = room();
        let bells = [Arc::new(SocketWaker::default()), Arc::new(SocketWaker::default())];
        let _sockets: Vec<_> = (0..)
            .zip(&bells)
            .map(|(key, bell)| {
                let open = |stream: &Stream| Reader::paged(stream, None, false);
                room.subscribe(key, Arc::clone(bell), 10, open).unwrap()
            })
            .collect();
        room.close(Some(1), CloseCode::ApplicationClosed);
        assert_eq!(bells[0].closing(), None);
        assert_eq!(bells[1].closing(), Some(CloseCode::ApplicationClosed));
    }
}
