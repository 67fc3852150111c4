//! The topic of one Application: its stream, and the sockets that read it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use presence_core::model::Grant;
use presence_core::reader::{Page, ReadOutcome, Reader, WireFormat};
use presence_core::stream::Stream;
use presence_core::{Clock, UnixMillis};
use presence_protocol::app::{self, StreamFrameRef, single_update};
use presence_protocol::{CloseCode, PresenceUpdate, Puid};

use super::checks::Checks;
use super::schedule::Schedule;
use crate::clock::Stopwatch;
use crate::meters::TopicMeters;
use crate::socket_waker::SocketWaker;

/// The stream of one Application with its subscribers.
pub(crate) struct Topic {
    clock: Arc<dyn Clock>,
    /// The schedule of held updates, if there is a delay.
    schedule: Option<Schedule>,
    inner: Mutex<Inner>,
}

struct Inner {
    stream: Stream,
    sockets: Vec<SubscribedSocket>,
    /// The number of the socket that was subscribed last.
    last_number: u64,
    shared: Option<SharedFrames>,
    /// Set while the server cannot see changes.
    is_stale: bool,
    checks: Checks,
    /// The time since the last change of the stream.
    since_change: Stopwatch,
    /// The number of reads of changes so far, from which a sample is measured.
    change_reads: u32,
    meters: TopicMeters,
}

struct SubscribedSocket {
    number: u64,
    key_id: i64,
    waker: Arc<SocketWaker>,
}

/// The frames of the range of the log that was read last, so that sockets without lag share their
/// bytes.
struct SharedFrames {
    format: WireFormat,
    from: u64,
    to: u64,
    frames: Vec<Bytes>,
    updates: usize,
}

/// Only one in this many fan-out times is measured, since measuring costs time.
const SAMPLING_INTERVAL: u32 = 16;

/// The Application has too many open sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many sockets of this Application")]
pub struct TooManySockets;

impl Topic {
    /// Creates the topic of a stream. Updates wait at most `delay`, until moments that are random
    /// for each Application.
    pub(super) fn new(
        stream: Stream,
        meters: TopicMeters,
        clock: Arc<dyn Clock>,
        delay: Duration,
    ) -> Self {
        Self {
            schedule: Schedule::random(delay, clock.steady()),
            clock,
            inner: Mutex::new(Inner {
                stream,
                sockets: Vec::new(),
                last_number: 0,
                shared: None,
                is_stale: false,
                checks: Checks::default(),
                since_change: Stopwatch::start(),
                change_reads: 0,
                meters,
            }),
        }
    }

    /// Changes the stream, and wakes the sockets if there is something new to read.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Stream) -> T) -> T {
        self.with(|inner| {
            let before = inner.stream.head();
            let result = change(&mut inner.stream);
            if inner.stream.head() != before {
                inner.wake_all();
            }
            result
        })
    }

    /// Returns true if updates of devices are held until the next moment of the schedule.
    pub(super) fn holds_updates(&self) -> bool {
        self.schedule.is_some()
    }

    /// Publishes the held updates if their moment has come. Calls `appeared` for each user whom the
    /// Application begins to see.
    pub(super) fn publish_due(&self, appeared: impl Fn(&mut Stream, Puid)) {
        let steady = self.clock.steady();
        if !self.schedule.as_ref().is_some_and(|schedule| schedule.is_due(steady)) {
            return;
        }
        let now = self.clock.now();
        self.change(|stream| {
            for puid in stream.publish_held(now) {
                appeared(stream, puid);
            }
        });
    }

    /// Reads from the stream.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Stream) -> T) -> T {
        self.with(|inner| read(&inner.stream))
    }

    /// Subscribes a socket of an API key. `open` creates its reader.
    ///
    /// # Errors
    ///
    /// [`TooManySockets`] if `limit` sockets are open.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        key_id: i64,
        waker: Arc<SocketWaker>,
        limit: usize,
        open: impl FnOnce(&Stream) -> Reader,
    ) -> Result<Subscription, TooManySockets> {
        self.with(|inner| {
            if inner.sockets.len() >= limit {
                return Err(TooManySockets);
            }
            inner.last_number += 1;
            let number = inner.last_number;
            inner.sockets.push(SubscribedSocket { number, key_id, waker });
            let reader = open(&inner.stream);
            let topic = Arc::clone(self);
            Ok(Subscription { topic, number, reader, told_stale: false, guard: None })
        })
    }

    /// Closes the sockets of one API key, or of all.
    pub(crate) fn close(&self, key_id: Option<i64>, code: CloseCode) {
        self.with(|inner| {
            let is_of_key =
                |socket: &&SubscribedSocket| key_id.is_none_or(|id| socket.key_id == id);
            inner.sockets.iter().filter(is_of_key).for_each(|socket| socket.waker.close(code));
        });
    }

    /// Returns the keys of the open sockets.
    pub(crate) fn keys(&self) -> Vec<i64> {
        self.with(|inner| inner.sockets.iter().map(|socket| socket.key_id).collect())
    }

    /// Lets the sockets know that the server cannot see changes from now on, or can again: then
    /// what was missed is in the stream before.
    pub(super) fn set_stale(&self, is_stale: bool) {
        self.with(|inner| {
            inner.is_stale = is_stale;
            inner.sockets.iter().for_each(|socket| socket.waker.wake());
        });
    }

    /// Wakes all sockets.
    pub(crate) fn wake_all(&self) {
        self.with(Inner::wake_all);
    }

    /// Records that the Application has checked all its users.
    pub(crate) fn record_check(&self) {
        let now = self.clock.now();
        self.with(|inner| inner.checks.record_all(now));
    }

    /// Records that the Application has checked these users, who have a grant.
    pub(crate) fn record_check_of(&self, users: impl Iterator<Item = Puid>) {
        let now = self.clock.now();
        self.with(|inner| inner.checks.record_users(users, now));
    }

    /// Returns the time of the last check of all users. While a socket is open, this is now.
    pub(crate) fn last_check(&self) -> Option<UnixMillis> {
        let now = self.clock.now();
        self.with(|inner| inner.last_check(now))
    }

    /// Returns true if the Application gets each change of a user now, through an open socket.
    pub(crate) fn is_checking(&self, grant: &Grant) -> bool {
        !grant.is_suspended() && self.sockets() > 0
    }

    /// Returns the time of the last check of a user. `stored` is the last check of all users before
    /// the start of the server.
    pub(crate) fn last_check_of(
        &self,
        grant: &Grant,
        stored: Option<UnixMillis>,
    ) -> Option<UnixMillis> {
        let now = self.clock.now();
        self.with(|inner| {
            let of_all = inner.last_check(now).max(stored);
            // After a restart it is not known if a stored check was before the pause. Nor is it
            // for a grant that waits for the user's answer to a new domain.
            inner.checks.times_of(grant.puid, of_all).last_if(grant.is_suspended())
        })
    }

    /// Records that the grant of a user is suspended, or no longer. `stored` is the last check of
    /// all users before the start of the server.
    pub(crate) fn set_suspended(&self, puid: Puid, suspended: bool, stored: Option<UnixMillis>) {
        let now = self.clock.now();
        self.with(|inner| {
            let of_all = inner.last_check(now).max(stored);
            inner.checks.set_suspended(puid, suspended, (of_all, now));
        });
    }

    /// Forgets all checks, since the domain of the Application has changed.
    pub(crate) fn forget_checks(&self) {
        let now = self.clock.now();
        self.with(|inner| inner.checks.forget_all(now));
    }

    /// Ends the grant of a user in the stream.
    pub(super) fn revoke(&self, puid: Puid) {
        let now = self.clock.now();
        self.change(|stream| stream.revoke(puid, now));
        self.with(|inner| inner.checks.forget(puid));
    }

    /// Removes log entries of the stream that are too old.
    pub(crate) fn prune(&self, now: UnixMillis) {
        self.with(|inner| inner.stream.prune(now));
    }

    /// Returns the number of open sockets.
    pub(crate) fn sockets(&self) -> usize {
        self.with(|inner| inner.sockets.len())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The subscription of one socket. It ends when it is dropped.
pub struct Subscription {
    topic: Arc<Topic>,
    number: u64,
    reader: Reader,
    /// Set if the socket knows that the server cannot see changes.
    told_stale: bool,
    /// The value that is dropped with the subscription, if there is one.
    guard: Option<Box<dyn Send + Sync>>,
}

impl Subscription {
    /// Lets something end with the subscription.
    pub(super) fn with_guard(mut self, guard: impl Send + Sync + 'static) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }

    /// Returns the next frames, each a JSON text, or none if there is nothing new.
    ///
    /// # Errors
    ///
    /// The code to close with if the socket reads too slowly.
    pub fn next_frames(&mut self, warming_up: bool) -> Result<Vec<Bytes>, CloseCode> {
        let Self { topic, reader, told_stale, .. } = self;
        topic.with(|inner| {
            let frames = next_frames(inner, reader, warming_up)?;
            let is_paged = reader.format() != WireFormat::Plain;
            if frames.is_empty() && is_paged && *told_stale != inner.is_stale {
                *told_stale = inner.is_stale;
                return Ok(vec![app::stale(inner.is_stale).into()]);
            }
            Ok(frames)
        })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let now = self.topic.clock.now();
        self.topic.with(|inner| {
            inner.checks.record_all(now);
            inner.sockets.retain(|socket| socket.number != self.number);
        });
        drop(self.guard.take());
    }
}

impl Inner {
    fn last_check(&self, now: UnixMillis) -> Option<UnixMillis> {
        if self.sockets.is_empty() { self.checks.last_of_all() } else { Some(now) }
    }

    fn wake_all(&mut self) {
        self.since_change = Stopwatch::start();
        self.sockets.iter().for_each(|socket| socket.waker.wake());
    }

    /// Counts updates that a socket reads. If they are changes rather than a snapshot or a backlog,
    /// samples the time since the change.
    fn record_read(&mut self, updates: usize, is_change: bool) {
        self.meters.written.increment(updates as u64);
        if !is_change {
            return;
        }
        if self.change_reads.is_multiple_of(SAMPLING_INTERVAL) {
            self.meters.fan_out_seconds.record(self.since_change.elapsed().as_secs_f64());
        }
        self.change_reads = self.change_reads.wrapping_add(1);
    }
}

fn next_frames(
    inner: &mut Inner,
    reader: &mut Reader,
    warming_up: bool,
) -> Result<Vec<Bytes>, CloseCode> {
    let (from, to, format) = (reader.shared_position(), inner.stream.head(), reader.format());
    if let (Some(from), Some(shared)) = (from, &inner.shared)
        && (shared.format, shared.from, shared.to) == (format, from, to)
    {
        reader.skip_to(to);
        let (frames, updates) = (shared.frames.clone(), shared.updates);
        inner.record_read(updates, true);
        return Ok(frames);
    }
    let (frames, updates) = match reader.next(&inner.stream, warming_up) {
        ReadOutcome::Nothing => return Ok(Vec::new()),
        ReadOutcome::TooSlow => return Err(CloseCode::TooSlowOrTooFast),
        ReadOutcome::Page(page) => (frames(format, &page, &inner.stream), page.presence.len()),
    };
    // Only changes count for the fan-out time: other pages have waited for their reader.
    inner.record_read(updates, from.is_some());
    if let Some(from) = from
        && reader.shared_position() == Some(to)
    {
        inner.shared = Some(SharedFrames { format, from, to, frames: frames.clone(), updates });
    }
    Ok(frames)
}

fn frames(format: WireFormat, page: &Page, stream: &Stream) -> Vec<Bytes> {
    match format {
        WireFormat::Plain => {
            page.presence.iter().map(|update| single_update(update).into()).collect()
        }
        WireFormat::Paged { .. } => vec![stream_frame(page, stream)],
    }
}

fn stream_frame(page: &Page, stream: &Stream) -> Bytes {
    let cursor = page.up_to.map(|position| stream.cursor(position));
    let presence: Vec<&PresenceUpdate> = page.presence.iter().collect();
    let frame = StreamFrameRef {
        snapshot: page.snapshot,
        gap: page.gap,
        presence: (page.snapshot || !presence.is_empty()).then_some(presence),
        receipts: &page.receipts,
        cursor: cursor.as_deref(),
        more: page.more,
    };
    frame.to_json().into()
}

#[cfg(test)]
mod tests {
    use presence_core::stream::Retention;
    use presence_core::{ManualClock, View};
    use presence_protocol::{OfflineCause, Puid, Status};

    use super::*;

    fn topic() -> Arc<Topic> {
        let retention =
            Retention { entries: 1_000, age: Duration::from_hours(1), bytes: usize::MAX };
        let clock = Arc::new(ManualClock::new(UnixMillis::new(7)));
        let stream = Stream::new(1, 1_000, true, retention);
        Arc::new(Topic::new(stream, TopicMeters::default(), clock, Duration::ZERO))
    }

    fn subscribe(topic: &Arc<Topic>, key_id: i64, waker: &Arc<SocketWaker>) -> Subscription {
        let open = |stream: &Stream| Reader::paged(stream, None, false);
        topic.subscribe(key_id, Arc::clone(waker), 10, open).unwrap()
    }

    #[test]
    fn sockets_without_lag_share_the_same_bytes() {
        let (topic, waker) = (topic(), Arc::default());
        let mut sockets = [subscribe(&topic, 1, &waker), subscribe(&topic, 1, &waker)];
        sockets.iter_mut().for_each(|socket| drop(socket.next_frames(false)));
        let online = View::new(Status::Online, None);
        let publish = |stream: &mut Stream| {
            stream.publish(Puid::from_bits(1), online, OfflineCause::Left, UnixMillis::new(0))
        };
        assert!(topic.change(publish).changed);
        let [one, other] = sockets.each_mut().map(|socket| socket.next_frames(false).unwrap());
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].as_ptr(), other[0].as_ptr());
        assert!(sockets[1].next_frames(false).unwrap().is_empty());
    }

    #[test]
    fn a_subscription_ends_when_it_is_dropped() {
        let topic = topic();
        let socket = subscribe(&topic, 1, &Arc::default());
        assert_eq!(topic.sockets(), 1);
        assert_eq!(topic.last_check(), Some(UnixMillis::new(7)));
        drop(socket);
        assert_eq!(topic.sockets(), 0);
        // The end of the socket is the last check.
        assert_eq!(topic.last_check(), Some(UnixMillis::new(7)));
    }

    #[test]
    fn only_the_sockets_of_a_removed_key_are_closed() {
        let (topic, wakers) = (topic(), [Arc::default(), Arc::default()]);
        let _sockets: Vec<_> =
            (0..).zip(&wakers).map(|(key_id, waker)| subscribe(&topic, key_id, waker)).collect();
        topic.close(Some(1), CloseCode::ApplicationClosed);
        assert_eq!(wakers[0].closing(), None);
        assert_eq!(wakers[1].closing(), Some(CloseCode::ApplicationClosed));
    }
}
