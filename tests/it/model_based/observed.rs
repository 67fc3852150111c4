//! The state that an Application has received, and the rules that each update must keep.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::expected::VisibleStatus;

#[derive(Debug, Clone)]
struct ObservedPresence {
    view: VisibleStatus,
    version: u64,
    revoked: bool,
}

/// The state that an Application has received, over all its connections.
#[derive(Debug, Default)]
pub(super) struct ObservedState {
    presences: HashMap<String, ObservedPresence>,
    /// The number of times that a user went offline after being online.
    times_offline: HashMap<String, usize>,
    pub(super) updates: usize,
}

/// The updates of one connection.
#[derive(Debug, Default)]
pub(super) struct ConnectionUpdates {
    presences: HashMap<String, ObservedPresence>,
    /// A flag: users without an update are known to be offline. It is not set on a connection
    /// that resumed another.
    rest_is_offline: bool,
}

impl ConnectionUpdates {
    /// Records that users without an update are offline.
    pub(super) fn mark_rest_offline(&mut self) {
        self.rest_is_offline = true;
    }

    fn record(&mut self, uid: &str, presence: &ObservedPresence) {
        if let Some(before) = self.presences.get(uid) {
            assert!(before.version < presence.version, "{uid}: {presence:?} came after {before:?}");
            assert!(!before.revoked, "{uid} was revoked before {presence:?}");
        }
        let known = self.presences.get(uid).map(|before| before.view.clone());
        let known = known.or_else(|| self.rest_is_offline.then(VisibleStatus::offline));
        let repeats = known.is_some_and(|known| known == presence.view) && !presence.revoked;
        assert!(!repeats, "{uid}: {presence:?} repeats the known status");
        self.presences.insert(uid.to_owned(), presence.clone());
    }
}

impl ObservedState {
    /// Records an update.
    pub(super) fn record(&mut self, connection: &mut ConnectionUpdates, update: &Value) {
        let uid = update["uid"].as_str().unwrap().to_owned();
        let (status, text) = (update["status"].as_str().unwrap(), update["message"].as_str());
        assert!(status != "offline" || text.is_none(), "offline with a text: {update}");
        assert_eq!(
            update["since"].as_u64().unwrap() % 1000,
            0,
            "since is more precise than a second: {update}"
        );
        let presence = ObservedPresence {
            view: VisibleStatus::new(status, text),
            version: update["version"].as_u64().unwrap(),
            revoked: update["revoked"] == true,
        };
        connection.record(&uid, &presence);
        self.updates += 1;
        if let Some(before) = self.presences.get(&uid) {
            if presence.version <= before.version {
                return;
            }
            assert!(!before.revoked, "{uid} was revoked before {update}");
        }
        let was_visible = self.presences.get(&uid).is_some_and(|before| !before.view.is_offline());
        if was_visible && presence.view.is_offline() {
            *self.times_offline.entry(uid.clone()).or_default() += 1;
        }
        self.presences.insert(uid, presence);
    }

    pub(super) fn of(&self, uid: &str) -> VisibleStatus {
        self.presences
            .get(uid)
            .map_or_else(VisibleStatus::offline, |presence| presence.view.clone())
    }

    pub(super) fn times_offline(&self, uid: &str) -> usize {
        self.times_offline.get(uid).copied().unwrap_or(0)
    }

    /// Returns the differences to the model, and the users of whom the Application must not know.
    pub(super) fn errors(
        &self,
        expected: &HashMap<String, VisibleStatus>,
        granted: &HashSet<String>,
    ) -> Vec<String> {
        let wrong =
            expected.iter().filter(|(uid, view)| self.of(uid) != **view).map(|(uid, view)| {
                format!("{uid} must be {view:?}, but is {:?}", self.presences.get(uid))
            });
        let unexpected = self.presences.iter().filter(|(uid, presence)| {
            !granted.contains(*uid)
                || (!expected.contains_key(*uid) && !presence.view.is_offline())
                || (expected.contains_key(*uid) && presence.revoked)
        });
        wrong
            .chain(unexpected.map(|(uid, presence)| format!("{uid} must not be {presence:?}")))
            .collect()
    }
}
