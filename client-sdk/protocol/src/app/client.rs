//! The client's side of the AppService Presence Channel: writing requests and reading frames.

use serde::{Deserialize, Serialize};

use serde_json::value::RawValue;

use super::replies::to_json;
use super::{AppServiceAuth, NotifyItem, QueuedNotification};
use crate::errno::Errno;
use crate::error::{ApiError, RawReply};
use crate::id::{NotificationId, Puid};
use crate::lenient::lenient;
use crate::open::{OpenList, OpenPresence, OpenQueryResult, OpenReceipt};

/// A frame from the server to an AppService, of `presence.v1`.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerToAppService {
    /// The key was accepted.
    AuthOk,
    /// The result of each notification of a request, and the numeric id of the request.
    Notified(Vec<Result<QueuedNotification, ApiError>>, Option<u64>),
    /// The results of a query, and the numeric id of the request.
    Queried(Vec<OpenQueryResult>, Option<u64>),
    /// The error of a request, and the numeric id of the request.
    Error(ApiError, Option<u64>),
    /// A frame of the stream.
    Stream(StreamFrame),
    /// The server cannot see changes of presence from now on, or can again.
    Stale(bool),
    /// A frame that this version does not know, to be skipped.
    Unknown,
}

/// A frame of the stream, as a client reads it. The fields are those of
/// [`StreamFrameRef`](super::StreamFrameRef).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct StreamFrame {
    /// Set for a page of a snapshot.
    #[serde(deserialize_with = "lenient")]
    pub snapshot: bool,
    /// Set if updates before this frame may have been missed.
    #[serde(deserialize_with = "lenient")]
    pub gap: bool,
    /// The updates.
    pub presence: OpenList<OpenPresence>,
    /// The receipts.
    pub receipts: OpenList<OpenReceipt>,
    /// The cursor: all updates up to this point are contained.
    #[serde(deserialize_with = "lenient")]
    pub cursor: Option<String>,
    /// Set if further pages follow.
    #[serde(deserialize_with = "lenient")]
    pub more: bool,
}

#[derive(Deserialize)]
struct RawFrameKind<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    action: Option<&'a RawValue>,
    presence: Option<&'a RawValue>,
    receipts: Option<&'a RawValue>,
    stale: Option<&'a RawValue>,
}

/// Parses a frame from the server. An unknown one is [`ServerToAppService::Unknown`].
///
/// # Errors
///
/// Returns an error if the text is not a JSON object.
pub fn parse_frame(text: &str) -> Result<ServerToAppService, serde_json::Error> {
    let raw: RawFrameKind<'_> = serde_json::from_str(text)?;
    if raw.result.is_some() {
        return parse_reply(text, raw.action);
    }
    if raw.presence.is_some() || raw.receipts.is_some() {
        return serde_json::from_str(text).map(ServerToAppService::Stream);
    }
    let stale = raw.stale.and_then(|raw| serde_json::from_str(raw.get()).ok());
    Ok(stale.map_or(ServerToAppService::Unknown, ServerToAppService::Stale))
}

#[derive(Deserialize)]
struct ReplyLists {
    results: Option<OpenList<ReadNotifyResult>>,
    presence: Option<OpenList<ReadQueryResult>>,
}

fn parse_reply(
    text: &str,
    action: Option<&RawValue>,
) -> Result<ServerToAppService, serde_json::Error> {
    let reply: RawReply = serde_json::from_str(text)?;
    let id = reply.numeric_id();
    // An unknown result without an id may be about anything.
    let is_refusal = reply.is_ko() || id.is_some();
    let action: Option<String> = action.and_then(|raw| serde_json::from_str(raw.get()).ok());
    // The results count, even if the reply is an error because no notification was taken.
    if action.as_deref() == Some("notify") {
        let lists: ReplyLists = serde_json::from_str(text)?;
        if let Some(results) = lists.results {
            let results = results.items.into_iter().map(Into::into).collect();
            return Ok(ServerToAppService::Notified(results, id));
        }
    }
    Ok(match (reply.is_ok(), action.as_deref()) {
        (Some(true), Some("auth")) => ServerToAppService::AuthOk,
        (Some(true), Some("notify" | "query")) => {
            let lists: ReplyLists = serde_json::from_str(text)?;
            match (lists.results, lists.presence) {
                (Some(results), _) => ServerToAppService::Notified(
                    results.items.into_iter().map(Into::into).collect(),
                    id,
                ),
                (None, Some(presence)) => ServerToAppService::Queried(
                    presence.items.into_iter().map(Into::into).collect(),
                    id,
                ),
                (None, None) => ServerToAppService::Error(unreadable("reply"), id),
            }
        }
        (Some(true), _) if id.is_some() => ServerToAppService::Error(unreadable("reply"), id),
        (Some(false), _) if is_refusal => ServerToAppService::Error(reply.into_refusal(), id),
        _ => ServerToAppService::Unknown,
    })
}

/// Returns the error for a part of a reply that this version cannot read.
fn unreadable(part: &str) -> ApiError {
    ApiError::detailed(Errno::Unknown(0), format_args!("the {part} cannot be read"))
}

/// An entry of the `results` of a `notify`, as it is read. An entry of an unknown form is an error,
/// so that each entry keeps its place.
#[derive(Debug, Deserialize)]
#[serde(from = "Box<RawValue>")]
pub struct ReadNotifyResult(Result<QueuedNotification, ApiError>);

impl From<Box<RawValue>> for ReadNotifyResult {
    fn from(raw: Box<RawValue>) -> Self {
        #[derive(Deserialize)]
        struct RawNotifyResult {
            #[serde(default, deserialize_with = "lenient")]
            id: Option<NotificationId>,
            #[serde(default, deserialize_with = "lenient")]
            queue_size: u32,
        }
        let entry = serde_json::from_str(raw.get());
        let reply = serde_json::from_str::<RawReply>(raw.get());
        Self(match (entry, reply) {
            (Ok(RawNotifyResult { id: Some(id), queue_size }), Ok(reply))
                if reply.is_ok() != Some(false) =>
            {
                Ok(QueuedNotification { id, queue_size })
            }
            (_, Ok(reply)) if reply.is_ok() == Some(false) => Err(reply.into_refusal()),
            _ => Err(unreadable("result")),
        })
    }
}

impl From<ReadNotifyResult> for Result<QueuedNotification, ApiError> {
    fn from(read: ReadNotifyResult) -> Self {
        read.0
    }
}

/// An entry of the reply to a query, as it is read. An entry of an unknown form is an error, so
/// that no user counts as unknown or offline by mistake and each entry keeps its place.
#[derive(Debug, Deserialize)]
#[serde(from = "Box<RawValue>")]
pub struct ReadQueryResult(OpenQueryResult);

impl From<Box<RawValue>> for ReadQueryResult {
    fn from(raw: Box<RawValue>) -> Self {
        #[derive(Deserialize)]
        struct RawUid {
            #[serde(default, deserialize_with = "lenient")]
            uid: String,
        }
        let uid = serde_json::from_str::<RawUid>(raw.get()).map(|raw| raw.uid).unwrap_or_default();
        let reply = serde_json::from_str::<RawReply>(raw.get()).unwrap_or_default();
        if reply.is_ok() == Some(false) {
            let error = reply.into_refusal();
            return Self(if error.errno == Errno::UnknownUid {
                OpenQueryResult::Unknown(uid)
            } else {
                OpenQueryResult::Refused { uid, error }
            });
        }
        Self(serde_json::from_str(raw.get()).map_or_else(
            |_| OpenQueryResult::Refused { uid, error: unreadable("entry") },
            OpenQueryResult::Known,
        ))
    }
}

impl From<ReadQueryResult> for OpenQueryResult {
    fn from(read: ReadQueryResult) -> Self {
        read.0
    }
}

/// Writes the item as the server reads it. Fields with their default are left out.
impl Serialize for NotifyItem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct NotifyItemJson<'a> {
            uid: Puid,
            #[serde(skip_serializing_if = "str::is_empty")]
            source: &'a str,
            message: &'a str,
            #[serde(skip_serializing_if = "str::is_empty")]
            action: &'a str,
            #[serde(skip_serializing_if = "is_default_ttl")]
            ttl: u32,
            #[serde(skip_serializing_if = "Option::is_none")]
            idempotency_key: Option<&'a str>,
        }
        NotifyItemJson {
            uid: self.uid,
            source: &self.source,
            message: &self.message,
            action: &self.action,
            ttl: self.ttl,
            idempotency_key: self.idempotency_key.as_deref(),
        }
        .serialize(serializer)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_default_ttl(ttl: &u32) -> bool {
    *ttl == crate::limits::MAX_TTL_SECONDS
}

/// Returns the frame that authenticates an AppService.
pub fn auth(auth: &AppServiceAuth) -> String {
    #[derive(Serialize)]
    struct AuthJson<'a> {
        action: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cursor: Option<&'a str>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        receipts: bool,
    }
    to_json(&AuthJson {
        action: "auth",
        token: auth.key.as_deref(),
        cursor: auth.cursor.as_deref(),
        receipts: auth.receipts,
    })
}

/// Returns the frame that sends notifications.
pub fn notify(id: u64, notifications: &[NotifyItem]) -> String {
    #[derive(Serialize)]
    struct NotifyJson<'a> {
        action: &'static str,
        id: u64,
        notifications: &'a [NotifyItem],
    }
    to_json(&NotifyJson { action: "notify", id, notifications })
}

/// Returns the frame that reads the current presence of users.
pub fn query(id: u64, uids: &[Puid]) -> String {
    #[derive(Serialize)]
    struct QueryJson<'a> {
        action: &'static str,
        id: u64,
        uids: &'a [Puid],
    }
    to_json(&QueryJson { action: "query", id, uids })
}

#[cfg(test)]
mod tests;
