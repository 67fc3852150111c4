//! What the task of a channel and the application's handles share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::Talk;
use crate::state::{AppVisibility, ConnectionState, EndReason};

/// The talk behind a lock that is never held over an await, and two bells: one for the task, one for the application.
pub(crate) struct Shared<T> {
    talk: Mutex<T>,
    for_task: Notify,
    for_application: Notify,
    closing: AtomicBool,
    hinted: AtomicBool,
    background: AtomicBool,
}

impl<T: Talk> Shared<T> {
    pub(crate) fn new(talk: T) -> Arc<Self> {
        Arc::new(Self {
            talk: Mutex::new(talk),
            for_task: Notify::new(),
            for_application: Notify::new(),
            closing: AtomicBool::new(false),
            hinted: AtomicBool::new(false),
            background: AtomicBool::new(false),
        })
    }

    /// The application changes something, and the task is told.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = self.with(change);
        self.for_task.notify_waiters();
        result
    }

    /// The task changes something, and the application is told.
    pub(crate) fn tell<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = self.with(change);
        self.for_application.notify_waiters();
        result
    }

    /// Looks, or changes what concerns nobody else.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        // A panic under the lock would be a bug of this crate; the talk is still better than none.
        work(&mut self.talk.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits, on behalf of the application, until there is something. Cancel-safe: what is taken is returned in the same breath.
    pub(crate) async fn until<R>(&self, take: impl FnMut(&mut T) -> Option<R>) -> R {
        self.wait(&self.for_application, take).await
    }

    /// Waits, on behalf of the task, until there is something.
    pub(crate) async fn until_changed<R>(&self, take: impl FnMut(&mut T) -> Option<R>) -> R {
        self.wait(&self.for_task, take).await
    }

    /// The next change by the application.
    pub(crate) fn bell(&self) -> Notified<'_> {
        self.for_task.notified()
    }

    async fn wait<R>(&self, bell: &Notify, mut take: impl FnMut(&mut T) -> Option<R>) -> R {
        loop {
            let ring = bell.notified();
            tokio::pin!(ring);
            // Registered before looking, so that no ring is missed in between.
            ring.as_mut().enable();
            if let Some(taken) = self.with(&mut take) {
                return taken;
            }
            ring.await;
        }
    }

    /// Whether the application wants the channel closed.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Closes it.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.for_task.notify_waiters();
    }

    /// Now is a good moment to look whether the connection is alive, or to come back.
    pub(crate) fn hint(&self) {
        self.hinted.store(true, Ordering::Release);
        self.for_task.notify_waiters();
    }

    /// Whether there was a hint since this was asked last.
    pub(crate) fn take_hint(&self) -> bool {
        self.hinted.swap(false, Ordering::AcqRel)
    }

    /// Whether the app is out of sight.
    pub(crate) fn is_in_background(&self) -> bool {
        self.background.load(Ordering::Acquire)
    }

    /// The app is in front of the user, or is not any more.
    pub(crate) fn set_app_visibility(&self, state: AppVisibility) {
        self.background.store(state == AppVisibility::Background, Ordering::Release);
        match state {
            AppVisibility::Foreground => self.hint(),
            AppVisibility::Background => self.for_task.notify_waiters(),
        }
    }

    /// Waits, on behalf of the application, until the state differs from `known`. Returns `None` if `known` is the end.
    pub(crate) async fn wait_for_state_change(
        &self,
        known: &ConnectionState,
    ) -> Option<ConnectionState> {
        self.until(|talk| {
            let state = talk.state();
            let has_changed = state != known;
            let is_over = matches!(state, ConnectionState::Ended(_));
            (has_changed || is_over).then(|| has_changed.then(|| state.clone()))
        })
        .await
    }

    /// Waits until the channel has ended.
    pub(crate) async fn ended(&self) -> EndReason {
        self.until(|talk| {
            if let ConnectionState::Ended(end) = talk.state() { Some(end.clone()) } else { None }
        })
        .await
    }
}

/// The application's hold on a channel; when the last one is dropped, the channel is closed.
pub(crate) struct Handle<T: Talk>(Arc<Shared<T>>);

impl<T: Talk> Handle<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>) -> Arc<Self> {
        Arc::new(Self(shared))
    }
}

impl<T: Talk> std::ops::Deref for Handle<T> {
    type Target = Shared<T>;

    fn deref(&self) -> &Shared<T> {
        &self.0
    }
}

impl<T: Talk> Drop for Handle<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}
