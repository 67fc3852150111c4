//! The frames of the AppService Presence Channel.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::errno::Errno;
use crate::error::{ApiError, RejectedRequest};
use crate::field::{self, RawField};
use crate::id::{NotificationId, Puid};
use crate::limits::{
    MAX_BATCH_ITEMS, MAX_IDEMPOTENCY_KEY_CHARS, MAX_NOTIFICATION_CHARS, MAX_SOURCE_CHARS,
    MAX_TTL_SECONDS,
};
use crate::presence::PresenceUpdate;
use crate::request::RequestId;

/// The WebSocket subprotocol of batched, resumable updates.
pub const SUBPROTOCOL: &str = "presence.v1";

/// A request from an AppService.
#[derive(Debug, PartialEq)]
pub struct AppServiceRequest {
    /// The id, which the reply repeats.
    pub id: Option<RequestId>,
    /// The command.
    pub command: AppServiceCommand,
}

/// A command of an AppService.
#[derive(PartialEq)]
pub enum AppServiceCommand {
    /// Authenticates the AppService.
    Auth(AppServiceAuth),
    /// Sends live notifications. The reply is a list of results.
    Notify(Vec<Result<NotifyItem, ApiError>>),
    /// Sends one live notification, in the format of 2013. The whole frame is refused if it is
    /// invalid.
    NotifyOne(NotifyItem),
    /// Reads the current presence of users. An entry that is not a valid PUID is kept as text.
    Query(Vec<Result<Puid, String>>),
}

impl std::fmt::Debug for AppServiceCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auth(_) => "Auth",
            Self::Notify(_) => "Notify",
            Self::NotifyOne(_) => "NotifyOne",
            Self::Query(_) => "Query",
        })
    }
}

/// The credential of an AppService, and its options.
#[derive(Default, PartialEq)]
pub struct AppServiceAuth {
    /// The API key; absent if the upgrade request has it.
    pub key: Option<String>,
    /// The cursor at which to resume.
    pub cursor: Option<String>,
    /// Set if the server is to send receipts.
    pub receipts: bool,
}

/// A live notification to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyItem {
    /// The user.
    pub uid: Puid,
    /// The sender, at most 200 characters, or empty: then devices see the name of the Application.
    pub source: String,
    /// The text.
    pub message: String,
    /// The URL to open, or empty.
    pub action: String,
    /// The number of seconds for which it may wait for a device. With 0 it is dropped unless a
    /// device is connected now.
    pub ttl: u32,
    /// The idempotency key. A second notification with the same key for the same user within 24
    /// hours gets the result of the first one.
    pub idempotency_key: Option<String>,
}

/// An item of a `notify`, with the JSON texts of its fields.
#[derive(Deserialize)]
pub struct RawNotifyItem<'a> {
    #[serde(borrow)]
    uid: Option<&'a RawValue>,
    /// The spelling of 2013.
    #[serde(rename = "UID")]
    upper_case_uid: Option<&'a RawValue>,
    source: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
    action: Option<&'a RawValue>,
    ttl: Option<&'a RawValue>,
    idempotency_key: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawAppServiceRequest<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    action: Option<&'a RawValue>,
    token: Option<&'a RawValue>,
    key: Option<&'a RawValue>,
    cursor: Option<&'a RawValue>,
    receipts: Option<&'a RawValue>,
    notifications: Option<&'a RawValue>,
    target: Option<&'a RawValue>,
    source: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
    ttl: Option<&'a RawValue>,
    idempotency_key: Option<&'a RawValue>,
    uids: Option<&'a RawValue>,
}

/// Parses a request.
///
/// # Errors
///
/// `not_json`, `missing_field`, `invalid_field`, `unknown_type`, `unknown_uid` or `too_large`.
pub fn parse(text: &str) -> Result<AppServiceRequest, RejectedRequest> {
    if text.trim_start().starts_with('[') {
        let items = parse_bare_items(text).map_err(|error| (error, None))?;
        return Ok(AppServiceRequest { id: None, command: AppServiceCommand::Notify(items) });
    }
    let raw: RawAppServiceRequest<'_> = field::parse_object(text).map_err(|error| (error, None))?;
    let id = field::request_id(raw.id).map_err(|error| (error, None))?;
    match parse_command(&raw) {
        Ok(command) => Ok(AppServiceRequest { id, command }),
        Err(error) => Err((error, id)),
    }
}

/// Parses a text that is only the list of a `notify`, as the first documents describe it.
///
/// # Errors
///
/// `not_json`, and as [`parse_items`].
pub fn parse_bare_items(text: &str) -> Result<Vec<Result<NotifyItem, ApiError>>, ApiError> {
    let list: &RawValue =
        serde_json::from_str(text).map_err(|error| ApiError::detailed(Errno::NotJson, error))?;
    parse_items(list.get())
}

fn parse_command(raw: &RawAppServiceRequest<'_>) -> Result<AppServiceCommand, ApiError> {
    let action: Option<String> = field::optional("action", raw.action, "a string")?;
    match action.as_deref() {
        Some("auth") => auth(raw, raw.token.or(raw.key)),
        Some("notify") => notify(raw),
        Some("query") => query(raw.uids),
        Some(_) => Err(Errno::UnknownType.into()),
        None if raw.key.is_some() => auth(raw, raw.key),
        None => Err(field::missing("action")),
    }
}

fn auth(raw: &RawAppServiceRequest<'_>, key: RawField<'_>) -> Result<AppServiceCommand, ApiError> {
    Ok(AppServiceCommand::Auth(AppServiceAuth {
        key: field::optional("token", key, "a string")?,
        cursor: field::optional("cursor", raw.cursor, "a string")?,
        receipts: field::optional("receipts", raw.receipts, "true or false")?.unwrap_or(false),
    }))
}

fn notify(raw: &RawAppServiceRequest<'_>) -> Result<AppServiceCommand, ApiError> {
    let Some(list) = raw.notifications else {
        let Some(target) = raw.target else { return Err(field::missing("notifications")) };
        return parse_single_item(raw, target).map(AppServiceCommand::NotifyOne);
    };
    parse_items(list.get()).map(AppServiceCommand::Notify)
}

/// Parses the list of a `notify`, each item separately.
///
/// # Errors
///
/// `invalid_field` if it is not a list, `too_large` if it has more than 500 items.
pub fn parse_items(json: &str) -> Result<Vec<Result<NotifyItem, ApiError>>, ApiError> {
    let items: Vec<&RawValue> = serde_json::from_str(json)
        .map_err(|_| field::invalid("notifications", "a list of objects"))?;
    if items.len() > MAX_BATCH_ITEMS {
        let detail = format_args!("notifications may have at most {MAX_BATCH_ITEMS} items");
        return Err(ApiError::detailed(Errno::TooLarge, detail));
    }
    Ok(items.iter().map(|raw| parse_item(&field::parse_object(raw.get())?)).collect())
}

fn parse_single_item(
    raw: &RawAppServiceRequest<'_>,
    target: &RawValue,
) -> Result<NotifyItem, ApiError> {
    parse_item(&RawNotifyItem {
        uid: Some(target),
        upper_case_uid: None,
        source: raw.source,
        message: raw.message,
        action: None,
        ttl: raw.ttl,
        idempotency_key: raw.idempotency_key,
    })
}

fn parse_item(raw: &RawNotifyItem<'_>) -> Result<NotifyItem, ApiError> {
    let uid: String = field::required("uid", raw.uid.or(raw.upper_case_uid), "a string")?;
    let message = field::display_text("message", raw.message, MAX_NOTIFICATION_CHARS)?
        .ok_or_else(|| field::missing("message"))?;
    let source = field::display_text("source", raw.source, MAX_SOURCE_CHARS)?.unwrap_or_default();
    let action = field::bounded_text("action", raw.action, MAX_NOTIFICATION_CHARS)?;
    let ttl: Option<u32> =
        field::optional("ttl", raw.ttl, "a whole number of seconds from 0 to 2592000")?;
    let ttl = ttl.unwrap_or(MAX_TTL_SECONDS);
    if ttl > MAX_TTL_SECONDS {
        return Err(field::invalid("ttl", "a whole number of seconds from 0 to 2592000"));
    }
    Ok(NotifyItem {
        uid: uid.parse().map_err(|_| ApiError::from(Errno::UnknownUid))?,
        // A source of spaces is none, so that the name of the Application is displayed.
        source: source.trim().to_owned(),
        message,
        action: action.unwrap_or_default(),
        ttl,
        idempotency_key: idempotency_key(raw.idempotency_key)?,
    })
}

fn idempotency_key(raw: RawField<'_>) -> Result<Option<String>, ApiError> {
    let key = field::bounded_text("idempotency_key", raw, MAX_IDEMPOTENCY_KEY_CHARS)?;
    match key {
        Some(key) if key.is_empty() || key.contains(char::is_control) => {
            Err(field::invalid("idempotency_key", "1 to 128 characters without control characters"))
        }
        key => Ok(key),
    }
}

fn query(raw: RawField<'_>) -> Result<AppServiceCommand, ApiError> {
    let uids: Vec<String> = field::required("uids", raw, "a list of strings")?;
    if uids.len() > MAX_BATCH_ITEMS {
        return Err(ApiError::detailed(
            Errno::TooLarge,
            format_args!("uids may have at most {MAX_BATCH_ITEMS} items"),
        ));
    }
    Ok(AppServiceCommand::Query(uids.into_iter().map(|uid| uid.parse().map_err(|_| uid)).collect()))
}

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

/// Returns a frame with one update, in the format of 2013.
pub fn single_update(update: &PresenceUpdate) -> String {
    to_json(update)
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

fn to_json(frame: &impl Serialize) -> String {
    // Frames hold only texts and numbers under text keys, which can always be serialised.
    serde_json::to_string(frame).unwrap_or_default()
}

pub mod client;

#[cfg(test)]
mod tests;
