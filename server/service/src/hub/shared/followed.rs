//! The streams that sockets of this server read: copies that follow the database.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use presence_core::Clock;
use presence_core::stream::replica::{MissingEntries, SharedEntry};
use presence_core::stream::{Retention, Stream};
use presence_protocol::{AppId, CloseCode};
use presence_store::{ENTRY_PAGE, Live, StoreError};

use super::database_clock::DatabaseClock;
use crate::hub::topic::Topic;
use crate::meters::{ReplicaMeters, TopicMeters};

/// The followed streams. One is followed as long as it has sockets, and until the next clean-up.
pub(super) struct FollowedStreams {
    live: Live,
    clock: Arc<dyn Clock>,
    time: Arc<DatabaseClock>,
    retention: Retention,
    topics: Mutex<HashMap<AppId, Arc<Topic>>>,
    /// Held while a stream is read, so that it is read once.
    reading: tokio::sync::Mutex<()>,
    meters: TopicMeters,
    replicas: ReplicaMeters,
}

impl FollowedStreams {
    pub(super) fn new(
        live: Live,
        (clock, time): (Arc<dyn Clock>, Arc<DatabaseClock>),
        retention: Retention,
    ) -> Self {
        let (topics, reading) = (Mutex::default(), tokio::sync::Mutex::default());
        let (meters, replicas) = (TopicMeters::default(), ReplicaMeters::default());
        Self { live, clock, time, retention, topics, reading, meters, replicas }
    }

    /// Returns the copy of a stream with all entries so far: an AppService may have read them at
    /// another server. It is read if it is not followed. `None` if there is no such Application.
    pub(super) async fn follow(&self, app: AppId) -> Result<Option<Arc<Topic>>, StoreError> {
        let followed = match self.find(app) {
            Some(topic) => Some(topic),
            None => self.begin_to_follow(app).await?,
        };
        // Also one that another call has begun to follow meanwhile may be behind.
        self.catch_up(&[app]).await?;
        Ok(followed)
    }

    /// Reads a stream that is not followed, once for all that wait for it.
    async fn begin_to_follow(&self, app: AppId) -> Result<Option<Arc<Topic>>, StoreError> {
        let reading = self.reading.lock().await;
        if let Some(topic) = self.find(app) {
            return Ok(Some(topic));
        }
        let Some(stream) = self.read(app).await? else { return Ok(None) };
        let (meters, clock) = (self.meters.clone(), Arc::clone(&self.clock));
        let topic = Arc::new(Topic::new(stream, meters, clock, Duration::ZERO));
        self.lock().insert(app, Arc::clone(&topic));
        drop(reading);
        Ok(Some(topic))
    }

    /// Adds earlier entries to a copy, so that a reader can resume at a cursor.
    pub(super) async fn reach_back(
        &self,
        app: AppId,
        topic: &Topic,
        cursor: &str,
    ) -> Result<(), StoreError> {
        let floor = topic.read(Stream::floor);
        let Some(place) = topic.read(|stream| stream.place_of(cursor)) else { return Ok(()) };
        if place < floor {
            let entries = self.live.entries_between(app, (place, floor)).await?;
            topic.change(|stream| stream.prepend(entries));
        }
        Ok(())
    }

    /// Reads the new entries of these streams, or of all.
    pub(super) async fn catch_up(&self, apps: &[AppId]) -> Result<(), StoreError> {
        let mut behind: Vec<(AppId, Arc<Topic>)> =
            apps.iter().filter_map(|app| Some((*app, self.find(*app)?))).collect();
        while !behind.is_empty() {
            let places: Vec<(AppId, u64)> =
                behind.iter().map(|(app, topic)| (*app, topic.read(Stream::head))).collect();
            let mut entries: HashMap<AppId, Vec<SharedEntry>> = HashMap::new();
            for (app, entry) in self.live.entries_after(&places).await? {
                entries.entry(app).or_default().push(entry);
            }
            behind.retain(|(app, _)| entries.contains_key(app));
            // One of which fewer entries were read than fit has no further ones.
            let mut has_more = HashSet::new();
            for (app, topic) in &behind {
                let new = entries.remove(app).unwrap_or_default();
                if new.len() >= ENTRY_PAGE {
                    has_more.insert(*app);
                }
                let newest = new.last().map(|entry| entry.at);
                if topic.change(|stream| apply_all(stream, new)).is_err() {
                    self.read_again(*app, topic).await?;
                }
                let now = self.time.now();
                newest.iter().for_each(|at| self.replicas.record_lag(now - *at));
            }
            behind.retain(|(app, _)| has_more.contains(app));
        }
        Ok(())
    }

    /// Reads a stream of which entries are missing.
    async fn read_again(&self, app: AppId, topic: &Topic) -> Result<(), StoreError> {
        match self.read(app).await? {
            Some(stream) => topic.change(|old| *old = stream),
            None => topic.close(None, CloseCode::ApplicationClosed),
        }
        Ok(())
    }

    /// Reads a stream: its rows, then the entries that were added meanwhile. No snapshot of the
    /// database is held, which would keep it from removing old rows.
    async fn read(&self, app: AppId) -> Result<Option<Stream>, StoreError> {
        loop {
            let Some(start) = self.live.stream_start(app).await? else { return Ok(None) };
            let mut rows = Vec::new();
            loop {
                let after =
                    rows.last().map(|row: &presence_core::stream::replica::SharedRow| row.puid);
                let mut page = self.live.row_page(app, after).await?;
                if page.is_empty() {
                    break;
                }
                rows.append(&mut page);
            }
            let mut stream = Stream::replica(start, rows, self.retention);
            loop {
                let new = self.live.entries_after(&[(app, stream.head())]).await?;
                if new.is_empty() {
                    stream.forget_log();
                    return Ok(Some(stream));
                }
                let new = new.into_iter().map(|(_, entry)| entry).collect();
                if apply_all(&mut stream, new).is_err() {
                    break;
                }
            }
        }
    }

    /// Returns the copy of a stream, if it is followed.
    pub(super) fn find(&self, app: AppId) -> Option<Arc<Topic>> {
        self.lock().get(&app).map(Arc::clone)
    }

    /// Returns true if this is the copy that follows the database.
    pub(super) fn follows(&self, app: AppId, topic: &Arc<Topic>) -> bool {
        self.lock().get(&app).is_some_and(|followed| Arc::ptr_eq(followed, topic))
    }

    /// Returns all copies.
    pub(super) fn topics(&self) -> Vec<(AppId, Arc<Topic>)> {
        self.lock().iter().map(|(app, topic)| (*app, Arc::clone(topic))).collect()
    }

    /// Forgets the copies without sockets.
    pub(super) fn forget_unread(&self) {
        self.lock().retain(|_, topic| topic.sockets() > 0 || Arc::strong_count(topic) > 1);
    }

    /// Forgets all copies, and closes their sockets.
    pub(super) fn close_all(&self, code: CloseCode) {
        let topics = std::mem::take(&mut *self.lock());
        topics.values().for_each(|topic| topic.close(None, code));
    }

    /// Closes the sockets of an Application.
    pub(super) fn close(&self, app: AppId, code: CloseCode) {
        if let Some(topic) = self.find(app) {
            topic.close(None, code);
        }
    }

    /// Closes the sockets of a key.
    pub(super) fn close_key(&self, app: AppId, key: i64) {
        if let Some(topic) = self.find(app) {
            topic.close(Some(key), CloseCode::ApplicationClosed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AppId, Arc<Topic>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn apply_all(stream: &mut Stream, entries: Vec<SharedEntry>) -> Result<(), MissingEntries> {
    entries.into_iter().try_for_each(|entry| stream.apply(entry))
}
