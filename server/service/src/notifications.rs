//! The notifications that AppServices send.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use presence_core::lookalike::SourceName;
use presence_core::{Clock, TRACE_TARGET, UnixMillis};
use presence_protocol::app::{NotifyItem, QueuedNotification};
use presence_protocol::{ApiError, AppId, Errno, NotificationId, Puid};
use presence_store::{NewNotification, NotifyLimit, Writer};
use tracing::{Instrument, Span};

use crate::clock::Stopwatch;
use crate::errors::{from_notify, from_store};
use crate::meters::NotifyMeters;
use crate::rates::KeyedRateLimiter;
use crate::rules;
use crate::settings::ServiceSettings;

/// The notifications that AppServices send.
pub struct Notifications {
    writer: Writer,
    clock: Arc<dyn Clock>,
    settings: Arc<ServiceSettings>,
    /// The rate of each Application. The writer checks that of a user, since it knows which exist.
    rate: KeyedRateLimiter<AppId>,
    meters: NotifyMeters,
}

impl Notifications {
    pub(crate) fn new(
        writer: Writer,
        clock: Arc<dyn Clock>,
        settings: Arc<ServiceSettings>,
    ) -> Self {
        let rate = KeyedRateLimiter::new(settings.app_notify_rate, Arc::clone(&clock));
        Self { writer, clock, settings, rate, meters: NotifyMeters::default() }
    }

    /// Queues notifications, each with a result of its own, in order.
    ///
    /// The notifications that pass the checks are submitted before this function returns, so that
    /// calls keep their order. A failure of the database is logged in `span`.
    pub fn notify(
        &self,
        app: AppId,
        items: Vec<Result<NotifyItem, ApiError>>,
        span: &Span,
    ) -> impl Future<Output = Vec<Result<QueuedNotification, ApiError>>> + Send + 'static {
        let mut accepted = Vec::with_capacity(items.len());
        let check = |item: Result<NotifyItem, ApiError>| {
            accepted.push(self.check(app, item?)?);
            Ok(())
        };
        let checked: Vec<Result<(), ApiError>> = items.into_iter().map(check).collect();
        let commit = commit_span(accepted.len());
        let reply = self.writer.notify(app, accepted).instrument(commit);
        let (started, span, meters) = (Stopwatch::start(), span.clone(), self.meters.clone());
        async move {
            match reply.await {
                Ok(results) => {
                    let queued = results.iter().filter(|result| result.is_ok()).count();
                    meters.record_commit(started.elapsed(), queued);
                    let mut results = results.into_iter();
                    let mut next = || match results.next() {
                        Some(result) => result.map_err(from_notify),
                        None => Err(Errno::Internal.into()),
                    };
                    checked.into_iter().map(|item| item.and_then(|()| next())).collect()
                }
                Err(error) => {
                    let error = span.in_scope(|| from_store(error));
                    let failed = |item: Result<(), _>| item.and_then(|()| Err(error.clone()));
                    checked.into_iter().map(failed).collect()
                }
            }
        }
    }

    /// Forgets the Applications that may notify at the full rate again.
    pub(crate) fn prune(&self) {
        self.rate.prune();
    }

    fn check(&self, app: AppId, item: NotifyItem) -> Result<NewNotification, ApiError> {
        let NotifyItem { uid, source, message, action, ttl, idempotency_key } = item;
        rules::check_action(&action, self.settings.development, &self.settings.action_schemes)?;
        self.rate.check(&app)?;
        let id = notification_id(self.clock.now(), rand::random());
        let source = SourceName::new(&source);
        Ok(NewNotification { id, puid: uid, source, message, action, ttl, idempotency_key })
    }
}

/// Returns the span of the time from the check of notifications to their commit.
fn commit_span(notifications: usize) -> Span {
    tracing::info_span!(
        target: TRACE_TARGET,
        "notifications.accept",
        "presence.notifications" = notifications,
    )
}

/// The rate of the notifications of each grant, which the writer checks.
pub(crate) struct GrantNotifyRate(KeyedRateLimiter<Puid>);

impl GrantNotifyRate {
    pub(crate) fn new(settings: &ServiceSettings, clock: Arc<dyn Clock>) -> Self {
        Self(KeyedRateLimiter::new(settings.notify_rate, clock))
    }

    /// Forgets the grants that may be notified at the full rate again.
    pub(crate) fn prune(&self) {
        self.0.prune();
    }
}

impl NotifyLimit for GrantNotifyRate {
    fn take(&self, _app: AppId, puid: Puid) -> Result<(), Duration> {
        self.0.take(&puid)
    }
}

/// Makes an id of the time and 80 random bits.
///
/// It cannot be guessed, and tells a device only the time, which the device learns in any case.
/// Consecutive ids are neighbours in the index, so that fewer of its pages are written.
fn notification_id(now: UnixMillis, random: u128) -> NotificationId {
    NotificationId::from_bits(u128::from(now.get()) << 80 | random >> 48)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notification_ids_grow_with_the_time_and_keep_80_random_bits() {
        let (now, next) = (UnixMillis::new(5), UnixMillis::new(6));
        assert!(notification_id(now, u128::MAX) < notification_id(next, 0));
        assert_ne!(notification_id(now, 1 << 48), notification_id(now, 0));
        assert_ne!(notification_id(now, 1 << 127), notification_id(now, 0));
    }
}
