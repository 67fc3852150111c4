//! The present statuses of an Application's users, kept in memory.

use std::collections::HashMap;

use presence_protocol::{PresenceUpdate, Puid, Status};

use super::AppServiceEvent;
use crate::state::ConnectionState;

/// Who is not offline, as the events of an [`AppServiceChannel`](crate::AppServiceChannel) tell it.
///
/// Give it every event, and it mirrors what the Application may know: after a reconnect, a gap or a revoke too.
#[derive(Debug, Clone, Default)]
pub struct PresenceMap {
    present: HashMap<Puid, PresenceUpdate>,
    is_live: bool,
}

/// What an event changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceChange {
    /// What was known before; `None` where the user was offline or unknown.
    pub before: Option<PresenceUpdate>,
    /// What is known now. Where a user has left unheard, in a gap, this is `offline` with the version and time of what was
    /// known before, since the true ones are not known.
    pub now: PresenceUpdate,
}

impl PresenceMap {
    /// A map in which nobody is present.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an event over, and says what it changed for the application: only differences of status or text, and revokes.
    pub fn apply(&mut self, event: &AppServiceEvent) -> Vec<PresenceChange> {
        match event {
            AppServiceEvent::State(state) => {
                // Until the first news after it, what is shown is what was known.
                self.is_live &= *state == ConnectionState::Connected;
                Vec::new()
            }
            AppServiceEvent::Snapshot(snapshot) => {
                self.is_live = true;
                self.replace(&snapshot.presence)
            }
            AppServiceEvent::Updates(updates) => {
                self.is_live = true;
                updates.presence.iter().filter_map(|presence| self.update(presence)).collect()
            }
            AppServiceEvent::Receipts(_) => Vec::new(),
        }
    }

    /// What is known of a user who is not offline.
    pub fn get(&self, uid: &Puid) -> Option<&PresenceUpdate> {
        self.present.get(uid)
    }

    /// The status of a user; who is not known is offline.
    pub fn status(&self, uid: &Puid) -> Status {
        self.get(uid).map_or(Status::Offline, |presence| presence.status)
    }

    /// Everybody who is not offline, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &PresenceUpdate> {
        self.present.values()
    }

    /// How many are not offline.
    pub fn len(&self) -> usize {
        self.present.len()
    }

    /// Whether everybody is offline.
    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// Whether news has come since the channel was connected last. Where it has not, the map shows what was true before.
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    fn update(&mut self, now: &PresenceUpdate) -> Option<PresenceChange> {
        let before = self.present.get(&now.uid).cloned();
        if before.as_ref().is_some_and(|before| before.version >= now.version) {
            return None;
        }
        if now.status == Status::Offline {
            self.present.remove(&now.uid);
        } else {
            self.present.insert(now.uid, now.clone());
        }
        let same = match &before {
            Some(before) => before.status == now.status && before.message == now.message,
            None => now.status == Status::Offline,
        };
        (!same || now.revoked).then(|| PresenceChange { before, now: now.clone() })
    }

    fn replace(&mut self, snapshot: &[PresenceUpdate]) -> Vec<PresenceChange> {
        let mut earlier = std::mem::take(&mut self.present);
        let mut changes = Vec::new();
        for now in snapshot {
            let before = earlier.remove(&now.uid);
            let same = before
                .as_ref()
                .is_some_and(|before| before.status == now.status && before.message == now.message);
            if now.status != Status::Offline {
                self.present.insert(now.uid, now.clone());
            }
            if !same && (before.is_some() || now.status != Status::Offline) {
                changes.push(PresenceChange { before, now: now.clone() });
            }
        }
        changes.extend(earlier.into_values().map(|before| {
            let now = PresenceUpdate { status: Status::Offline, message: None, ..before.clone() };
            PresenceChange { before: Some(before), now }
        }));
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app_service::{Snapshot, Updates};

    fn presence(uid: u128, status: Status, version: u64) -> PresenceUpdate {
        PresenceUpdate {
            uid: Puid::from_bits(uid),
            status,
            version,
            since: presence_protocol::UnixMillis::default(),
            message: None,
            revoked: false,
        }
    }

    fn updates(presence: &[PresenceUpdate]) -> AppServiceEvent {
        AppServiceEvent::Updates(Updates { presence: presence.to_vec(), cursor: None })
    }

    fn snapshot(presence: &[PresenceUpdate], gap: bool) -> AppServiceEvent {
        AppServiceEvent::Snapshot(Snapshot { presence: presence.to_vec(), gap, cursor: None })
    }

    #[test]
    fn who_comes_and_goes_is_told_once() {
        let mut map = PresenceMap::new();
        let online = presence(1, Status::Online, 1);
        let changes = map.apply(&updates(std::slice::from_ref(&online)));
        assert_eq!(changes, [PresenceChange { before: None, now: online.clone() }]);
        assert!(map.apply(&updates(std::slice::from_ref(&online))).is_empty());
        let offline = presence(1, Status::Offline, 2);
        let changes = map.apply(&updates(std::slice::from_ref(&offline)));
        assert_eq!(changes, [PresenceChange { before: Some(online), now: offline }]);
        assert!(map.is_empty() && map.status(&Puid::from_bits(1)) == Status::Offline);
    }

    #[test]
    fn who_is_absent_from_a_snapshot_has_gone() {
        let mut map = PresenceMap::new();
        let (stays, goes) = (presence(1, Status::Online, 5), presence(2, Status::Unavailable, 5));
        map.apply(&snapshot(&[stays.clone(), goes.clone()], false));
        let changes = map.apply(&snapshot(&[stays], true));
        assert_eq!((changes.len(), map.len()), (1, 1));
        assert_eq!(changes[0].before, Some(goes));
        assert_eq!(changes[0].now.status, Status::Offline);
    }

    #[test]
    fn an_update_older_than_what_is_known_changes_nothing() {
        let mut map = PresenceMap::new();
        map.apply(&updates(&[presence(1, Status::Online, 5)]));
        assert!(map.apply(&updates(&[presence(1, Status::Offline, 4)])).is_empty());
        assert_eq!(map.status(&Puid::from_bits(1)), Status::Online);
    }

    #[test]
    fn a_revoke_is_always_told() {
        let mut map = PresenceMap::new();
        let revoked = PresenceUpdate { revoked: true, ..presence(1, Status::Offline, 3) };
        assert_eq!(map.apply(&updates(&[revoked])).len(), 1);
    }

    #[test]
    fn the_map_is_live_from_the_first_news_until_the_connection_is_lost() {
        let mut map = PresenceMap::new();
        assert!(!map.is_live());
        map.apply(&snapshot(&[], false));
        assert!(map.is_live());
        map.apply(&AppServiceEvent::State(ConnectionState::Connecting { attempt: 1 }));
        assert!(!map.is_live());
        map.apply(&AppServiceEvent::State(ConnectionState::Connected));
        assert!(!map.is_live());
        map.apply(&updates(&[]));
        assert!(map.is_live());
    }
}
