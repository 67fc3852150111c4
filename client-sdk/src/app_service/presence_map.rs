//! The current presence of the users of an Application, kept in memory.

use std::collections::HashMap;

use presence_protocol::Puid;
use presence_protocol::open::{OpenPresence, OpenStatus};

use super::event::AppServiceEvent;
use crate::state::ConnectionState;

/// The users who are not offline, according to the events of an
/// [`AppServiceChannel`](crate::AppServiceChannel).
///
/// An application that passes every event to [`apply`](Self::apply) always has the presence that
/// it may see, also after a reconnect, a gap or a revoked grant.
#[derive(Debug, Clone, Default)]
pub struct PresenceMap {
    users: HashMap<Puid, OpenPresence>,
    is_live: bool,
    is_stale: bool,
}

/// The change of one user by an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceChange {
    /// The earlier presence; `None` if the user was offline or unknown.
    pub before: Option<OpenPresence>,
    /// The new presence. If the user went offline within a gap, it is `offline` with the version
    /// and time of the earlier presence, since the true ones are not known.
    pub after: OpenPresence,
}

impl PresenceMap {
    /// Returns a map in which all users are offline.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a map of users who were not offline. It is not live before the next event.
    pub(super) fn from_users(users: impl Iterator<Item = OpenPresence>) -> Self {
        Self { users: users.map(|user| (user.uid, user)).collect(), ..Self::default() }
    }

    /// Applies an event, and returns the changes: differences of status or text, and revoked
    /// grants.
    pub fn apply(&mut self, event: &AppServiceEvent) -> Vec<PresenceChange> {
        match event {
            AppServiceEvent::State(state) => {
                // Until the next snapshot or update the map shows the earlier presence.
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
            AppServiceEvent::Stale(is_stale) => {
                self.is_stale = *is_stale;
                Vec::new()
            }
            AppServiceEvent::Receipts(_) => Vec::new(),
        }
    }

    /// Returns the presence of a user who is not offline.
    pub fn get(&self, uid: &Puid) -> Option<&OpenPresence> {
        self.users.get(uid)
    }

    /// Returns the status of a user. Unknown users are offline.
    pub fn status(&self, uid: &Puid) -> OpenStatus {
        self.get(uid).map_or(OpenStatus::Offline, |presence| presence.status.clone())
    }

    /// Returns the users who are not offline, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &OpenPresence> {
        self.users.values()
    }

    /// Returns the number of users who are not offline.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Returns true if all users are offline.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Returns true if a snapshot or update has arrived since the channel was last connected, and
    /// the server can see changes. If not, the map shows the earlier presence.
    pub fn is_live(&self) -> bool {
        self.is_live && !self.is_stale
    }

    fn update(&mut self, after: &OpenPresence) -> Option<PresenceChange> {
        let before = self.users.get(&after.uid).cloned();
        if before.as_ref().is_some_and(|before| before.version >= after.version) {
            return None;
        }
        if after.status == OpenStatus::Offline {
            self.users.remove(&after.uid);
        } else {
            self.users.insert(after.uid, after.clone());
        }
        let is_same = match &before {
            Some(before) => before.status == after.status && before.message == after.message,
            None => after.status == OpenStatus::Offline,
        };
        (!is_same || after.revoked).then(|| PresenceChange { before, after: after.clone() })
    }

    fn replace(&mut self, snapshot: &[OpenPresence]) -> Vec<PresenceChange> {
        let mut earlier = std::mem::take(&mut self.users);
        let mut changes = Vec::new();
        for after in snapshot {
            let before = earlier.remove(&after.uid);
            let is_same = before.as_ref().is_some_and(|before| {
                before.status == after.status && before.message == after.message
            });
            if after.status != OpenStatus::Offline {
                self.users.insert(after.uid, after.clone());
            }
            if !is_same && (before.is_some() || after.status != OpenStatus::Offline) {
                changes.push(PresenceChange { before, after: after.clone() });
            }
        }
        changes.extend(earlier.into_values().map(|before| {
            let after =
                OpenPresence { status: OpenStatus::Offline, message: None, ..before.clone() };
            PresenceChange { before: Some(before), after }
        }));
        changes
    }
}

#[cfg(test)]
mod tests {
    use presence_protocol::UnixMillis;

    use super::*;
    use crate::app_service::event::{Snapshot, Updates};

    fn presence(uid: u128, status: OpenStatus, version: u64) -> OpenPresence {
        OpenPresence {
            uid: Puid::from_bits(uid),
            status,
            cause: None,
            version,
            since: UnixMillis::default(),
            message: None,
            revoked: false,
        }
    }

    fn updates(presence: &[OpenPresence]) -> AppServiceEvent {
        AppServiceEvent::Updates(Updates { presence: presence.to_vec(), cursor: None })
    }

    fn snapshot(presence: &[OpenPresence], gap: bool) -> AppServiceEvent {
        AppServiceEvent::Snapshot(Snapshot { presence: presence.to_vec(), gap, cursor: None })
    }

    #[test]
    fn each_change_of_a_user_is_reported_once() {
        let mut map = PresenceMap::new();
        let online = presence(1, OpenStatus::Online, 1);
        let changes = map.apply(&updates(std::slice::from_ref(&online)));
        assert_eq!(changes, [PresenceChange { before: None, after: online.clone() }]);
        assert!(map.apply(&updates(std::slice::from_ref(&online))).is_empty());
        let offline = presence(1, OpenStatus::Offline, 2);
        let changes = map.apply(&updates(std::slice::from_ref(&offline)));
        assert_eq!(changes, [PresenceChange { before: Some(online), after: offline }]);
        assert!(map.is_empty() && map.status(&Puid::from_bits(1)) == OpenStatus::Offline);
    }

    #[test]
    fn a_user_who_is_absent_from_a_snapshot_is_offline() {
        let mut map = PresenceMap::new();
        let (remains, absent) =
            (presence(1, OpenStatus::Online, 5), presence(2, OpenStatus::Unavailable, 5));
        map.apply(&snapshot(&[remains.clone(), absent.clone()], false));
        let changes = map.apply(&snapshot(&[remains], true));
        assert_eq!((changes.len(), map.len()), (1, 1));
        assert_eq!(changes[0].before, Some(absent));
        assert_eq!(changes[0].after.status, OpenStatus::Offline);
    }

    #[test]
    fn an_older_update_changes_nothing() {
        let mut map = PresenceMap::new();
        map.apply(&updates(&[presence(1, OpenStatus::Online, 5)]));
        assert!(map.apply(&updates(&[presence(1, OpenStatus::Offline, 4)])).is_empty());
        assert_eq!(map.status(&Puid::from_bits(1)), OpenStatus::Online);
    }

    #[test]
    fn a_revoked_grant_is_always_reported() {
        let mut map = PresenceMap::new();
        let revoked = OpenPresence { revoked: true, ..presence(1, OpenStatus::Offline, 3) };
        assert_eq!(map.apply(&updates(&[revoked])).len(), 1);
    }

    #[test]
    fn the_map_is_live_from_the_first_update_until_the_connection_is_lost() {
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
