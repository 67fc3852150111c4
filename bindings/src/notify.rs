//! Live notifications to be sent, and what became of them; on the channel and over REST.

use std::time::Duration;

use presence_client::{ApiError, QueryResult, QueuedNotification as Queued};

use crate::error::PresenceError;
use crate::presence::{UserPresence, id};

/// A live notification to be sent.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct NewNotification {
    /// To whom: a PUID.
    pub uid: String,
    /// The text, at most 512 characters.
    pub message: String,
    /// Empty, or the URL to open: `https`, or an app link of a scheme that the operator of the server allows. At most 512
    /// characters.
    #[uniffi(default = "")]
    pub action: String,
    /// How long it may wait, at most 30 days, which is what it means to leave this out; 0 means "only if a device is connected
    /// now".
    #[uniffi(default = None)]
    pub ttl_seconds: Option<u32>,
    /// Once this one is queued, another of the same key for the same user within 24 hours is answered as this one was, and not
    /// queued again. At most 128 characters. Left out, one is made up for each time that it is sent.
    #[uniffi(default = None)]
    pub idempotency_key: Option<String>,
}

impl TryFrom<NewNotification> for presence_client::NewNotification {
    type Error = PresenceError;

    fn try_from(item: NewNotification) -> Result<Self, PresenceError> {
        Ok(Self {
            uid: id(&item.uid, "uid")?,
            message: item.message,
            action: item.action,
            ttl: item.ttl_seconds.map(|seconds| Duration::from_secs(seconds.into())),
            idempotency_key: item.idempotency_key,
        })
    }
}

/// Where a notification waits now.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct QueuedNotification {
    /// Its name, which receipts carry.
    pub id: String,
    /// How many wait for this user of this Application, this one counted.
    pub queue_size: u32,
}

impl From<Queued> for QueuedNotification {
    fn from(queued: Queued) -> Self {
        Self { id: queued.id.to_string(), queue_size: queued.queue_size }
    }
}

/// What became of one notification of several.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum NotifyOutcome {
    /// It is stored, and survives whatever happens to the server.
    Queued {
        /// Where it waits.
        queued: QueuedNotification,
    },
    /// It was refused.
    NotQueued {
        /// Why.
        reason: PresenceError,
    },
}

/// The outcomes of a batch in the order of its items. One whose `uid` is no PUID at all was not sent, and has its outcome too.
pub(crate) struct Batch {
    places: Vec<Option<PresenceError>>,
}

impl Batch {
    /// Takes out what can be sent.
    pub(crate) fn new(
        items: Vec<NewNotification>,
    ) -> (Self, Vec<presence_client::NewNotification>) {
        let mut sendable = Vec::with_capacity(items.len());
        let places = items
            .into_iter()
            .map(|item| item.try_into().map(|item| sendable.push(item)).err())
            .collect();
        (Self { places }, sendable)
    }

    /// Puts the answers for what was sent where they belong.
    pub(crate) fn outcomes(self, answers: Vec<Result<Queued, ApiError>>) -> Vec<NotifyOutcome> {
        let mut answers = answers.into_iter();
        let places = self.places.into_iter();
        let outcomes = places.filter_map(|unsent| match unsent {
            Some(reason) => Some(NotifyOutcome::NotQueued { reason }),
            None => answers.next().map(NotifyOutcome::from),
        });
        outcomes.collect()
    }
}

impl From<Result<Queued, ApiError>> for NotifyOutcome {
    fn from(answer: Result<Queued, ApiError>) -> Self {
        match answer {
            Ok(queued) => Self::Queued { queued: queued.into() },
            Err(ko) => Self::NotQueued { reason: ko.into() },
        }
    }
}

/// What is known of a user who was asked for.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum QueryOutcome {
    /// What the Application may know.
    Known {
        /// The presence.
        presence: UserPresence,
    },
    /// The Application knows no such user.
    Unknown {
        /// As it was asked for.
        uid: String,
    },
}

impl From<QueryResult> for QueryOutcome {
    fn from(queried: QueryResult) -> Self {
        match queried {
            QueryResult::Known(presence) => Self::Known { presence: presence.into() },
            QueryResult::Unknown(uid) => Self::Unknown { uid },
        }
    }
}

#[cfg(test)]
mod tests {
    use presence_client::{Errno, NotificationId};

    use super::*;

    #[test]
    fn each_item_of_a_batch_has_its_own_outcome_in_order() {
        let item = |uid: &str| NewNotification {
            uid: uid.to_owned(),
            message: "Lunch?".to_owned(),
            action: String::new(),
            ttl_seconds: None,
            idempotency_key: None,
        };
        let (good, bad) = ("0".repeat(32), "nobody");
        let (batch, sent) = Batch::new(vec![item(&good), item(bad), item(&good)]);
        assert_eq!(sent.len(), 2);
        let queued = Queued { id: NotificationId::from_bits(7), queue_size: 1 };
        let refused = ApiError::from(Errno::UnknownUid);
        let outcomes = batch.outcomes(vec![Ok(queued.clone()), Err(refused.clone())]);
        let expected = [
            NotifyOutcome::Queued { queued: queued.into() },
            NotifyOutcome::NotQueued {
                reason: PresenceError::argument("uid is not an id of this kind"),
            },
            NotifyOutcome::NotQueued { reason: refused.into() },
        ];
        assert_eq!(outcomes, expected);
    }
}
