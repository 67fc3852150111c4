//! The client's side of the AppService Presence Channel: writing requests and reading frames.

use serde::{Deserialize, Serialize};

use super::{AppServiceAuth, NotifyItem, QueryResult, QueuedNotification, Receipt};
use crate::errno::Errno;
use crate::error::{ApiError, RawReply};
use crate::id::{NotificationId, Puid};
use crate::presence::PresenceUpdate;

/// A frame from the server to an AppService, of `presence.v1`.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerToAppService {
    /// The key was accepted.
    AuthOk,
    /// The result of each notification of a request, and the numeric id of the request.
    Notified(Vec<Result<QueuedNotification, ApiError>>, Option<u64>),
    /// The results of a query, and the numeric id of the request.
    Queried(Vec<QueryResult>, Option<u64>),
    /// The error of a request, and the numeric id of the request.
    Error(ApiError, Option<u64>),
    /// A frame of the stream.
    Stream(StreamFrame),
    /// A frame that this version does not know, to be skipped.
    Unknown,
}

/// A frame of the stream, as a client reads it. The fields are those of
/// [`StreamFrameRef`](super::StreamFrameRef).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct StreamFrame {
    /// Set for a page of a snapshot.
    pub snapshot: bool,
    /// Set if updates before this frame may have been missed.
    pub gap: bool,
    /// The updates.
    pub presence: Vec<PresenceUpdate>,
    /// The receipts.
    pub receipts: Vec<Receipt>,
    /// The cursor: all updates up to this point are contained.
    pub cursor: Option<String>,
    /// Set if further pages follow.
    pub more: bool,
}

#[derive(Deserialize)]
struct RawFrameKind<'a> {
    result: Option<&'a str>,
    #[serde(borrow)]
    action: Option<std::borrow::Cow<'a, str>>,
    presence: Option<&'a serde_json::value::RawValue>,
    receipts: Option<&'a serde_json::value::RawValue>,
}

/// Parses a frame from the server. An unknown one is [`ServerToAppService::Unknown`].
///
/// # Errors
///
/// Returns an error if the text is not JSON of a known form.
pub fn parse_frame(text: &str) -> Result<ServerToAppService, serde_json::Error> {
    let raw: RawFrameKind<'_> = serde_json::from_str(text)?;
    Ok(match (raw.result, raw.action.as_deref()) {
        (Some("KO"), _) => {
            let reply: RawReply = serde_json::from_str(text)?;
            let id = reply.numeric_id();
            reply
                .into_error()
                .map_or(ServerToAppService::Unknown, |error| ServerToAppService::Error(error, id))
        }
        (Some("OK"), Some("auth")) => ServerToAppService::AuthOk,
        (Some("OK"), Some("notify")) => notified(serde_json::from_str(text)?),
        (Some("OK"), Some("query")) => queried(serde_json::from_str(text)?),
        (None, None) if raw.presence.is_some() || raw.receipts.is_some() => {
            ServerToAppService::Stream(serde_json::from_str(text)?)
        }
        _ => ServerToAppService::Unknown,
    })
}

#[derive(Deserialize)]
struct NotifyReply {
    #[serde(default)]
    results: Vec<RawNotifyResult>,
    #[serde(flatten)]
    envelope: RawReply,
}

/// An entry of the `results` of a `notify`, as it is read.
#[derive(Debug, Deserialize)]
pub struct RawNotifyResult {
    id: Option<NotificationId>,
    queue_size: Option<u32>,
    #[serde(flatten)]
    envelope: RawReply,
}

impl From<RawNotifyResult> for Result<QueuedNotification, ApiError> {
    fn from(raw: RawNotifyResult) -> Self {
        match (raw.id, raw.queue_size) {
            (Some(id), Some(queue_size)) => Ok(QueuedNotification { id, queue_size }),
            _ => Err(raw.envelope.into_error().unwrap_or_else(|| Errno::Internal.into())),
        }
    }
}

fn notified(reply: NotifyReply) -> ServerToAppService {
    ServerToAppService::Notified(
        reply.results.into_iter().map(Into::into).collect(),
        reply.envelope.numeric_id(),
    )
}

#[derive(Deserialize)]
struct QueryReply {
    #[serde(default)]
    presence: Vec<RawQueryResult>,
    #[serde(flatten)]
    envelope: RawReply,
}

/// An entry of the reply to a query, as it is read. An entry that is neither a presence nor an
/// error makes the whole frame invalid, so that no user counts as unknown by mistake.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Box<serde_json::value::RawValue>")]
pub struct RawQueryResult(QueryResult);

impl TryFrom<Box<serde_json::value::RawValue>> for RawQueryResult {
    type Error = serde_json::Error;

    fn try_from(raw: Box<serde_json::value::RawValue>) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct QueryResultKind {
            uid: String,
            result: Option<String>,
        }
        let entry: QueryResultKind = serde_json::from_str(raw.get())?;
        Ok(Self(match entry.result.as_deref() {
            Some("KO") => QueryResult::Unknown(entry.uid),
            Some(_) | None => QueryResult::Known(serde_json::from_str(raw.get())?),
        }))
    }
}

impl From<RawQueryResult> for QueryResult {
    fn from(raw: RawQueryResult) -> Self {
        raw.0
    }
}

fn queried(reply: QueryReply) -> ServerToAppService {
    ServerToAppService::Queried(
        reply.presence.into_iter().map(Into::into).collect(),
        reply.envelope.numeric_id(),
    )
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
    super::to_json(&AuthJson {
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
    super::to_json(&NotifyJson { action: "notify", id, notifications })
}

/// Returns the frame that reads the current presence of users.
pub fn query(id: u64, uids: &[Puid]) -> String {
    #[derive(Serialize)]
    struct QueryJson<'a> {
        action: &'static str,
        id: u64,
        uids: &'a [Puid],
    }
    super::to_json(&QueryJson { action: "query", id, uids })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{
        AppServiceCommand, AppServiceRequest, ReceiptState, auth_ok, notify_ok, parse, query_ok,
    };
    use crate::presence::Status;
    use crate::request::RequestId;
    use crate::time::UnixMillis;

    fn presence() -> PresenceUpdate {
        PresenceUpdate {
            uid: Puid::from_bits(1),
            status: Status::Online,
            version: 2,
            since: UnixMillis::new(3000),
            message: None,
            revoked: false,
        }
    }

    #[test]
    fn frames_that_the_server_writes_are_parsed() {
        let id = RequestId::from_number(7);
        let queued = QueuedNotification { id: NotificationId::from_bits(4), queue_size: 5 };
        let results = vec![Ok(queued), Err(Errno::UnknownUid.into())];
        let query_results =
            vec![QueryResult::Known(presence()), QueryResult::Unknown("no-such-user".to_owned())];
        let error = ApiError::slow_down(0.5);
        for (written, expected) in [
            (auth_ok(None), ServerToAppService::AuthOk),
            (notify_ok(Some(&id), &results), ServerToAppService::Notified(results, Some(7))),
            (
                query_ok(Some(&id), &query_results),
                ServerToAppService::Queried(query_results, Some(7)),
            ),
            (error.to_json(Some(&id)), ServerToAppService::Error(error, Some(7))),
            (r#"{"action":"unknown","result":"OK"}"#.to_owned(), ServerToAppService::Unknown),
            (r#"{"unknown":true}"#.to_owned(), ServerToAppService::Unknown),
        ] {
            assert_eq!(parse_frame(&written).unwrap(), expected, "{written}");
        }
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_an_error_and_not_an_unknown_user() {
        let uid = Puid::from_bits(1);
        let text = format!(
            r#"{{"action":"query","result":"OK","presence":[{{"uid":"{uid}","status":"asleep","version":1,"since":1}}]}}"#
        );
        assert!(parse_frame(&text).is_err());
    }

    #[test]
    fn a_stream_frame_is_read_as_it_was_written() {
        let (presence, receipt) = (
            presence(),
            Receipt {
                id: NotificationId::from_bits(9),
                uid: Puid::from_bits(1),
                state: ReceiptState::Acked,
            },
        );
        let written = super::super::StreamFrameRef {
            snapshot: true,
            gap: true,
            presence: Some(vec![&presence]),
            receipts: &[receipt],
            cursor: Some("c"),
            more: true,
        };
        let ServerToAppService::Stream(read) = parse_frame(&written.to_json()).unwrap() else {
            panic!("not a stream frame")
        };
        assert_eq!((read.snapshot, read.gap, read.more), (true, true, true));
        assert_eq!((read.presence, read.receipts), (vec![presence], vec![receipt]));
        assert_eq!(read.cursor.as_deref(), Some("c"));
    }

    #[test]
    fn requests_that_a_client_writes_are_parsed_by_the_server() {
        let item = |ttl, action: &str, key: Option<&str>| NotifyItem {
            uid: Puid::from_bits(1),
            source: key.map_or_else(String::new, |_| "bob@chat.example".to_owned()),
            message: "Hello".to_owned(),
            action: action.to_owned(),
            ttl,
            idempotency_key: key.map(str::to_owned),
        };
        let items = [
            item(0, "https://chat.example/", Some("k")),
            item(crate::limits::MAX_TTL_SECONDS, "", None),
        ];
        let expected = AppServiceRequest {
            id: Some(RequestId::from_number(1)),
            command: AppServiceCommand::Notify(items.iter().cloned().map(Ok).collect()),
        };
        assert!(parse(&notify(1, &items)).unwrap() == expected);
        let credentials = AppServiceAuth {
            key: Some("k".to_owned()),
            cursor: Some("c".to_owned()),
            receipts: true,
        };
        let written = auth(&credentials);
        assert!(
            parse(&written).unwrap()
                == AppServiceRequest { id: None, command: AppServiceCommand::Auth(credentials) }
        );
        let expected = AppServiceRequest {
            id: Some(RequestId::from_number(2)),
            command: AppServiceCommand::Query(vec![Ok(Puid::from_bits(3))]),
        };
        assert!(parse(&query(2, &[Puid::from_bits(3)])).unwrap() == expected);
    }
}
