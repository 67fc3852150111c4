//! The present statuses of an Application's users, kept in memory.

use std::sync::{Arc, Mutex, PoisonError};

use presence_client::{PresenceChange as Change, Snapshot, Updates};

use crate::app_service::AppServiceEvent;
use crate::error::PresenceError;
use crate::live::Live;
use crate::presence::{PresenceStatus, UserPresence, id};
use crate::state::ConnectionState;

/// What an event changed.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PresenceChange {
    /// What was known before; none where the user was offline or unknown.
    pub before: Option<UserPresence>,
    /// What is known now. Where a user has left unheard, in a gap, this is `offline` with the version and time of what was
    /// known before, since the true ones are not known.
    pub now: UserPresence,
}

impl From<Change> for PresenceChange {
    fn from(change: Change) -> Self {
        Self { before: change.before.map(Into::into), now: change.now.into() }
    }
}

/// Who is not offline, as the events of an `AppServiceChannel` tell it. Give it every event, and it mirrors what the
/// Application may know: after a reconnect, a gap or a revoke too.
#[derive(Debug, uniffi::Object)]
pub struct PresenceMap {
    map: Mutex<presence_client::PresenceMap>,
    _live: Live,
}

impl PresenceMap {
    fn with<T>(&self, work: impl FnOnce(&mut presence_client::PresenceMap) -> T) -> T {
        work(&mut self.map.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[uniffi::export]
impl PresenceMap {
    /// A map in which nobody is present.
    #[uniffi::constructor]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { map: Mutex::default(), _live: Live::new() })
    }

    /// Takes an event over, and says what it changed for the app: only differences of status or text, and revokes.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where the event was not made by the channel.
    pub fn apply(&self, event: AppServiceEvent) -> Result<Vec<PresenceChange>, PresenceError> {
        let event = match event {
            AppServiceEvent::State { state } => {
                presence_client::AppServiceEvent::State(connectedness(&state))
            }
            AppServiceEvent::Snapshot { presence, gap, cursor } => {
                let presence = presences(presence)?;
                presence_client::AppServiceEvent::Snapshot(Snapshot { presence, gap, cursor })
            }
            AppServiceEvent::Updates { presence, cursor } => {
                let presence = presences(presence)?;
                presence_client::AppServiceEvent::Updates(Updates { presence, cursor })
            }
            AppServiceEvent::Receipts { .. } => return Ok(Vec::new()),
        };
        let changes = self.with(|map| map.apply(&event));
        Ok(changes.into_iter().map(Into::into).collect())
    }

    /// What is known of a user who is not offline.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where it is no PUID.
    pub fn get(&self, uid: String) -> Result<Option<UserPresence>, PresenceError> {
        let uid = id(&uid, "uid")?;
        Ok(self.with(|map| map.get(&uid).cloned()).map(Into::into))
    }

    /// The status of a user; who is not known is offline.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where it is no PUID.
    pub fn status(&self, uid: String) -> Result<PresenceStatus, PresenceError> {
        let uid = id(&uid, "uid")?;
        Ok(self.with(|map| map.status(&uid)).into())
    }

    /// Everybody who is not offline, in no order.
    pub fn everybody(&self) -> Vec<UserPresence> {
        self.with(|map| map.iter().cloned().map(Into::into).collect())
    }

    /// How many are not offline.
    pub fn count(&self) -> u64 {
        self.with(|map| map.len()) as u64
    }

    /// Whether news has come since the channel was connected last. Where it has not, the map shows what was true before.
    pub fn is_live(&self) -> bool {
        self.with(|map| map.is_live())
    }
}

fn presences(
    presence: Vec<UserPresence>,
) -> Result<Vec<presence_client::PresenceUpdate>, PresenceError> {
    presence.into_iter().map(TryInto::try_into).collect()
}

/// All that the map wants to know of a state.
fn connectedness(state: &ConnectionState) -> presence_client::ConnectionState {
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
    fn the_map_follows_the_events_as_they_are_exported() {
        let map = PresenceMap::new();
        let uid = "0".repeat(31) + "1";
        let online = UserPresence {
            uid: uid.clone(),
            status: PresenceStatus::Online,
            version: 1,
            since_ms: 0,
            message: None,
            revoked: false,
        };
        let presence = vec![online.clone()];
        let changes = map.apply(AppServiceEvent::Snapshot { presence, gap: false, cursor: None });
        assert_eq!(changes, Ok(vec![PresenceChange { before: None, now: online.clone() }]));
        assert_eq!(map.get(uid.clone()), Ok(Some(online)));
        assert!(map.is_live() && map.count() == 1 && map.everybody().len() == 1);

        map.apply(AppServiceEvent::State { state: ConnectionState::Connecting { attempt: 2 } })
            .unwrap();
        assert!(!map.is_live());
        assert_eq!(map.status(uid), Ok(PresenceStatus::Online));
    }
}
