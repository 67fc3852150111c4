//! Notifications to send, and the results, both on the channel and over REST.

use std::sync::Arc;
use std::time::Duration;

use presence_client::{Error, Puid};

use crate::error::PresenceError;
use crate::presence::{PresenceUpdate, parse_id};

/// A notification to send. It has an idempotency key from its construction, so that a call
/// that failed can be repeated with the same object.
#[derive(Debug, uniffi::Object)]
pub struct NewNotification {
    uid: String,
    message: String,
    action: String,
    ttl_seconds: Option<u32>,
    idempotency_key: String,
    source: String,
}

#[uniffi::export]
impl NewNotification {
    /// Creates a notification.
    ///
    /// * `uid`: the PUID of the user who receives it.
    /// * `message`: the text, at most 512 characters: one line, without invisible characters.
    /// * `action`: the URL to open, or empty. An `https` URL, or an app link with a scheme that the
    ///   operator of the server allows. At most 512 characters.
    /// * `ttl_seconds`: the time for which it may wait for a device. At most 30 days, which is the
    ///   default. With 0 it is delivered only if a device is connected now.
    /// * `idempotency_key`: 1 to 128 characters; random by default. A notification with the same
    ///   key for the same user within 24 hours gets the same reply and is not queued again.
    /// * `source`: the sender, at most 200 characters, such as the name or e-mail address of a user
    ///   of the Application. If it is empty, devices show the name of the Application.
    #[uniffi::constructor(default(
        action = "",
        ttl_seconds = None,
        idempotency_key = None,
        source = ""
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are named in all languages")]
    pub fn new(
        uid: String,
        message: String,
        action: String,
        ttl_seconds: Option<u32>,
        idempotency_key: Option<String>,
        source: String,
    ) -> Arc<Self> {
        let idempotency_key = idempotency_key.unwrap_or_else(|| {
            presence_client::NewNotification::new(Puid::from_bits(0), "").idempotency_key
        });
        Arc::new(Self { uid, message, action, ttl_seconds, idempotency_key, source })
    }

    /// Returns the idempotency key.
    pub fn idempotency_key(&self) -> String {
        self.idempotency_key.clone()
    }
}

impl TryFrom<&NewNotification> for presence_client::NewNotification {
    type Error = PresenceError;

    fn try_from(item: &NewNotification) -> Result<Self, PresenceError> {
        Ok(Self {
            uid: parse_id(&item.uid, "uid")?,
            message: item.message.clone(),
            source: item.source.clone(),
            action: item.action.clone(),
            ttl: item.ttl_seconds.map(|seconds| Duration::from_secs(seconds.into())),
            idempotency_key: item.idempotency_key.clone(),
        })
    }
}

/// A notification that the server has queued.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct QueuedNotification {
    /// The id of the notification. Receipts contain it.
    pub id: String,
    /// The number of notifications that wait for this user of this Application, including this one.
    pub queue_size: u32,
}

impl From<presence_client::QueuedNotification> for QueuedNotification {
    fn from(queued: presence_client::QueuedNotification) -> Self {
        Self { id: queued.id.to_string(), queue_size: queued.queue_size }
    }
}

/// The result for one notification of several.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum NotifyResult {
    /// The server has stored the notification. A crash of the server does not lose it.
    Queued {
        /// The queued notification.
        queued: QueuedNotification,
    },
    /// The notification was refused.
    NotQueued {
        /// The reason.
        reason: PresenceError,
    },
}

/// The notifications of one call. Items with an invalid `uid` are not sent, but have a result
/// too.
pub(crate) struct NotifyBatch {
    /// The error of each item that was not sent, in the order of the items.
    unsent: Vec<Option<PresenceError>>,
}

impl NotifyBatch {
    /// Separates the items that can be sent from the others.
    pub(crate) fn new(
        items: Vec<Arc<NewNotification>>,
    ) -> (Self, Vec<presence_client::NewNotification>) {
        let mut sendable = Vec::with_capacity(items.len());
        let unsent = items
            .into_iter()
            .map(|item| item.as_ref().try_into().map(|item| sendable.push(item)).err())
            .collect();
        (Self { unsent }, sendable)
    }

    /// Returns the results in the order of the items, given the replies for the items that were
    /// sent.
    pub(crate) fn results(
        self,
        replies: Vec<Result<presence_client::QueuedNotification, Error>>,
    ) -> Vec<NotifyResult> {
        let mut replies = replies.into_iter();
        let results = self.unsent.into_iter().filter_map(|unsent| match unsent {
            Some(reason) => Some(NotifyResult::NotQueued { reason }),
            None => replies.next().map(NotifyResult::from),
        });
        results.collect()
    }
}

impl From<Result<presence_client::QueuedNotification, Error>> for NotifyResult {
    fn from(result: Result<presence_client::QueuedNotification, Error>) -> Self {
        match result {
            Ok(queued) => Self::Queued { queued: queued.into() },
            Err(error) => Self::NotQueued { reason: error.into() },
        }
    }
}

/// The result of a query for one user.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum QueryResult {
    /// The Application knows the user.
    Known {
        /// The presence of the user.
        presence: PresenceUpdate,
    },
    /// The Application knows no such user.
    Unknown {
        /// The PUID of the query.
        uid: String,
    },
    /// The server gave another error for this user, or an entry that this version cannot read.
    Refused {
        /// The PUID, as the server repeats it.
        uid: String,
        /// The error.
        reason: PresenceError,
    },
}

impl From<presence_client::QueryResult> for QueryResult {
    fn from(result: presence_client::QueryResult) -> Self {
        use presence_client::QueryResult as Sdk;
        match result {
            Sdk::Known(presence) => Self::Known { presence: presence.into() },
            Sdk::Unknown(uid) => Self::Unknown { uid },
            Sdk::Refused { uid, error } => Self::Refused { uid, reason: error.into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use presence_client::{ApiError, Errno, NotificationId};

    use super::*;

    #[test]
    fn each_item_of_a_batch_has_its_own_result_in_order() {
        let item = |uid: &str| {
            let (message, text) = ("Lunch?".to_owned(), String::new);
            NewNotification::new(uid.to_owned(), message, text(), None, None, text())
        };
        let (good, bad) = ("0".repeat(32), "not-an-id");
        let (batch, sent) = NotifyBatch::new(vec![item(&good), item(bad), item(&good)]);
        assert_eq!(sent.len(), 2);
        let queued =
            presence_client::QueuedNotification { id: NotificationId::from_bits(7), queue_size: 1 };
        let refused = Error::from(ApiError::from(Errno::UnknownUid));
        let results = batch.results(vec![Ok(queued.clone()), Err(refused.clone())]);
        let expected = [
            NotifyResult::Queued { queued: queued.into() },
            NotifyResult::NotQueued {
                reason: PresenceError::invalid_argument("uid is not a valid id"),
            },
            NotifyResult::NotQueued { reason: refused.into() },
        ];
        assert_eq!(results, expected);
    }

    #[test]
    fn the_idempotency_key_belongs_to_the_notification_from_its_construction() {
        let new = |key: Option<&str>| {
            let (uid, text) = ("0".repeat(32), String::new);
            NewNotification::new(
                uid,
                "Lunch?".to_owned(),
                text(),
                None,
                key.map(str::to_owned),
                text(),
            )
        };
        let item = new(None);
        let sent = || NotifyBatch::new(vec![Arc::clone(&item)]).1.remove(0).idempotency_key;
        assert_eq!((sent(), sent()), (item.idempotency_key(), item.idempotency_key()));
        assert_ne!(new(None).idempotency_key(), item.idempotency_key());
        assert_eq!(new(Some("mine")).idempotency_key(), "mine");
    }
}
