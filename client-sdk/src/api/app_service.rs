//! What an application's back end may do without a channel: poll presence, and send notifications.

use std::fmt;

use presence_protocol::app::client::{RawNotifyResult, RawQueryResult};
use presence_protocol::app::{NotifyItem, QueryResult, QueuedNotification};
use presence_protocol::{ApiError, AppId, PresenceUpdate, Puid};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::notification::NewNotification;

use super::call::Call;
use super::http::Http;

/// As many PUIDs as make a URL that every proxy lets through: 8 KiB.
const UIDS_IN_A_CALL: usize = 200;

/// The calls of an application's back end, made with an API key. Clones share it.
///
/// With a wrong key they answer `invalid_api_key` (41), and while the Application is stopped `application_not_active` (42).
#[derive(Clone)]
pub struct AppServiceApi {
    http: Http,
    application: AppId,
    key: SecretString,
}

/// A page of those who are not offline.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct PresencePage {
    /// The statuses.
    pub presence: Vec<PresenceUpdate>,
    /// Where the next page begins, where there is one.
    pub next: Option<Puid>,
    /// Whether devices of an earlier run of the server may still be on their way back: then nobody is to be taken for offline yet.
    #[serde(default)]
    pub warming_up: bool,
}

impl AppServiceApi {
    pub(super) fn new(http: Http, application: AppId, key: SecretString) -> Self {
        Self { http, application, key }
    }

    /// The present statuses of these users, in order. More than a few hundred are asked for in several calls. For a moment after a
    /// restart of the server everybody may look offline; [`PresencePage::warming_up`] tells.
    ///
    /// # Errors
    ///
    /// As every call. A PUID that is not known is none: it has its own entry.
    pub async fn presence(&self, uids: &[Puid]) -> Result<Vec<QueryResult>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            presence: Vec<RawQueryResult>,
        }
        let mut presence = Vec::with_capacity(uids.len());
        for some in uids.chunks(UIDS_IN_A_CALL) {
            let list: Vec<String> = some.iter().map(Puid::to_string).collect();
            let answer: Answer = self.call(self.poll().query("uid", list.join(","))).await?;
            if answer.presence.len() != some.len() {
                return Err(Error::Unexpected("not as many statuses as were asked for".to_owned()));
            }
            presence.extend(answer.presence.into_iter().map(QueryResult::from));
        }
        Ok(presence)
    }

    /// A page of those who are not offline: the first one, or the one after another's [`PresencePage::next`]. A page has at most
    /// `limit` entries, 1 to 500, which is what `None` means.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn presence_page(
        &self,
        after: Option<Puid>,
        limit: Option<u32>,
    ) -> Result<PresencePage, Error> {
        let mut call = self.poll();
        if let Some(after) = after {
            call = call.query("after", after);
        }
        if let Some(limit) = limit {
            call = call.query("limit", limit);
        }
        self.call(call).await
    }

    /// Sends live notifications, at most 500, and answers for each by itself, in order. An OK means that it is stored.
    ///
    /// # Errors
    ///
    /// As every call; then none was queued, unless it is [`Error::TimedOut`] or [`Error::Unreachable`], where that is not known. To
    /// send them again then, and have nothing queued twice, give each an idempotency key.
    pub async fn notify(
        &self,
        items: Vec<NewNotification>,
    ) -> Result<Vec<Result<QueuedNotification, ApiError>>, Error> {
        #[derive(Serialize)]
        struct Notify {
            notifications: Vec<NotifyItem>,
        }
        #[derive(Deserialize)]
        struct Notified {
            results: Vec<RawNotifyResult>,
        }
        let asked = items.len();
        let notifications = items.into_iter().map(NewNotification::into_item).collect();
        let call = Call::post("/apps/{appid}/notifications").piece(self.application);
        // Each has an idempotency key.
        let call = call.json(&Notify { notifications }).may_be_made_twice();
        let Notified { results } = self.call(call).await?;
        if results.len() != asked {
            return Err(Error::Unexpected("not as many results as notifications".to_owned()));
        }
        Ok(results.into_iter().map(Into::into).collect())
    }

    /// Sends one live notification. An OK means that it is stored.
    ///
    /// # Errors
    ///
    /// As [`AppServiceApi::notify`], and [`Error::Refused`] where this one was refused.
    pub async fn notify_one(&self, item: NewNotification) -> Result<QueuedNotification, Error> {
        let mut results = self.notify(vec![item]).await?;
        let result = results.pop();
        let nothing = || Error::Unexpected("no result for a notification".to_owned());
        result.ok_or_else(nothing)?.map_err(Error::from)
    }

    fn poll(&self) -> Call {
        Call::get("/apps/{appid}/presence").piece(self.application)
    }

    async fn call<T: for<'de> Deserialize<'de>>(&self, call: Call) -> Result<T, Error> {
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
