//! The state that the task of a channel and the handles of the application share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::connection_meters::ConnectionMeters;
use super::protocol_state::ProtocolState;
use crate::counters::ChannelCounters;
use crate::end_reason::EndReason;
use crate::state::{AppVisibility, ConnectionState, StateChange};

/// The protocol state behind a lock that is never held over an await, with one notification for
/// the task and one for the application.
pub(crate) struct SharedState<P> {
    protocol: Mutex<P>,
    task_notify: Notify,
    app_notify: Notify,
    closing: AtomicBool,
    /// Set by a hint: the network or the visibility of the app has changed, so the connection is
    /// checked now, or the next attempt starts soon.
    hinted: AtomicBool,
    /// The number of hints so far.
    hints: AtomicU64,
    background: AtomicBool,
    meters: ConnectionMeters,
    /// The number of times that the task was polled.
    wakes: AtomicU64,
}

impl<P: ProtocolState> SharedState<P> {
    pub(crate) fn new(protocol: P) -> Arc<Self> {
        Arc::new(Self {
            protocol: Mutex::new(protocol),
            task_notify: Notify::new(),
            app_notify: Notify::new(),
            closing: AtomicBool::new(false),
            hinted: AtomicBool::new(false),
            hints: AtomicU64::new(0),
            background: AtomicBool::new(false),
            meters: ConnectionMeters::new(),
            wakes: AtomicU64::new(0),
        })
    }

    /// Changes the state on behalf of the application, and notifies the task.
    pub(crate) fn update_as_app<R>(&self, change: impl FnOnce(&mut P) -> R) -> R {
        let result = self.with(change);
        self.wake_task();
        result
    }

    /// Changes the state on behalf of the task, and notifies the application.
    pub(crate) fn update_as_task<R>(&self, change: impl FnOnce(&mut P) -> R) -> R {
        let result = self.with(change);
        self.app_notify.notify_waiters();
        result
    }

    /// Sets the state of the channel on behalf of the task, and logs a change.
    pub(crate) fn set_connection_state(&self, state: ConnectionState) {
        self.update_as_task(|protocol| change_state(protocol, state));
    }

    /// Reads the state, or changes a part that no other side waits for.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut P) -> R) -> R {
        // Only a bug of this crate can panic under the lock. The state is still usable then.
        work(&mut self.protocol.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits, on behalf of the application, until `take` returns a value. Cancel-safe: nothing is
    /// awaited between taking the value and returning it.
    pub(crate) async fn wait_as_app<R>(&self, take: impl FnMut(&mut P) -> Option<R>) -> R {
        self.wait(&self.app_notify, take).await
    }

    /// Waits, on behalf of the task, until `take` returns a value.
    pub(crate) async fn wait_as_task<R>(&self, take: impl FnMut(&mut P) -> Option<R>) -> R {
        self.wait(&self.task_notify, take).await
    }

    /// Waits until `take` returns a value, whichever side makes the change.
    pub(crate) async fn wait_for_change<R>(&self, mut take: impl FnMut(&mut P) -> Option<R>) -> R {
        loop {
            let (app, task) = (self.app_notify.notified(), self.task_notify.notified());
            tokio::pin!(app, task);
            // Registered before the check, so that no notification is missed in between.
            app.as_mut().enable();
            task.as_mut().enable();
            if let Some(taken) = self.with(&mut take) {
                return taken;
            }
            tokio::select! {
                () = app => {}
                () = task => {}
            }
        }
    }

    /// Notifies the application of a change that the task has made.
    pub(crate) fn notify_app(&self) {
        self.app_notify.notify_waiters();
    }

    /// Returns a future that resolves at the next change by the application.
    pub(crate) fn app_update(&self) -> Notified<'_> {
        self.task_notify.notified()
    }

    /// Wakes the task without a change.
    pub(crate) fn wake_task(&self) {
        self.task_notify.notify_waiters();
    }

    async fn wait<R>(&self, notify: &Notify, mut take: impl FnMut(&mut P) -> Option<R>) -> R {
        loop {
            let notified = notify.notified();
            tokio::pin!(notified);
            // Registered before the check, so that no notification is missed in between.
            notified.as_mut().enable();
            if let Some(taken) = self.with(&mut take) {
                return taken;
            }
            notified.await;
        }
    }

    /// Returns true if the application has asked to close the channel.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Asks the task to close the channel.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake_task();
    }

    /// Waits, on behalf of the task, until the application asks to close the channel.
    pub(crate) async fn close_requested(&self) {
        self.wait_as_task(|_| self.is_closing().then_some(())).await;
    }

    /// Asks the task to check the connection now, or to reconnect soon.
    pub(crate) fn hint(&self) {
        self.hints.fetch_add(1, Ordering::Release);
        self.hinted.store(true, Ordering::Release);
        self.wake_task();
    }

    /// Keeps a hint for the next attempt, since the socket was lost before it had an effect.
    pub(crate) fn keep_hint(&self) {
        self.hinted.store(true, Ordering::Release);
    }

    /// Returns the number of hints so far.
    pub(crate) fn hints(&self) -> u64 {
        self.hints.load(Ordering::Acquire)
    }

    /// Returns true if a hint has had no effect yet.
    pub(crate) fn is_hinted(&self) -> bool {
        self.hinted.load(Ordering::Acquire)
    }

    /// Returns the counters of connections.
    pub(crate) fn meters(&self) -> &ConnectionMeters {
        &self.meters
    }

    /// Returns everything that the channel has counted.
    pub(crate) fn counters(&self) -> ChannelCounters {
        let mut counters = ChannelCounters::default();
        self.meters.fill(&mut counters);
        self.with(|protocol| protocol.fill_counters(&mut counters));
        counters
    }

    /// Returns the last changes of the state, the oldest one first.
    pub(crate) fn recent_states(&self) -> Vec<StateChange> {
        self.with(|protocol| protocol.recent_states().to_vec())
    }

    /// Counts one poll of the task.
    pub(crate) fn count_wake(&self) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of times that the task was polled.
    #[cfg(test)]
    pub(crate) fn wakes(&self) -> u64 {
        self.wakes.load(Ordering::Relaxed)
    }

    /// Ends the channel, unless it has ended.
    pub(crate) fn end(&self, reason: EndReason) {
        let has_ended = self.with(|protocol| matches!(protocol.state(), ConnectionState::Ended(_)));
        if !has_ended {
            self.set_connection_state(ConnectionState::Ended(reason));
        }
    }

    /// Returns true if there was a hint since the last call of this function.
    pub(crate) fn take_hint(&self) -> bool {
        self.hinted.swap(false, Ordering::AcqRel)
    }

    /// Returns true if the app is in the background.
    pub(crate) fn is_in_background(&self) -> bool {
        self.background.load(Ordering::Acquire)
    }

    /// Sets whether the app is in the foreground.
    pub(crate) fn set_app_visibility(&self, visibility: AppVisibility) {
        self.background.store(visibility == AppVisibility::Background, Ordering::Release);
        match visibility {
            AppVisibility::Foreground => self.hint(),
            AppVisibility::Background => self.wake_task(),
        }
    }

    /// Waits, on behalf of the application, until the state differs from `known`. Returns `None`
    /// if `known` is the end.
    pub(crate) async fn wait_for_state_change(
        &self,
        known: &ConnectionState,
    ) -> Option<ConnectionState> {
        self.wait_as_app(|protocol| {
            let state = protocol.state();
            let has_changed = state != known;
            let is_over = matches!(state, ConnectionState::Ended(_));
            (has_changed || is_over).then(|| has_changed.then(|| state.clone()))
        })
        .await
    }

    /// Waits until the channel has ended.
    pub(crate) async fn wait_until_ended(&self) -> EndReason {
        self.wait_as_app(|protocol| match protocol.state() {
            ConnectionState::Ended(reason) => Some(reason.clone()),
            ConnectionState::Connecting { .. }
            | ConnectionState::Connected
            | ConnectionState::Waiting { .. }
            | ConnectionState::CredentialWanted(_)
            | ConnectionState::SignedOut(_) => None,
        })
        .await
    }
}

/// Sets the state of a channel, and logs a change.
pub(crate) fn change_state<P: ProtocolState>(protocol: &mut P, state: ConnectionState) {
    if protocol.set_state(state) {
        tracing::debug!(state = ?protocol.state(), "the state of the channel has changed");
    }
}

/// The application's reference to a channel. The channel is closed when the last one is dropped.
pub(crate) struct ChannelHandle<P: ProtocolState>(Arc<SharedState<P>>);

impl<P: ProtocolState> ChannelHandle<P> {
    pub(crate) fn new(shared: Arc<SharedState<P>>) -> Arc<Self> {
        Arc::new(Self(shared))
    }

    /// Returns the shared state without keeping the channel open.
    pub(crate) fn shared(&self) -> Arc<SharedState<P>> {
        Arc::clone(&self.0)
    }
}

impl<P: ProtocolState> std::ops::Deref for ChannelHandle<P> {
    type Target = SharedState<P>;

    fn deref(&self) -> &SharedState<P> {
        &self.0
    }
}

impl<P: ProtocolState> Drop for ChannelHandle<P> {
    fn drop(&mut self) {
        self.0.close();
    }
}
