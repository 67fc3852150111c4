//! The bodies of polling and notifying.

use poem_openapi::Object;
use poem_openapi::types::Example;
use presence_protocol::app::{self, NotifyItem, NotifySummary, QueryResult, QueuedNotification};
use presence_protocol::{ApiError, Errno, PresenceUpdate};

use crate::http::body::{Fields, FromFields};
use crate::http::views::{Id, StatusName, example};

/// The current presence of users.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(super) struct PollAnswer {
    /// The entries, one for each user.
    pub(super) presence: Vec<PresenceView>,
    /// The start of the next page, if there is one.
    pub(super) next: Option<Id>,
    /// Indicates that devices of an earlier run of the server may still reconnect; else absent.
    pub(super) warming_up: Option<bool>,
}

impl Example for PollAnswer {
    fn example() -> Self {
        let unknown = PresenceView::from(QueryResult::Unknown(example::UNKNOWN_UID.to_owned()));
        Self { presence: vec![PresenceView::example(), unknown], next: None, warming_up: None }
    }
}

/// The presence of a user for an Application; or, for an unknown `uid`, an error.
#[derive(Object, Default)]
#[oai(rename = "Presence", example, skip_serializing_if_is_none)]
pub(super) struct PresenceView {
    /// The user, as given in the request.
    uid: String,
    /// The merged status over all devices that this Application may see.
    status: Option<StatusName>,
    /// A number that grows with every change of this user. A client ignores an update whose version
    /// is not greater than the last one.
    version: Option<u64>,
    /// The time of the last change, in whole seconds.
    since: Option<u64>,
    /// The status text.
    message: Option<String>,
    /// `KO`, if the `uid` is unknown.
    result: Option<String>,
    /// 44, if the `uid` is unknown.
    errno: Option<u16>,
    /// The error as a text for people, if the `uid` is unknown.
    error: Option<String>,
}

impl Example for PresenceView {
    fn example() -> Self {
        Self {
            uid: example::UID.to_owned(),
            status: Some(StatusName::Unavailable),
            version: Some(1_853_083_095_040_002),
            since: Some(example::START_TIME),
            message: Some("At lunch".to_owned()),
            ..Self::default()
        }
    }
}

impl From<PresenceUpdate> for PresenceView {
    fn from(update: PresenceUpdate) -> Self {
        Self {
            uid: update.uid.to_string(),
            status: Some(update.status.into()),
            version: Some(update.version),
            since: Some(update.since.get()),
            message: update.message.map(String::from),
            ..Self::default()
        }
    }
}

impl From<QueryResult> for PresenceView {
    fn from(queried: QueryResult) -> Self {
        match queried {
            QueryResult::Known(update) => update.into(),
            QueryResult::Unknown(uid) => Self {
                uid,
                result: Some("KO".to_owned()),
                errno: Some(Errno::UnknownUid.number()),
                error: Some(Errno::UnknownUid.text().to_owned()),
                ..Self::default()
            },
        }
    }
}

/// Notifications to send.
#[derive(Object)]
#[oai(example)]
pub(super) struct Notify {
    /// The notifications, at most 500.
    #[oai(validator(max_items = 500))]
    notifications: Vec<NotifyItemView>,
    #[oai(skip)]
    items: Vec<Result<NotifyItem, ApiError>>,
}

/// A notification to send.
#[derive(Object)]
#[oai(rename = "NotifyItem", skip_serializing_if_is_none)]
struct NotifyItemView {
    /// The receiver.
    uid: Id,
    /// The sender, at most 200 characters, for example the e-mail address of the user who writes.
    /// By default devices see the name of the Application. The name of another Application, or one
    /// that looks like it, is refused with errno 12.
    #[oai(validator(max_length = 200, pattern = "text"))]
    source: Option<String>,
    /// The text, at most 512 characters: one line, without invisible and direction-changing
    /// characters.
    #[oai(validator(max_length = 512, pattern = "text"))]
    message: String,
    /// Empty, or the URL to open: `https`, or an app link of a scheme that the operator allows.
    #[oai(validator(max_length = 512))]
    action: Option<String>,
    /// The number of seconds for which the notification may wait: 0 to 2,592,000, which is the
    /// default. With 0 it is delivered only to a device that is connected now.
    #[oai(validator(maximum(value = "2592000")))]
    ttl: Option<u32>,
    /// A key of at most 128 characters. A notification with the same key within 24 h gets the same
    /// answer, and is not queued again.
    #[oai(validator(max_length = 128, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$"))]
    idempotency_key: Option<String>,
}

impl Notify {
    /// Returns the items, each parsed by itself.
    pub(super) fn into_items(self) -> Vec<Result<NotifyItem, ApiError>> {
        self.items
    }
}

impl FromFields for Notify {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, ApiError> {
        let missing = || ApiError::detailed(Errno::MissingField, "notifications");
        let items = app::parse_items(fields.raw("notifications").ok_or_else(missing)?)?;
        Ok(Self { notifications: Vec::new(), items })
    }

    fn from_list(json: &str) -> Result<Self, ApiError> {
        Ok(Self { notifications: Vec::new(), items: app::parse_bare_items(json)? })
    }
}

impl Example for Notify {
    fn example() -> Self {
        let item = NotifyItemView {
            uid: Id::new(example::UID),
            source: Some(example::SOURCE.to_owned()),
            message: "Your move".to_owned(),
            action: Some(example::ACTION.to_owned()),
            ttl: Some(3600),
            idempotency_key: Some("game-7-move-12".to_owned()),
        };
        Self { notifications: vec![item], items: Vec::new() }
    }
}

/// The outcome of sending notifications.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(super) struct Notified {
    /// `OK`, or `KO` if there are notifications and none was taken.
    result: String,
    /// The number of the first notification's error, if none was taken.
    errno: Option<u16>,
    /// The error of the first notification as a text for people, if none was taken.
    error: Option<String>,
    /// The number of seconds to wait, if none was taken and all may be tried again.
    retry_after: Option<f64>,
    /// The largest of the items'.
    queue_size: u32,
    /// The number of notifications that were not taken.
    failed: u32,
    /// One entry for each item, in order.
    results: Vec<NotifyResult>,
}

impl Example for Notified {
    fn example() -> Self {
        let queued = NotifyResult {
            result: "OK".to_owned(),
            id: Some(Id::new(example::NOTIFICATION)),
            queue_size: Some(1),
            errno: None,
            error: None,
            retry_after: None,
        };
        let rejected = NotifyResult::from(&Err(ApiError::from(Errno::UnknownUid)));
        Self {
            result: "OK".to_owned(),
            errno: None,
            error: None,
            retry_after: None,
            queue_size: 1,
            failed: 1,
            results: vec![queued, rejected],
        }
    }
}

/// The outcome of one notification.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct NotifyResult {
    /// `OK` or `KO`.
    result: String,
    /// The id of the notification.
    id: Option<Id>,
    /// The number of notifications that wait for this user of this Application, with this one.
    queue_size: Option<u32>,
    /// The number of the error in the registry.
    errno: Option<u16>,
    /// The error as a text for people.
    error: Option<String>,
    /// The number of seconds to wait, if waiting helps.
    retry_after: Option<f64>,
}

impl Notified {
    /// Returns the response for these results.
    pub(super) fn of(results: &[Result<QueuedNotification, ApiError>]) -> Self {
        let NotifySummary { error, queue_size, failed } = NotifySummary::new(results);
        Self {
            result: if error.is_none() { "OK" } else { "KO" }.to_owned(),
            errno: error.as_ref().map(|error| error.errno.number()),
            retry_after: error.as_ref().and_then(|error| error.retry_after),
            error: error.map(|error| error.text.into_owned()),
            queue_size,
            failed: u32::try_from(failed).unwrap_or(u32::MAX),
            results: results.iter().map(NotifyResult::from).collect(),
        }
    }
}

impl From<&Result<QueuedNotification, ApiError>> for NotifyResult {
    fn from(result: &Result<QueuedNotification, ApiError>) -> Self {
        let (queued, error) = (result.as_ref().ok(), result.as_ref().err());
        Self {
            result: if queued.is_some() { "OK" } else { "KO" }.to_owned(),
            id: queued.map(|queued| Id::new(queued.id)),
            queue_size: queued.map(|queued| queued.queue_size),
            errno: error.map(|error| error.errno.number()),
            error: error.map(|error| error.text.clone().into_owned()),
            retry_after: error.and_then(|error| error.retry_after),
        }
    }
}
