//! The frames of the AppService Presence Channel: this file parses requests, and `replies` writes
//! what the server sends.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::errno::Errno;
use crate::error::{ApiError, RejectedRequest};
use crate::field::{self, RawField};
use crate::id::Puid;
use crate::limits::{
    MAX_BATCH_ITEMS, MAX_IDEMPOTENCY_KEY_CHARS, MAX_NOTIFICATION_CHARS, MAX_SOURCE_CHARS,
    MAX_TTL_SECONDS,
};
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
    /// Sends notifications. The reply is a list of results.
    Notify(Vec<Result<NotifyItem, ApiError>>),
    /// Sends one notification, in the format of 2013. The whole frame is refused if it is
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

/// A notification to send.
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

pub mod client;
mod replies;

pub use replies::{
    NotifyResult, NotifySummary, QueryResult, QueuedNotification, Receipt, ReceiptState,
    StreamFrameRef, auth_ok, notify_reply, query_ok, single_update, stale,
};

#[cfg(test)]
mod tests;
