//! The checks of users by Applications, noted in memory and written soon: no call waits for it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use presence_core::UnixMillis;
use presence_protocol::{AppId, Puid};
use presence_store::{Live, NewChecks, StoreError};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::errors::or_logged;

/// The maximum number of checks of single users that wait to be written. While so many wait, a
/// further check counts as one of all users of the Application.
const CAPACITY: usize = 100_000;
/// The shortest time between two writes.
const INTERVAL: Duration = Duration::from_millis(20);

/// The checks that are not written yet.
#[derive(Default)]
pub(super) struct CheckLog {
    noted: Mutex<NewChecks>,
    /// Held during a write, so that who waits for a write waits for those before it too.
    writing: tokio::sync::Mutex<()>,
    signal: Notify,
}

impl CheckLog {
    /// Notes a check of all users of an Application.
    pub(super) fn note_all(&self, app: AppId, now: UnixMillis) {
        self.lock().of_all.insert(app, now);
        self.signal.notify_one();
    }

    /// Notes a check of some users, who must have a grant.
    pub(super) fn note_users(&self, app: AppId, users: &[Puid], now: UnixMillis) {
        let mut noted = self.lock();
        if noted.of_user.len() + users.len() > CAPACITY {
            noted.of_all.insert(app, now);
        } else {
            noted.of_user.extend(users.iter().map(|puid| ((app, *puid), now)));
        }
        drop(noted);
        self.signal.notify_one();
    }

    /// Writes what was noted. After an error it is still noted.
    pub(super) async fn write(&self, live: &Live) -> Result<(), StoreError> {
        let writing = self.writing.lock().await;
        let taken = std::mem::take(&mut *self.lock());
        let written = live.record_checks(&taken).await;
        if written.is_err() {
            let mut noted = self.lock();
            for (app, at) in taken.of_all {
                noted.of_all.entry(app).or_insert(at);
            }
            for (grant, at) in taken.of_user {
                noted.of_user.entry(grant).or_insert(at);
            }
        }
        drop(writing);
        written
    }

    /// Writes what is noted, forever.
    pub(super) async fn run(&self, live: &Live) {
        loop {
            self.signal.notified().await;
            if or_logged("checks are not written", self.write(live).await).is_none() {
                sleep(Duration::from_secs(1)).await;
                self.signal.notify_one();
            }
            sleep(INTERVAL).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, NewChecks> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_takes_further_checks_as_those_of_all_users() {
        let (log, app) = (CheckLog::default(), AppId::from_bits(1));
        let users: Vec<Puid> = (0..CAPACITY as u128).map(Puid::from_bits).collect();
        log.note_users(app, &users, UnixMillis::new(1));
        assert!(log.lock().of_all.is_empty());
        log.note_users(app, &[Puid::from_bits(u128::MAX)], UnixMillis::new(2));
        let noted = log.lock();
        assert_eq!((noted.of_user.len(), noted.of_all[&app]), (CAPACITY, UnixMillis::new(2)));
    }
}
