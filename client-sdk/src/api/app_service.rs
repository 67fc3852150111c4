//! The calls of an AppService without a channel: reading presence and sending notifications.

use std::fmt;

use presence_protocol::app::client::{ReadNotifyResult, ReadQueryResult};
use presence_protocol::app::{NotifyItem, QueuedNotification};
use presence_protocol::open::{OpenPresence, OpenQueryResult};
use presence_protocol::{ApiError, AppId, Puid};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::call::RestCall;
use super::entries::entries;
use super::http_client::HttpClient;
use crate::error::Error;
use crate::notification::NewNotification;

/// The maximum number of PUIDs in a call. It keeps the URL below 8 KiB, which every proxy accepts.
const MAX_UIDS_PER_CALL: usize = 200;

/// The calls of an AppService, made with an API key. Clones share the key.
///
/// With a wrong key a call fails with `invalid_api_key` (41), and while the Application is inactive
/// with `application_not_active` (42).
#[derive(Clone)]
pub struct AppServiceApi {
    http: HttpClient,
    application: AppId,
    key: SecretString,
}

/// A page of the users who are not offline.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct PresencePage {
    /// The users.
    #[serde(deserialize_with = "entries")]
    pub presence: Vec<OpenPresence>,
    /// The start of the next page, if there is one.
    pub next: Option<Puid>,
    /// Set if the server was restarted a moment ago and devices may still be reconnecting. A user
    /// who is absent may then still be online.
    #[serde(default)]
    pub warming_up: bool,
}

impl AppServiceApi {
    pub(super) fn new(http: HttpClient, application: AppId, key: SecretString) -> Self {
        Self { http, application, key }
    }

    /// Returns the current presence of users, in order. More than a few hundred are read in several
    /// calls. For a moment after a restart of the server all users may appear offline: see
    /// [`PresencePage::warming_up`].
    ///
    /// # Errors
    ///
    /// The errors of every call: see [`AppServiceApi`]. An unknown PUID is no error: it has its own
    /// entry.
    pub async fn presence(&self, uids: &[Puid]) -> Result<Vec<OpenQueryResult>, Error> {
        #[derive(Deserialize)]
        struct PresenceReply {
            presence: Vec<ReadQueryResult>,
        }
        let mut presence = Vec::with_capacity(uids.len());
        for chunk in uids.chunks(MAX_UIDS_PER_CALL) {
            let list: Vec<String> = chunk.iter().map(Puid::to_string).collect();
            let call = self.presence_call().query("uid", list.join(","));
            let reply: PresenceReply = self.call(call).await?;
            if reply.presence.len() != chunk.len() {
                return Err(Error::Unexpected("the number of statuses does not match".to_owned()));
            }
            presence.extend(reply.presence.into_iter().map(OpenQueryResult::from));
        }
        Ok(presence)
    }

    /// Returns a page of the users who are not offline: the first one, or the one that follows
    /// `after`, which is the [`PresencePage::next`] of another page. A page has at most `limit`
    /// entries, 1 to 500; `None` means 500.
    ///
    /// # Errors
    ///
    /// The errors of every call: see [`AppServiceApi`].
    pub async fn presence_page(
        &self,
        after: Option<Puid>,
        limit: Option<u32>,
    ) -> Result<PresencePage, Error> {
        let mut call = self.presence_call();
        if let Some(after) = after {
            call = call.query("after", after);
        }
        if let Some(limit) = limit {
            call = call.query("limit", limit);
        }
        self.call(call).await
    }

    /// Sends at most 500 notifications, and returns one result for each, in order. `Ok` means
    /// that the notification is stored.
    ///
    /// # Errors
    ///
    /// The errors of every call: see [`AppServiceApi`]. After an error no notification was queued,
    /// except that after [`Error::TimedOut`] and [`Error::Unreachable`] some may have been.
    /// The same notifications can be sent again without being queued twice, since each has an
    /// idempotency key from its construction.
    pub async fn notify(
        &self,
        items: Vec<NewNotification>,
    ) -> Result<Vec<Result<QueuedNotification, Error>>, Error> {
        #[derive(Serialize)]
        struct NotifyBody {
            notifications: Vec<NotifyItem>,
        }
        #[derive(Deserialize)]
        struct NotifyReply {
            results: Vec<ReadNotifyResult>,
        }
        let count = items.len();
        let notifications = items.into_iter().map(NewNotification::into_item).collect();
        let call = RestCall::post("/apps/{appid}/notifications").path_param(self.application);
        // Each notification has an idempotency key.
        let call = call.json(&NotifyBody { notifications }).idempotent();
        let NotifyReply { results } = self.call(call).await?;
        if results.len() != count {
            return Err(Error::Unexpected("the number of results does not match".to_owned()));
        }
        let results = results.into_iter().map(Result::<_, ApiError>::from);
        Ok(results.map(|result| result.map_err(Error::from)).collect())
    }

    /// Sends one notification. `Ok` means that it is stored.
    ///
    /// # Errors
    ///
    /// The errors of [`AppServiceApi::notify`], and [`Error::Refused`] if this notification was not
    /// queued.
    pub async fn notify_one(&self, item: NewNotification) -> Result<QueuedNotification, Error> {
        let mut results = self.notify(vec![item]).await?;
        let no_result = || Error::Unexpected("the notification has no result".to_owned());
        results.pop().ok_or_else(no_result)?
    }

    fn presence_call(&self) -> RestCall {
        RestCall::get("/apps/{appid}/presence").path_param(self.application)
    }

    async fn call<T: for<'de> Deserialize<'de>>(&self, call: RestCall) -> Result<T, Error> {
        self.http.call(call.bearer(&self.key)).await
    }
}

impl fmt::Debug for AppServiceApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppServiceApi")
            .field("server", self.http.server())
            .field("application", &self.application)
            .finish_non_exhaustive()
    }
}
