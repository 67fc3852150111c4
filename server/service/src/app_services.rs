//! The use cases of an AppService: its key, its stream, notifications, queries.

use std::future::Future;
use std::sync::Arc;

use presence_core::UnixMillis;
use presence_core::model::ApplicationState;
use presence_core::reader::Reader;
use presence_protocol::app::{NotifyItem, QueryResult, QueuedNotification};
use presence_protocol::{ApiError, AppId, Errno, NotificationId, PresenceUpdate as Update, Puid};
use presence_store::NewNotification;
use tracing::Span;

use crate::clock::Stopwatch;
use crate::hub::{Subscription, Topic};
use crate::refusal::{of_notification, of_store};
use crate::secret::Kind;
use crate::service::PresenceService;
use crate::socket_waker::SocketWaker;
use crate::{rules, secret};

/// How many PUIDs are read at a time where all of an Application are wanted.
const PUIDS_AT_A_TIME: u64 = 5_000;
/// The most statuses of one page of a poll.
pub const MAX_POLL_PAGE: usize = 500;

/// An AppService whose key was checked.
#[derive(Clone)]
pub struct AppService {
    /// The Application.
    pub app: AppId,
    /// The key.
    pub key: i64,
    room: Arc<Topic>,
}

/// How an AppService wants to be served.
pub enum SubscribeMode {
    /// As in 2013.
    Plain,
    /// `presence.v1`.
    Paged {
        /// Where to resume.
        cursor: Option<String>,
        /// Whether receipts are wanted.
        receipts: bool,
    },
}

/// One page of a poll.
#[derive(Debug)]
pub struct PresencePage {
    /// The statuses.
    pub presence: Vec<Update>,
    /// After whom to go on, where there are more.
    pub next: Option<Puid>,
}

/// Whether a credential is meant to be an API key, valid or not.
pub fn looks_like_api_key(text: &str) -> bool {
    secret::is_meant_as(Kind::LiveKey, text) || secret::is_meant_as(Kind::TestKey, text)
}

impl PresenceService {
    /// Checks an API key, for one Application or for whichever it names.
    ///
    /// # Errors
    ///
    /// `invalid_api_key` for a wrong key and for an unknown Application alike, `application_not_active`, `storage_unavailable`.
    pub async fn app_service(&self, app: Option<AppId>, key: &str) -> Result<AppService, ApiError> {
        let prefix = secret::shown_part(key).ok_or(Errno::InvalidApiKey)?;
        let digest = secret::sha256(key);
        let candidates = self.store.keys_by_prefix(prefix).await.map_err(of_store)?;
        let key = candidates
            .into_iter()
            .find(|known| secret::same(&known.digest, &digest))
            .filter(|known| app.is_none_or(|app| app == known.app))
            .ok_or(Errno::InvalidApiKey)?;
        let app = self.store.app(key.app).await.map_err(of_store)?.ok_or(Errno::InvalidApiKey)?;
        if app.state != ApplicationState::Active {
            return Err(Errno::ApplicationNotActive.into());
        }
        let room = self.hub.topic(app.id, app.state);
        let now = self.now();
        room.record_access(now);
        if let Err(error) = self.store.touch_key(key.id, now).await {
            tracing::debug!(%error, "the use of a key was not noted");
        }
        Ok(AppService { app: app.id, key: key.id, room })
    }

    /// Opens the stream for a socket.
    ///
    /// # Errors
    ///
    /// `too_many_connections`, `storage_unavailable`.
    pub async fn subscribe(
        &self,
        service: &AppService,
        wish: SubscribeMode,
        bell: Arc<SocketWaker>,
    ) -> Result<Subscription, ApiError> {
        let (room, key, most) = (&service.room, service.key, self.settings.sockets_per_app);
        // A cursor becomes too old by its time, not by when the house was last kept.
        room.prune(self.now());
        let subscribed = match wish {
            SubscribeMode::Plain => {
                let users = self.all_puids(service.app).await?;
                room.subscribe(key, bell, most, |stream| Reader::plain(stream, users))
            }
            SubscribeMode::Paged { cursor, receipts } => {
                room.subscribe(key, bell, most, |stream| {
                    Reader::paged(stream, cursor.as_deref(), receipts)
                })
            }
        };
        subscribed.map_err(|_| ApiError::from(Errno::TooManyConnections).after(1.0))
    }

    /// Whether an Application still gets presence.
    pub fn is_served(&self, service: &AppService) -> bool {
        service.room.read(presence_core::stream::Stream::is_active)
    }

    /// Queues notifications, each by itself. What passes the checks is submitted before this returns, so calls keep their order.
    /// Where they cannot be stored, that is logged in the span.
    pub fn notify(
        &self,
        app: AppId,
        items: Vec<Result<NotifyItem, ApiError>>,
        span: &Span,
    ) -> impl Future<Output = Vec<Result<QueuedNotification, ApiError>>> + Send + 'static {
        let mut fit = Vec::with_capacity(items.len());
        let check = |item: Result<NotifyItem, ApiError>| {
            fit.push(self.check(app, item?)?);
            Ok(())
        };
        let checked: Vec<Result<(), ApiError>> = items.into_iter().map(check).collect();
        let answer = self.writer.notify(app, fit);
        let (started, span) = (Stopwatch::start(), span.clone());
        let (seconds, accepted) =
            (self.meters.commit_seconds.clone(), self.meters.accepted.clone());
        async move {
            match answer.await {
                Ok(answers) => {
                    seconds.record(started.elapsed().as_secs_f64());
                    accepted
                        .increment(answers.iter().filter(|answer| answer.is_ok()).count() as u64);
                    let mut answers = answers.into_iter();
                    let mut next = || answers.next().map(|answer| answer.map_err(of_notification));
                    checked
                        .into_iter()
                        .map(|item| {
                            item.and_then(|()| next().unwrap_or(Err(Errno::Internal.into())))
                        })
                        .collect()
                }
                Err(error) => {
                    let ko = span.in_scope(|| of_store(error));
                    checked.into_iter().map(|item| item.and_then(|()| Err(ko.clone()))).collect()
                }
            }
        }
    }

    /// What an Application may know of users now, in order.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn query(
        &self,
        service: &AppService,
        uids: Vec<Result<Puid, String>>,
    ) -> Result<Vec<QueryResult>, ApiError> {
        let known: Vec<Puid> = uids.iter().flatten().copied().collect();
        let live = self.store.live_puids(service.app, &known).await.map_err(of_store)?;
        let live: std::collections::HashSet<Puid> = live.into_iter().collect();
        service.room.record_access(self.now());
        let answer = |uid: Result<Puid, String>| match uid {
            Ok(uid) if live.contains(&uid) => {
                QueryResult::Known(service.room.read(|stream| stream.latest(uid)))
            }
            Ok(uid) => QueryResult::Unknown(uid.to_string()),
            Err(text) => QueryResult::Unknown(text),
        };
        Ok(uids.into_iter().map(answer).collect())
    }

    /// A page of everybody whom an Application may see and who is not offline.
    pub fn poll(&self, service: &AppService, after: Option<Puid>, most: usize) -> PresencePage {
        let most = most.clamp(1, MAX_POLL_PAGE);
        service.room.record_access(self.now());
        let mut presence: Vec<Update> = service
            .room
            .read(|stream| stream.visible_after(after).take(most + 1).cloned().collect());
        let more = presence.len() > most;
        presence.truncate(most);
        let next = presence.last().filter(|_| more).map(|last| last.uid);
        PresencePage { presence, next }
    }

    fn check(&self, app: AppId, item: NotifyItem) -> Result<NewNotification, ApiError> {
        let NotifyItem { uid, message, action, ttl, idempotency_key } = item;
        rules::action(&action, self.settings.development, &self.settings.action_schemes)?;
        self.rates.notify(app, uid)?;
        Ok(NewNotification {
            id: fresh_id(self.now(), rand::random()),
            puid: uid,
            message,
            action,
            ttl,
            idempotency_key,
        })
    }

    async fn all_puids(&self, app: AppId) -> Result<Vec<Puid>, ApiError> {
        let mut all: Vec<Puid> = Vec::new();
        loop {
            let after = all.last().copied();
            let page =
                self.store.page_of_puids(app, after, PUIDS_AT_A_TIME).await.map_err(of_store)?;
            let last = (page.len() as u64) < PUIDS_AT_A_TIME;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }
}

/// A name that none can guess: 80 random bits, after the time, which a device is told in any case. Names that come one after the
/// other lie side by side in the index, so that fewer pages of it are written.
fn fresh_id(now: UnixMillis, random: u128) -> NotificationId {
    NotificationId::from_bits(u128::from(now.get()) << 80 | random >> 48)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notification_ids_grow_with_the_time_and_keep_80_random_bits() {
        let (now, next) = (UnixMillis::new(5), UnixMillis::new(6));
        assert!(fresh_id(now, u128::MAX) < fresh_id(next, 0));
        assert_ne!(fresh_id(now, 1 << 48), fresh_id(now, 0));
        assert_ne!(fresh_id(now, 1 << 127), fresh_id(now, 0));
    }
}
