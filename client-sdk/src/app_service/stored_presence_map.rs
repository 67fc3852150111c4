//! A presence map and its cursor, kept over restarts of the program.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::event::AppServiceEvent;
use super::presence_map::{PresenceChange, PresenceMap};
use crate::channel::runtime;
use crate::error::Error;
use crate::storage::{Saver, Storage, StorageCounters, StoredUsers};

/// The minimum time between two saves.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// A [`PresenceMap`] that is kept in a [`Storage`] with the cursor that belongs to it. A program
/// that is restarted continues where it stopped: it has the users of before, and gets the changes
/// since.
///
/// Map and cursor are saved together as one document, at most once a second, after the events were
/// applied. After a crash the program therefore gets the changes of the last moments again, and
/// never misses one. Receipts that were not pulled yet can be missed.
///
/// The document has the cursor, and of each user who is not offline the PUID, the status, the text,
/// the version and the time. It has no API key.
pub struct StoredPresenceMap {
    shared: Arc<SharedMap>,
    saver: Saver,
}

struct SharedMap {
    state: Mutex<MapState>,
    changed: Notify,
    saved: Notify,
}

struct MapState {
    map: PresenceMap,
    cursor: Option<String>,
    /// The number of changes so far, and how many of them the last save had.
    revision: u64,
    saved: u64,
    /// The number of calls that wait for a save, so that it is not delayed.
    waiting: usize,
    closed: bool,
}

impl StoredPresenceMap {
    /// Loads the map. It is empty if nothing is stored, or nothing that can be read: see
    /// [`storage_counters`](Self::storage_counters). Pass [`cursor`](Self::cursor) to
    /// [`AppServiceOptions`](crate::AppServiceOptions).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] outside a tokio runtime.
    pub async fn load(storage: Arc<dyn Storage>) -> Result<Self, Error> {
        let runtime = runtime()?;
        let saver = Saver::new(storage, runtime.clone());
        let mut stored: StoredUsers = saver.load().await.unwrap_or_default();
        let cursor = stored.cursor.take();
        let map = PresenceMap::from_users(stored.into_users());
        let state = MapState { map, cursor, revision: 0, saved: 0, waiting: 0, closed: false };
        let shared = Arc::new(SharedMap {
            state: Mutex::new(state),
            changed: Notify::new(),
            saved: Notify::new(),
        });
        drop(runtime.spawn(save_changes(Arc::clone(&shared), saver.clone())));
        Ok(Self { shared, saver })
    }

    /// Returns the cursor that belongs to the map.
    pub fn cursor(&self) -> Option<String> {
        self.shared.with(|state| state.cursor.clone())
    }

    /// Applies an event like [`PresenceMap::apply`], and saves the map and the cursor in the
    /// background.
    pub fn apply(&mut self, event: &AppServiceEvent) -> Vec<PresenceChange> {
        let changes = self.shared.with(|state| state.apply(event));
        self.shared.changed.notify_one();
        changes
    }

    /// Calls a function with the map.
    pub fn read<R>(&self, work: impl FnOnce(&PresenceMap) -> R) -> R {
        self.shared.with(|state| work(&state.map))
    }

    /// Waits until all events that were applied are saved, or until saving them has failed.
    pub fn flush(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        async move {
            let target = shared.with(|state| {
                state.waiting += 1;
                state.revision
            });
            let _guard = FlushGuard(&shared);
            shared.changed.notify_one();
            shared.wait_for_save(target).await;
        }
    }

    /// Returns what was counted about the storage.
    pub fn storage_counters(&self) -> StorageCounters {
        self.saver.counters()
    }
}

impl Drop for StoredPresenceMap {
    /// Saves the last changes in the background.
    fn drop(&mut self) {
        self.shared.with(|state| state.closed = true);
        self.shared.changed.notify_one();
    }
}

impl fmt::Debug for StoredPresenceMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredPresenceMap").finish_non_exhaustive()
    }
}

/// A call that waits for a save.
struct FlushGuard<'a>(&'a SharedMap);

impl Drop for FlushGuard<'_> {
    fn drop(&mut self) {
        self.0.with(|state| state.waiting -= 1);
    }
}

impl MapState {
    fn apply(&mut self, event: &AppServiceEvent) -> Vec<PresenceChange> {
        let cursor = match event {
            AppServiceEvent::Snapshot(snapshot) => Some(&snapshot.cursor),
            AppServiceEvent::Updates(updates) => Some(&updates.cursor),
            AppServiceEvent::State(_)
            | AppServiceEvent::Receipts(_)
            | AppServiceEvent::Stale(_) => None,
        };
        if let Some(cursor) = cursor {
            self.cursor.clone_from(cursor);
            self.revision += 1;
        }
        self.map.apply(event)
    }
}

impl SharedMap {
    fn with<R>(&self, work: impl FnOnce(&mut MapState) -> R) -> R {
        // Only a function of the application can panic under the lock. It does not change the map.
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn wait_for_save(&self, target: u64) {
        loop {
            let saved = self.saved.notified();
            tokio::pin!(saved);
            // Registered before the check, so that no save is missed in between.
            saved.as_mut().enable();
            if self.with(|state| state.saved >= target) {
                return;
            }
            saved.await;
        }
    }

    /// Waits while `condition` is false. There is one waiter only.
    async fn wait_until(&self, condition: impl Fn(&MapState) -> bool) {
        while !self.with(|state| condition(state)) {
            self.changed.notified().await;
        }
    }
}

/// Saves each change after the one before, and the last one when the map is dropped. Changes that
/// come meanwhile are saved together.
async fn save_changes(shared: Arc<SharedMap>, saver: Saver) {
    loop {
        shared.wait_until(|state| state.revision > state.saved || state.closed).await;
        if shared.with(|state| state.revision == state.saved) {
            return;
        }
        let (source, revision) = (Arc::clone(&shared), Arc::new(AtomicU64::new(0)));
        let included = Arc::clone(&revision);
        let content = move || {
            source.with(|state| {
                included.store(state.revision, Ordering::Release);
                StoredUsers::new(state.cursor.clone(), state.map.iter())
            })
        };
        saver.save(content).await;
        let included = revision.load(Ordering::Acquire);
        shared.with(|state| state.saved = state.saved.max(included));
        shared.saved.notify_waiters();
        tokio::select! {
            () = sleep(SAVE_INTERVAL) => {}
            () = shared.wait_until(|state| state.waiting > 0 || state.closed) => {}
        }
    }
}
