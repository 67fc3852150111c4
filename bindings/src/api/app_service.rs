//! What an application's back end may do without a channel.

use std::sync::Arc;

use crate::cancel::CancelToken;
use crate::error::PresenceError;
use crate::live::Live;
use crate::notify::{Batch, NewNotification, NotifyOutcome, QueryOutcome, QueuedNotification};
use crate::presence::{UserPresence, id, ids};
use crate::runtime;

/// A page of those who are not offline.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PresencePage {
    /// The statuses.
    pub presence: Vec<UserPresence>,
    /// Where the next page begins, where there is one.
    pub next: Option<String>,
    /// Whether devices of an earlier run of the server may still be on their way back: then nobody is to be taken for offline
    /// yet.
    pub warming_up: bool,
}

/// The calls of an application's back end, made with an API key.
///
/// With a wrong key they are refused with `InvalidApiKey` (41), and while the Application is stopped with `ApplicationNotActive`
/// (42).
#[derive(Debug, uniffi::Object)]
pub struct AppServiceApi {
    api: presence_client::AppServiceApi,
    _live: Live,
}

impl AppServiceApi {
    pub(super) fn of(api: presence_client::AppServiceApi) -> Arc<Self> {
        Arc::new(Self { api, _live: Live::new() })
    }
}

#[uniffi::export]
impl AppServiceApi {
    /// The present statuses of these users, in order.
    ///
    /// # Errors
    ///
    /// As every call, and `InvalidArgument` where one of them is no PUID. One that is not known has its own entry.
    #[uniffi::method(default(cancel = None))]
    pub async fn presence(
        &self,
        uids: Vec<String>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<QueryOutcome>, PresenceError> {
        let uids = ids(&uids, "uid")?;
        let presence = runtime::wait(cancel, self.api.presence(&uids)).await?;
        Ok(presence.into_iter().map(Into::into).collect())
    }

    /// A page of those who are not offline: the first one, or the one after another's `next`. A page has at most `limit`
    /// entries, 1 to 500, which is what it means to leave it out.
    ///
    /// # Errors
    ///
    /// As every call.
    #[uniffi::method(default(after = None, limit = None, cancel = None))]
    pub async fn presence_page(
        &self,
        after: Option<String>,
        limit: Option<u32>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<PresencePage, PresenceError> {
        let after = after.map(|after| id(&after, "after")).transpose()?;
        let page = runtime::wait(cancel, self.api.presence_page(after, limit)).await?;
        Ok(PresencePage {
            presence: page.presence.into_iter().map(Into::into).collect(),
            next: page.next.map(|next| next.to_string()),
            warming_up: page.warming_up,
        })
    }

    /// Sends live notifications, at most 500, and answers for each by itself, in order. Once queued, a notification survives
    /// whatever happens to the server.
    ///
    /// # Errors
    ///
    /// As every call; then none was queued, unless it is `TimedOut`, `Unreachable` or `Cancelled`, where that is not known. To
    /// send them again then, and have nothing queued twice, give each an idempotency key.
    #[uniffi::method(default(cancel = None))]
    pub async fn notify(
        &self,
        items: Vec<NewNotification>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<NotifyOutcome>, PresenceError> {
        let (batch, items) = Batch::new(items);
        Ok(batch.outcomes(runtime::wait(cancel, self.api.notify(items)).await?))
    }

    /// Sends one live notification.
    ///
    /// # Errors
    ///
    /// As `notify`, and `Refused` where this one was refused.
    #[uniffi::method(default(cancel = None))]
    pub async fn notify_one(
        &self,
        item: NewNotification,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<QueuedNotification, PresenceError> {
        let item = item.try_into()?;
        Ok(runtime::wait(cancel, self.api.notify_one(item)).await?.into())
    }
}
