//! The state of the users that Applications must be shown, by what their devices were answered.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

/// The state of a user as an Application is shown it. The text of each report is its number, so
/// that no two reports of a user look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Shown {
    Offline,
    Online(u64),
    Unavailable(u64),
}

impl Shown {
    /// Reads an update or an entry of a snapshot.
    pub(crate) fn of(update: &Value) -> Self {
        let number = || update["message"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        match update["status"].as_str() {
            Some("online") => Self::Online(number()),
            Some("unavailable") => Self::Unavailable(number()),
            Some("offline") => Self::Offline,
            _ => panic!("no status: {update}"),
        }
    }

    /// Returns the frame with which a device reports it.
    pub(crate) fn frame(self, id: u64) -> Value {
        match self {
            Self::Offline => json!({"status": "offline", "id": id}),
            Self::Online(number) => {
                json!({"status": "online", "message": number.to_string(), "id": id})
            }
            Self::Unavailable(number) => {
                json!({"status": "unavailable", "message": number.to_string(), "id": id})
            }
        }
    }

    pub(crate) fn is_offline(self) -> bool {
        self == Self::Offline
    }
}

/// The facts that are known of a user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    /// The state after the last report that was answered with OK.
    pub(crate) shown: Shown,
    /// The number of times that Applications may have seen the user go offline.
    pub(crate) departures: u64,
    /// A flag: the state is certain, and the device changes nothing until there is traffic again.
    pub(crate) is_certain: bool,
    /// A flag: the device is connected.
    pub(crate) is_connected: bool,
}

/// The notifications that were answered with OK, and those that devices received.
#[derive(Default)]
struct Notifications {
    accepted: Vec<(usize, String)>,
    received: HashSet<String>,
}

/// The facts that are known of all users.
pub(crate) struct Expectations {
    users: Vec<Mutex<Expected>>,
    changes: AtomicU64,
    notifications: Mutex<Notifications>,
    accepted: AtomicU64,
    repeated: AtomicU64,
    unexpected: Mutex<HashMap<String, u64>>,
}

impl Expectations {
    pub(crate) fn new(users: usize) -> Self {
        let expected = Expected {
            shown: Shown::Offline,
            departures: 0,
            is_certain: false,
            is_connected: false,
        };
        Self {
            users: (0..users).map(|_| Mutex::new(expected)).collect(),
            changes: AtomicU64::new(0),
            notifications: Mutex::default(),
            accepted: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            unexpected: Mutex::default(),
        }
    }

    pub(crate) fn users(&self) -> usize {
        self.users.len()
    }

    pub(crate) fn of(&self, user: usize) -> Expected {
        *self.users[user].lock().unwrap()
    }

    pub(crate) fn change(&self, user: usize, change: impl FnOnce(&mut Expected)) {
        change(&mut self.users[user].lock().unwrap());
    }

    /// Records a report that was answered with OK.
    pub(crate) fn record_report(&self, user: usize, shown: Shown) {
        self.change(user, |expected| expected.shown = shown);
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that Applications may see the user go offline once more.
    pub(crate) fn allow_departure(&self, user: usize) {
        self.change(user, |expected| expected.departures += 1);
    }

    /// Returns the number of reports that were answered with OK.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Returns true if the state of all users is certain.
    pub(crate) fn are_certain(&self) -> bool {
        (0..self.users()).all(|user| self.of(user).is_certain)
    }

    /// Records that a notification was answered with OK.
    pub(crate) fn record_accepted(&self, user: usize, id: String) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.notifications.lock().unwrap().accepted.push((user, id));
    }

    /// Returns the number of notifications that were answered with OK.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Records that a device received a notification.
    pub(crate) fn record_received(&self, id: &str) {
        if !self.notifications.lock().unwrap().received.insert(id.to_owned()) {
            self.repeated.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the number of notifications that devices received again.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// Returns the number of accepted notifications that no device received, though the user's is
    /// connected. Those that were received are forgotten.
    pub(crate) fn undelivered(&self) -> u64 {
        let mut notifications = self.notifications.lock().unwrap();
        let Notifications { accepted, received } = &mut *notifications;
        accepted.retain(|(_, id)| !received.contains(id));
        let waits = |(user, _): &&(usize, String)| self.of(*user).is_connected;
        accepted.iter().filter(waits).count() as u64
    }

    /// Forgets the notifications that users with a connected device did not receive.
    pub(crate) fn forget_undelivered(&self) {
        let mut notifications = self.notifications.lock().unwrap();
        notifications.accepted.retain(|(user, _)| !self.of(*user).is_connected);
    }

    /// Records an answer that no client expects.
    pub(crate) fn record_unexpected(&self, answer: String) {
        *self.unexpected.lock().unwrap().entry(answer).or_default() += 1;
    }

    /// Returns the answers that no client expects, with their numbers, and forgets them.
    pub(crate) fn take_unexpected(&self) -> HashMap<String, u64> {
        std::mem::take(&mut self.unexpected.lock().unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accepted_notification_is_undelivered_until_the_connected_device_has_it() {
        let expectations = Expectations::new(2);
        expectations.record_accepted(0, "a".to_owned());
        expectations.record_accepted(1, "b".to_owned());
        assert_eq!(expectations.undelivered(), 0, "no device is connected");
        expectations.change(0, |expected| expected.is_connected = true);
        assert_eq!(expectations.undelivered(), 1);
        expectations.record_received("a");
        assert_eq!(expectations.undelivered(), 0);
        expectations.record_received("a");
        assert_eq!((expectations.accepted(), expectations.repeated()), (2, 1));
    }
}
