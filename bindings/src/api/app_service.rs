//! The calls of the back end of an Application, without a channel.

use std::sync::Arc;

use crate::cancel::CancelToken;
use crate::error::PresenceError;
use crate::notify::{NewNotification, NotifyBatch, NotifyResult, QueryResult, QueuedNotification};
use crate::object_count::CountedObject;
use crate::presence::{PresenceUpdate, parse_id, parse_ids};
use crate::runtime;

/// A page of the list of users who are not offline.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PresencePage {
    /// The users.
    pub presence: Vec<PresenceUpdate>,
    /// The argument `after` for the next page, if there is one.
    pub next: Option<String>,
    /// Is true if the server was restarted a short time ago, and devices may still reconnect. Users
    /// who are missing in the list may then be online.
    pub warming_up: bool,
}

/// The calls of the back end of an Application, made with an API key.
///
/// Every call is refused with `InvalidApiKey` (41) if the key is wrong, and with
/// `ApplicationNotActive` (42) if the Application is not active.
#[derive(Debug, uniffi::Object)]
pub struct AppServiceApi {
    api: presence_client::AppServiceApi,
    _counted: CountedObject,
}

impl AppServiceApi {
    pub(super) fn from_sdk(api: presence_client::AppServiceApi) -> Arc<Self> {
        Arc::new(Self { api, _counted: CountedObject::new() })
    }
}

#[uniffi::export]
impl AppServiceApi {
    /// Returns the current presence of these users, in order. Unknown users have an entry too.
    ///
    /// # Errors
    ///
    /// The errors of every call: see `AppServiceApi`. Also `InvalidArgument` if one of them is not
    /// a PUID.
    #[uniffi::method(default(cancel = None))]
    pub async fn presence(
        &self,
        uids: Vec<String>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<QueryResult>, PresenceError> {
        let uids = parse_ids(&uids, "uid")?;
        let presence = runtime::wait(cancel, self.api.presence(&uids)).await?;
        Ok(presence.into_iter().map(Into::into).collect())
    }

    /// Returns a page of the users who are not offline: the first page, or the page after `after`,
    /// which is `next` of the page before. A page has at most `limit` entries, 1 to 500. The
    /// default is 500.
    ///
    /// # Errors
    ///
    /// The errors of every call: see `AppServiceApi`.
    #[uniffi::method(default(after = None, limit = None, cancel = None))]
    pub async fn presence_page(
        &self,
        after: Option<String>,
        limit: Option<u32>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<PresencePage, PresenceError> {
        let after = after.map(|after| parse_id(&after, "after")).transpose()?;
        let page = runtime::wait(cancel, self.api.presence_page(after, limit)).await?;
        Ok(PresencePage {
            presence: page.presence.into_iter().map(Into::into).collect(),
            next: page.next.map(|next| next.to_string()),
            warming_up: page.warming_up,
        })
    }

    /// Sends notifications, at most 500, and returns the result for each, in order. A crash of
    /// the server does not lose a notification that was queued.
    ///
    /// # Errors
    ///
    /// The errors of every call: see `AppServiceApi`. After an error no notification was queued,
    /// except that after `TimedOut`, `Unreachable` and `Cancelled` some may have been. Give each
    /// notification an idempotency key to send it again without the risk of queueing it twice.
    #[uniffi::method(default(cancel = None))]
    pub async fn notify(
        &self,
        items: Vec<Arc<NewNotification>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<NotifyResult>, PresenceError> {
        let (batch, items) = NotifyBatch::new(items);
        Ok(batch.results(runtime::wait(cancel, self.api.notify(items)).await?))
    }

    /// Sends one notification.
    ///
    /// # Errors
    ///
    /// The errors of `notify`, and `Refused` if the notification was not queued.
    #[uniffi::method(default(cancel = None))]
    pub async fn notify_one(
        &self,
        item: Arc<NewNotification>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<QueuedNotification, PresenceError> {
        let item = item.as_ref().try_into()?;
        Ok(runtime::wait(cancel, self.api.notify_one(item)).await?.into())
    }
}
