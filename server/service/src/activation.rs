//! The lock under which Applications are activated and deactivated.

use std::sync::Arc;

use presence_core::UnixMillis;
use presence_core::model::ApplicationState;
use presence_protocol::{ApiError, AppId, Errno};
use presence_store::Store;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::errors::from_store;
use crate::hub::Hub;
use crate::to_end::to_end;

/// The lock that is held while the state of an Application changes, so that the database and the
/// hub agree on it.
pub(crate) struct ActivationLock {
    store: Store,
    lock: Arc<Mutex<Changed>>,
}

/// The store and the hub, inside the lock, so that work that changes them has the lock.
struct Changed {
    store: Store,
    hub: Arc<Hub>,
}

/// The right to change the states of Applications. A change is done to its end, and the lock is
/// held until then, also if the caller goes away.
pub(crate) struct ActivationGuard(OwnedMutexGuard<Changed>);

impl ActivationLock {
    /// Creates the lock.
    pub(crate) fn new(store: Store, hub: Arc<Hub>) -> Self {
        Self { store: store.clone(), lock: Arc::new(Mutex::new(Changed { store, hub })) }
    }

    /// Waits for the lock. Its holder may wait for the database, so this counts as such a wait.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub(crate) async fn acquire(&self) -> Result<ActivationGuard, ApiError> {
        let lock = Arc::clone(&self.lock).lock_owned();
        let locked = self.store.in_time(async { Ok(lock.await) }).await;
        locked.map(ActivationGuard).map_err(from_store)
    }
}

impl ActivationGuard {
    /// Sets the state of an Application. The sockets of an inactive one are closed.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub(crate) async fn set_state(
        self,
        app: AppId,
        state: ApplicationState,
    ) -> Result<(), ApiError> {
        to_end(async move {
            self.0.store.set_app_state(app, state).await.map_err(from_store)?;
            self.0.hub.set_active(app, state == ApplicationState::Active);
            Ok(())
        })
        .await
    }

    /// Ends a change that concerns no state.
    pub(crate) fn note_change(self) {
        self.0.hub.note_application_change();
    }

    /// Sets or clears the time since which the operator blocks an Application. If it is set
    /// already, the first time stays.
    ///
    /// # Errors
    ///
    /// `unknown_application`, `storage_unavailable`.
    pub(crate) async fn set_blocked(
        self,
        app: AppId,
        since: Option<UnixMillis>,
    ) -> Result<(), ApiError> {
        to_end(async move {
            let find = || async { self.0.store.app(app).await.map_err(from_store) };
            let before = find().await?.ok_or(Errno::UnknownApplication)?;
            if before.blocked_at.is_some() != since.is_some() {
                self.0.store.set_app_blocked(app, since).await.map_err(from_store)?;
            }
            // A blocked Application is known to be inactive without another read, which may fail.
            let is_active = since.is_none()
                && find().await?.is_some_and(|app| app.state == ApplicationState::Active);
            self.0.hub.set_active(app, is_active);
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use presence_core::model::App;
    use presence_core::{Clock, Email, ManualClock};
    use presence_protocol::CloseCode;
    use presence_store::StoreSettings;

    use super::*;
    use crate::hub::local::LocalHub;
    use crate::hub::{HubLimits, NewReader};
    use crate::socket_waker::SocketWaker;
    use crate::testing;

    const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);
    const APP: AppId = AppId::from_bits(1);

    async fn store_with_app(directory: &std::path::Path) -> Store {
        let url = format!("sqlite://{}/t.db?mode=rwc", directory.display());
        let patience = StoreSettings { deadline: Duration::from_mins(5), ..Default::default() };
        let store = Store::open_with(&url, NOW, patience).await.unwrap();
        let email = Email::parse("dev@mail.example").unwrap();
        let app = App {
            id: APP,
            owner: store.find_or_create_user(&email, NOW).await.unwrap(),
            name: "Chess".to_owned(),
            previous_name: None,
            domain: "chess.example".to_owned(),
            description: String::new(),
            state: ApplicationState::Active,
            domain_key: "key".to_owned(),
            created_at: NOW,
            last_looked_at: None,
            blocked_at: None,
        };
        assert!(store.insert_app(&app, 1).await.unwrap());
        store
    }

    fn hub_of(store: &Store) -> Arc<Hub> {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW));
        let (limits, steady) = (HubLimits::from(&testing::settings()), clock.steady());
        let local = LocalHub::new(clock, limits, store.epoch(), steady);
        Arc::new(Hub::Local(Arc::new(local)))
    }

    #[tokio::test]
    async fn the_lock_is_held_until_the_change_is_done_also_if_the_caller_goes_away() {
        for is_block in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let store = store_with_app(directory.path()).await;
            let activation = ActivationLock::new(store.clone(), hub_of(&store));
            let guard = activation.acquire().await.unwrap();
            // The first poll starts the work in a task, which has not run when its caller is gone.
            if is_block {
                assert!(guard.set_blocked(APP, Some(NOW)).now_or_never().is_none());
            } else {
                let change = guard.set_state(APP, ApplicationState::Inactive);
                assert!(change.now_or_never().is_none());
            }
            assert!(activation.lock.try_lock().is_err());
            drop(activation.acquire().await.unwrap());
        }
    }

    /// Polls a change until it is committed, and drops it then, as a client does that disconnects.
    async fn drop_after_commit(store: &Store, change: impl Future<Output = Result<(), ApiError>>) {
        let mut change = Box::pin(change);
        while store.app(APP).await.unwrap().unwrap().state == ApplicationState::Active {
            let _ = (&mut change).now_or_never();
        }
    }

    #[tokio::test]
    async fn a_developer_or_operator_who_goes_away_after_the_commit_leaves_no_socket_open() {
        for is_block in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let store = store_with_app(directory.path()).await;
            let hub = hub_of(&store);
            let waker = Arc::new(SocketWaker::default());
            let reader = NewReader::Paged { cursor: None, receipts: false };
            let stream = (APP, ApplicationState::Active);
            let socket = hub.subscribe(stream, (1, Arc::clone(&waker)), 9, reader).await;
            let _socket = socket.unwrap_or_else(|_| panic!("no socket"));
            let lock = ActivationLock::new(store.clone(), hub);
            let guard = lock.acquire().await.unwrap();
            if is_block {
                drop_after_commit(&store, guard.set_blocked(APP, Some(NOW))).await;
            } else {
                let inactive = ApplicationState::Inactive;
                drop_after_commit(&store, guard.set_state(APP, inactive)).await;
            }
            // The lock is free when the change is done.
            drop(lock.acquire().await.unwrap());
            assert_eq!(waker.closing(), Some(CloseCode::ApplicationClosed));
        }
    }
}
