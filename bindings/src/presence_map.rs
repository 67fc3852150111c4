//! The current presence of the users of an Application, kept in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use presence_client::{FileStorage, Snapshot, StoredPresenceMap, Updates};

use crate::app_service::AppServiceEvent;
use crate::cancel::CancelToken;
use crate::counters::StorageCounters;
use crate::error::PresenceError;
use crate::object_count::CountedObject;
use crate::presence::{PresenceStatus, PresenceUpdate, parse_id};
use crate::runtime;
use crate::state::ConnectionState;

/// A change that an event made to a presence map.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PresenceChange {
    /// The presence before the change; none if the user was offline or unknown.
    pub before: Option<PresenceUpdate>,
    /// The presence after the change. If the user went offline during a gap, the true version and
    /// time are not known, and this is `offline` with the version and time of the earlier presence.
    pub after: PresenceUpdate,
}

impl From<presence_client::PresenceChange> for PresenceChange {
    fn from(change: presence_client::PresenceChange) -> Self {
        Self { before: change.before.map(Into::into), after: change.after.into() }
    }
}

/// The users of an Application who are not offline, according to the events of an
/// `AppServiceChannel`. Apply every event in order: the map is then correct after a reconnect, a
/// gap and a revoked grant too.
#[derive(Debug, uniffi::Object)]
pub struct PresenceMap {
    map: Mutex<MapOfUsers>,
    _counted: CountedObject,
}

/// The map, with or without a file.
#[derive(Debug)]
enum MapOfUsers {
    InMemory(presence_client::PresenceMap),
    Stored(StoredPresenceMap),
}

impl PresenceMap {
    fn with_map(map: MapOfUsers) -> Arc<Self> {
        Arc::new(Self { map: Mutex::new(map), _counted: CountedObject::new() })
    }

    fn lock(&self) -> MutexGuard<'_, MapOfUsers> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, work: impl FnOnce(&presence_client::PresenceMap) -> T) -> T {
        match &*self.lock() {
            MapOfUsers::InMemory(map) => work(map),
            MapOfUsers::Stored(map) => map.read(work),
        }
    }
}

#[uniffi::export]
impl PresenceMap {
    /// Creates an empty map, in which all users are offline.
    #[uniffi::constructor]
    pub fn new() -> Arc<Self> {
        Self::with_map(MapOfUsers::InMemory(presence_client::PresenceMap::new()))
    }

    /// Loads the map of a file, in which it is kept from then on, with the cursor that belongs to
    /// it. The map is empty if there is no file, or one that cannot be read: see
    /// `storage_counters`. Pass `cursor()` to the options of the channel, so that it continues
    /// there.
    ///
    /// Map and cursor are saved together, at most once a second. After a crash the changes of the
    /// last moments come again, and none is missed. Only the owner can read the file. It holds the
    /// PUIDs, statuses and texts of the users who are not offline, and no API key.
    ///
    /// # Errors
    ///
    /// `Cancelled` if the token was cancelled.
    #[uniffi::constructor(default(cancel = None))]
    pub async fn load(
        file: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Arc<Self>, PresenceError> {
        let map = StoredPresenceMap::load(Arc::new(FileStorage::new(file)));
        Ok(Self::with_map(MapOfUsers::Stored(runtime::wait(cancel, map).await?)))
    }

    /// Returns the cursor that belongs to the map, if it is kept in a file and has one.
    pub fn cursor(&self) -> Option<String> {
        match &*self.lock() {
            MapOfUsers::InMemory(_) => None,
            MapOfUsers::Stored(map) => map.cursor(),
        }
    }

    /// Waits until all events that were applied are saved, or until saving them has failed. Returns
    /// at once if the map is not kept in a file.
    ///
    /// # Errors
    ///
    /// `Cancelled` if the token was cancelled.
    #[uniffi::method(default(cancel = None))]
    pub async fn flush(&self, cancel: Option<Arc<CancelToken>>) -> Result<(), PresenceError> {
        let flushed = match &*self.lock() {
            MapOfUsers::InMemory(_) => return Ok(()),
            MapOfUsers::Stored(map) => map.flush(),
        };
        runtime::wait(cancel, runtime::infallible(flushed)).await
    }

    /// Returns what was counted about the file.
    pub fn storage_counters(&self) -> StorageCounters {
        match &*self.lock() {
            MapOfUsers::InMemory(_) => StorageCounters::default(),
            MapOfUsers::Stored(map) => map.storage_counters().into(),
        }
    }

    /// Applies an event, and returns the changes: different statuses or status texts, and revoked
    /// grants.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the event does not come from a channel.
    pub fn apply(&self, event: AppServiceEvent) -> Result<Vec<PresenceChange>, PresenceError> {
        let event = match event {
            AppServiceEvent::State { state } => {
                presence_client::AppServiceEvent::State(state_for_map(&state))
            }
            AppServiceEvent::Snapshot { presence, gap, cursor } => {
                let presence = updates(presence)?;
                presence_client::AppServiceEvent::Snapshot(Snapshot { presence, gap, cursor })
            }
            AppServiceEvent::Updates { presence, cursor } => {
                let presence = updates(presence)?;
                presence_client::AppServiceEvent::Updates(Updates { presence, cursor })
            }
            AppServiceEvent::Stale { is_stale } => {
                presence_client::AppServiceEvent::Stale(is_stale)
            }
            AppServiceEvent::Receipts { .. } => return Ok(Vec::new()),
        };
        let changes = match &mut *self.lock() {
            MapOfUsers::InMemory(map) => map.apply(&event),
            MapOfUsers::Stored(map) => map.apply(&event),
        };
        Ok(changes.into_iter().map(Into::into).collect())
    }

    /// Returns the presence of a user; none if the user is offline.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if `uid` is not a PUID.
    pub fn get(&self, uid: String) -> Result<Option<PresenceUpdate>, PresenceError> {
        let uid = parse_id(&uid, "uid")?;
        Ok(self.with(|map| map.get(&uid).cloned()).map(Into::into))
    }

    /// Returns the status of a user. An unknown user is offline.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if `uid` is not a PUID.
    pub fn status(&self, uid: String) -> Result<PresenceStatus, PresenceError> {
        let uid = parse_id(&uid, "uid")?;
        Ok(self.with(|map| map.status(&uid)).into())
    }

    /// Returns the users who are not offline, in no particular order.
    pub fn all(&self) -> Vec<PresenceUpdate> {
        self.with(|map| map.iter().cloned().map(Into::into).collect())
    }

    /// Returns the number of users who are not offline.
    pub fn count(&self) -> u64 {
        self.with(presence_client::PresenceMap::len) as u64
    }

    /// Returns true if the map is up to date: a snapshot or update has arrived since the channel
    /// was last connected. Otherwise the map shows the earlier presence.
    pub fn is_live(&self) -> bool {
        self.with(presence_client::PresenceMap::is_live)
    }
}

fn updates(
    presence: Vec<PresenceUpdate>,
) -> Result<Vec<presence_client::PresenceUpdate>, PresenceError> {
    presence.into_iter().map(TryInto::try_into).collect()
}

/// Converts a state for the map, which only distinguishes connected from not connected.
fn state_for_map(state: &ConnectionState) -> presence_client::ConnectionState {
    match state {
        ConnectionState::Connected => presence_client::ConnectionState::Connected,
        ConnectionState::Connecting { .. }
        | ConnectionState::Waiting { .. }
        | ConnectionState::CredentialWanted { .. }
        | ConnectionState::SignedOut { .. }
        | ConnectionState::Ended { .. } => {
            presence_client::ConnectionState::Connecting { attempt: 1 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_applies_exported_events() {
        let map = PresenceMap::new();
        let uid = "0".repeat(31) + "1";
        let online = PresenceUpdate {
            uid: uid.clone(),
            status: PresenceStatus::Online,
            cause: None,
            version: 1,
            since_ms: 0,
            message: None,
            revoked: false,
        };
        let presence = vec![online.clone()];
        let changes = map.apply(AppServiceEvent::Snapshot { presence, gap: false, cursor: None });
        assert_eq!(changes, Ok(vec![PresenceChange { before: None, after: online.clone() }]));
        assert_eq!(map.get(uid.clone()), Ok(Some(online)));
        assert!(map.is_live() && map.count() == 1 && map.all().len() == 1);

        map.apply(AppServiceEvent::State { state: ConnectionState::Connecting { attempt: 2 } })
            .unwrap();
        assert!(!map.is_live());
        assert_eq!(map.status(uid), Ok(PresenceStatus::Online));
    }
}
