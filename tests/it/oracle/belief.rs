//! The state that an Application has received, and the rules that each update must keep.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::truth::View;

#[derive(Debug, Clone)]
struct Told {
    view: View,
    version: u64,
    revoked: bool,
}

/// The state that an Application has received, over all its connections.
#[derive(Debug, Default)]
pub(super) struct Belief {
    told: HashMap<String, Told>,
    /// The number of times that a user went offline after being online.
    gone: HashMap<String, usize>,
    pub(super) updates: usize,
}

/// The updates of one connection.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    told: HashMap<String, Told>,
    /// Whether users without an update are known to be offline. It is false on a connection that
    /// resumed another.
    rest_is_offline: bool,
}

impl Hearing {
    /// Records that users without an update are offline.
    pub(super) fn rest_is_offline(&mut self) {
        self.rest_is_offline = true;
    }

    fn takes(&mut self, uid: &str, told: &Told) {
        if let Some(before) = self.told.get(uid) {
            assert!(before.version < told.version, "{uid}: {told:?} came after {before:?}");
            assert!(!before.revoked, "{uid} is dead, and yet: {told:?}");
        }
        let known = self.told.get(uid).map(|before| before.view.clone());
        let known = known.or_else(|| self.rest_is_offline.then(View::offline));
        let repeats = known.is_some_and(|known| known == told.view) && !told.revoked;
        assert!(!repeats, "{uid}: {told:?} says nothing new");
        self.told.insert(uid.to_owned(), told.clone());
    }
}

impl Belief {
    /// Records an update.
    pub(super) fn take(&mut self, hearing: &mut Hearing, update: &Value) {
        let uid = update["uid"].as_str().unwrap().to_owned();
        let (status, text) = (update["status"].as_str().unwrap(), update["message"].as_str());
        assert!(status != "offline" || text.is_none(), "offline with a text: {update}");
        assert_eq!(update["since"].as_u64().unwrap() % 1000, 0, "since is too fine: {update}");
        let told = Told {
            view: View::new(status, text),
            version: update["version"].as_u64().unwrap(),
            revoked: update["revoked"] == true,
        };
        hearing.takes(&uid, &told);
        self.updates += 1;
        if let Some(before) = self.told.get(&uid) {
            if told.version <= before.version {
                return;
            }
            assert!(!before.revoked, "{uid} is dead, and yet: {update}");
        }
        let was_there = self.told.get(&uid).is_some_and(|before| !before.view.is_offline());
        if was_there && told.view.is_offline() {
            *self.gone.entry(uid.clone()).or_default() += 1;
        }
        self.told.insert(uid, told);
    }

    pub(super) fn of(&self, uid: &str) -> View {
        self.told.get(uid).map_or_else(View::offline, |told| told.view.clone())
    }

    pub(super) fn gone(&self, uid: &str) -> usize {
        self.gone.get(uid).copied().unwrap_or(0)
    }

    /// Returns the differences to the model, and the users of whom the Application must not know.
    pub(super) fn errors(
        &self,
        truth: &HashMap<String, View>,
        granted: &HashSet<String>,
    ) -> Vec<String> {
        let wrong = truth.iter().filter(|(uid, view)| self.of(uid) != **view).map(|(uid, view)| {
            format!("{uid} is {view:?}, and believed to be {:?}", self.told.get(uid))
        });
        let ghosts = self.told.iter().filter(|(uid, told)| {
            !granted.contains(*uid)
                || (!truth.contains_key(*uid) && !told.view.is_offline())
                || (truth.contains_key(*uid) && told.revoked)
        });
        wrong.chain(ghosts.map(|(uid, told)| format!("{uid} should not be {told:?}"))).collect()
    }
}
