//! The frames that the server sends to an AppService.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::errno::Errno;
use crate::error::ApiError;
use crate::id::{NotificationId, Puid};
use crate::presence::PresenceUpdate;
use crate::request::RequestId;

/// Returns the reply to `auth`.
pub fn auth_ok(id: Option<&RequestId>) -> String {
    reply("auth", id, &EmptyBody {})
}

/// A notification that was queued.
#[derive(Debug, Clone, PartialEq)]
pub struct QueuedNotification {
    /// The id of the notification, which its receipt repeats.
    pub id: NotificationId,
    /// The number of notifications that wait for this user of this Application, with this one.
    pub queue_size: u32,
}

/// The outcome of a whole `notify`, of which each item has a result of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct NotifySummary {
    /// The error of the first item, if there are items and none was taken. It has the longest
    /// `retry_after` of the items if all of them may be tried again, and none otherwise.
    pub error: Option<ApiError>,
    /// The largest `queue_size` of the items that were taken.
    pub queue_size: u32,
    /// The number of items that were not taken.
    pub failed: usize,
}

impl NotifySummary {
    /// Summarises the results.
    pub fn new(results: &[Result<QueuedNotification, ApiError>]) -> Self {
        let errors: Vec<&ApiError> = results.iter().filter_map(|it| it.as_ref().err()).collect();
        let waits: Option<Vec<f64>> = errors.iter().map(|error| error.retry_after).collect();
        let retry_after = waits.and_then(|waits| waits.into_iter().reduce(f64::max));
        let first = errors.first().filter(|_| errors.len() == results.len());
        Self {
            error: first.map(|error| ApiError { retry_after, ..(*error).clone() }),
            queue_size: results.iter().flatten().map(|queued| queued.queue_size).max().unwrap_or(0),
            failed: errors.len(),
        }
    }
}

/// Returns the reply to `notify`: one entry for each item, in order. If no item was taken, it is an
/// error too.
pub fn notify_reply(
    id: Option<&RequestId>,
    results: &[Result<QueuedNotification, ApiError>],
) -> String {
    #[derive(Serialize)]
    struct NotifyReplyBody<'a> {
        queue_size: u32,
        failed: usize,
        results: Vec<NotifyResult<'a>>,
    }
    let NotifySummary { error, queue_size, failed } = NotifySummary::new(results);
    let results = results.iter().map(NotifyResult).collect();
    result_reply("notify", id, error.as_ref(), &NotifyReplyBody { queue_size, failed, results })
}

/// An entry of the `results` of a `notify`, as JSON.
pub struct NotifyResult<'a>(pub &'a Result<QueuedNotification, ApiError>);

impl Serialize for NotifyResult<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Ok(queued) => {
                map.serialize_entry("result", "OK")?;
                map.serialize_entry("queue_size", &queued.queue_size)?;
                map.serialize_entry("id", &queued.id)?;
            }
            Err(error) => error.serialize_entries(&mut map)?,
        }
        map.end()
    }
}

/// An entry of the reply to `query`.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryResult {
    /// The presence of the user.
    Known(PresenceUpdate),
    /// The Application has no such PUID. The text is that of the request.
    Unknown(String),
}

impl Serialize for QueryResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(presence) => presence.serialize(serializer),
            Self::Unknown(uid) => {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("uid", uid)?;
                ApiError::from(Errno::UnknownUid).serialize_entries(&mut map)?;
                map.end()
            }
        }
    }
}

/// Returns the reply to `query`: one entry for each PUID, in order.
pub fn query_ok(id: Option<&RequestId>, presence: &[QueryResult]) -> String {
    #[derive(Serialize)]
    struct QueryOkBody<'a> {
        presence: &'a [QueryResult],
    }
    reply("query", id, &QueryOkBody { presence })
}

/// The final state of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// It was written to a device that does not acknowledge notifications.
    Delivered,
    /// A device has acknowledged it.
    Acked,
    /// Its time to live has passed.
    Expired,
    /// The queue was full, or no device was connected and its time to live is 0.
    Dropped,
    /// The user has revoked the grant.
    Revoked,
}

/// The receipt of a notification. There is one for each notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The notification.
    pub id: NotificationId,
    /// The user.
    pub uid: Puid,
    /// The final state.
    pub state: ReceiptState,
}

/// A frame of the stream of `presence.v1`, as the server writes it.
#[derive(Debug, Default, Serialize)]
pub struct StreamFrameRef<'a> {
    /// Set for a page of a snapshot.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub snapshot: bool,
    /// Set if updates before this frame may have been missed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
    /// The updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<Vec<&'a PresenceUpdate>>,
    /// The receipts.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub receipts: &'a [Receipt],
    /// The cursor: all updates up to this point are contained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<&'a str>,
    /// Set if further pages follow.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl StreamFrameRef<'_> {
    /// Returns the JSON text.
    pub fn to_json(&self) -> String {
        to_json(self)
    }
}

/// Returns a frame of `presence.v1` that says whether the server cannot see changes of presence at
/// the moment, so that what it has sent may be out of date.
pub fn stale(is_stale: bool) -> String {
    #[derive(Serialize)]
    struct Stale {
        stale: bool,
    }
    to_json(&Stale { stale: is_stale })
}

/// Returns a frame with one update, in the format of 2013, which has no causes.
pub fn single_update(update: &PresenceUpdate) -> String {
    to_json(&PresenceUpdate { cause: None, ..update.clone() })
}

#[derive(Serialize)]
struct EmptyBody {}

fn reply(action: &'static str, id: Option<&RequestId>, body: &impl Serialize) -> String {
    result_reply(action, id, None, body)
}

fn result_reply(
    action: &'static str,
    id: Option<&RequestId>,
    error: Option<&ApiError>,
    body: &impl Serialize,
) -> String {
    #[derive(Serialize)]
    struct Reply<'a, T> {
        action: &'static str,
        #[serde(flatten)]
        outcome: OutcomeFields<'a>,
        #[serde(flatten)]
        body: &'a T,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RequestId>,
    }
    to_json(&Reply { action, outcome: OutcomeFields(error), body, id })
}

/// The field `result`, and those of the error if there is one.
struct OutcomeFields<'a>(Option<&'a ApiError>);

impl Serialize for OutcomeFields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            None => map.serialize_entry("result", "OK")?,
            Some(error) => error.serialize_entries(&mut map)?,
        }
        map.end()
    }
}

pub(super) fn to_json(frame: &impl Serialize) -> String {
    // Frames hold only texts and numbers under text keys, which can always be serialised.
    serde_json::to_string(frame).unwrap_or_default()
}
