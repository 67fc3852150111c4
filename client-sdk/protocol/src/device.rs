//! The frames of the Device Presence Channel.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::errno::Errno;
use crate::error::{ApiError, RejectedRequest};
use crate::field::{self, RawField};
use crate::id::{AppId, DeviceName, NotificationId};
use crate::limits::{ACK_IDS, APPLICATION_IDS};
use crate::presence::{Status, StatusText};
use crate::request::RequestId;
use crate::time::UnixMillis;

/// One frame from a device.
#[derive(Debug, PartialEq)]
pub struct DeviceRequest {
    /// Repeated by the reply.
    pub id: Option<RequestId>,
    /// Who speaks, where the frame says so.
    pub auth: DeviceAuth,
    /// What it wants.
    pub command: DeviceCommand,
}

/// What a frame says about who speaks; the first frame of a connection must prove it.
#[derive(Default, PartialEq)]
pub struct DeviceAuth {
    /// The e-mail that the assertion is said to prove.
    pub email: Option<String>,
    /// The proof.
    pub proof: Option<Proof>,
    /// The name of the device.
    pub device: Option<DeviceName>,
    /// Whether the device acknowledges notifications.
    pub acks: Option<bool>,
}

impl std::fmt::Debug for DeviceAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceAuth")
            .field("device", &self.device)
            .field("acks", &self.acks)
            .finish_non_exhaustive()
    }
}

/// A proof of who speaks.
#[derive(PartialEq)]
pub enum Proof {
    /// An identity assertion.
    Assertion(String),
    /// A bearer token of a session.
    Token(String),
}

/// What a device wants.
#[derive(Debug, PartialEq)]
pub enum DeviceCommand {
    /// StatusReport a status.
    Status(StatusReport),
    /// From now on only these Applications see this device.
    Visibility(Vec<AppId>),
    /// These notifications were taken.
    Ack(Vec<NotificationId>),
}

/// A reported status.
#[derive(Debug, PartialEq)]
pub struct StatusReport {
    /// The status.
    pub status: Status,
    /// The status text.
    pub message: Option<StatusText>,
    /// Only these Applications see this one update.
    pub application_ids: Option<Vec<AppId>>,
}

#[derive(Deserialize)]
struct RawDeviceRequest<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    r#type: Option<&'a RawValue>,
    email: Option<&'a RawValue>,
    assertion: Option<&'a RawValue>,
    token: Option<&'a RawValue>,
    device: Option<&'a RawValue>,
    acks: Option<&'a RawValue>,
    status: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
    application_ids: Option<&'a RawValue>,
    ids: Option<&'a RawValue>,
}

/// Reads a frame.
///
/// # Errors
///
/// `not_json`, `missing_field`, `invalid_field`, `unknown_type` or `too_large`.
pub fn parse(text: &str) -> Result<DeviceRequest, RejectedRequest> {
    parse_plain(text).map_or_else(|| parse_fields(text), Ok)
}

fn parse_fields(text: &str) -> Result<DeviceRequest, RejectedRequest> {
    let raw: RawDeviceRequest<'_> = field::object(text).map_err(|ko| (ko, None))?;
    let id = field::request_id(raw.id).map_err(|ko| (ko, None))?;
    match read(&raw) {
        Ok((auth, command)) => Ok(DeviceRequest { id, auth, command }),
        Err(ko) => Err((ko, id)),
    }
}

/// The frame that comes most often, read in one go: a status, and hardly more.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainStatus<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    status: Status,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

/// Reads a plain status. `None` where it is anything else, or where something is wrong with it: to say what, it is read field by
/// field.
fn parse_plain(text: &str) -> Option<DeviceRequest> {
    if !text.starts_with('{') {
        return None;
    }
    let PlainStatus { id, status, message } = serde_json::from_str(text).ok()?;
    let message = match message.as_deref() {
        None | Some("") => None,
        Some(text) => Some(StatusText::try_from(text).ok()?),
    };
    Some(DeviceRequest {
        id: field::request_id(id).ok()?,
        auth: DeviceAuth::default(),
        command: DeviceCommand::Status(StatusReport { status, message, application_ids: None }),
    })
}

fn read(raw: &RawDeviceRequest<'_>) -> Result<(DeviceAuth, DeviceCommand), ApiError> {
    let kind: Option<String> = field::optional("type", raw.r#type, "a text")?;
    let command = match kind.as_deref() {
        None | Some("status") => DeviceCommand::Status(report(raw)?),
        Some("visibility") => DeviceCommand::Visibility(
            application_ids(raw.application_ids)?
                .ok_or_else(|| field::missing("application_ids"))?,
        ),
        Some("ack") => DeviceCommand::Ack(
            field::known_ids("ids", raw.ids, ACK_IDS)?.ok_or_else(|| field::missing("ids"))?,
        ),
        Some(_) => return Err(Errno::UnknownType.into()),
    };
    Ok((auth(raw)?, command))
}

fn report(raw: &RawDeviceRequest<'_>) -> Result<StatusReport, ApiError> {
    Ok(StatusReport {
        status: field::required("status", raw.status, "online, offline or unavailable")?,
        message: status_text(raw.message)?,
        application_ids: application_ids(raw.application_ids)?,
    })
}

fn status_text(raw: RawField<'_>) -> Result<Option<StatusText>, ApiError> {
    let text: Option<String> = field::optional("message", raw, "a text")?;
    match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => {
            StatusText::try_from(text).map(Some).map_err(|reason| field::invalid("message", reason))
        }
    }
}

fn application_ids(raw: RawField<'_>) -> Result<Option<Vec<AppId>>, ApiError> {
    field::known_ids("application_ids", raw, APPLICATION_IDS)
}

fn auth(raw: &RawDeviceRequest<'_>) -> Result<DeviceAuth, ApiError> {
    let assertion: Option<String> = field::optional("assertion", raw.assertion, "a text")?;
    // Clients of 2013 send a `token` of their own beside the assertion; it means nothing.
    let proof = match assertion {
        Some(assertion) => Some(Proof::Assertion(assertion)),
        None => field::optional("token", raw.token, "a text").unwrap_or(None).map(Proof::Token),
    };
    Ok(DeviceAuth {
        email: field::optional("email", raw.email, "a text")?,
        proof,
        device: field::optional("device", raw.device, "1 to 64 of A-Z a-z 0-9 . _ -")?,
        acks: field::optional("acks", raw.acks, "true or false")?,
    })
}

/// The reply to a frame that was taken.
pub const OK: &str = r#"{"result":"OK"}"#;

/// The reply to a frame that was taken, with its `id`.
pub fn ok(id: Option<&RequestId>) -> Cow<'static, str> {
    #[derive(Serialize)]
    struct Ok<'a> {
        result: &'static str,
        id: &'a RequestId,
    }
    match id {
        None => OK.into(),
        Some(id) => to_json(&Ok { result: "OK", id }).into(),
    }
}

/// A live notification as a device gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveNotification {
    /// The Application's name, set by the server.
    pub source: String,
    /// The text.
    pub message: String,
    /// Empty, or the URL to open.
    pub action: String,
    /// The Application.
    pub appid: AppId,
    /// The name of this notification, for acknowledging it.
    pub id: NotificationId,
    /// When it was accepted, in milliseconds since 1970 UTC.
    pub sent_at: UnixMillis,
}

/// The frame that carries notifications.
pub fn notifications<'a>(items: impl IntoIterator<Item = &'a LiveNotification>) -> String {
    #[derive(Serialize)]
    struct Frame<'a> {
        notifications: Vec<&'a LiveNotification>,
    }
    to_json(&Frame { notifications: items.into_iter().collect() })
}

/// The frame that tells a device to send a fresh assertion within so many seconds.
pub fn expires_in(seconds: u64) -> String {
    format!(r#"{{"expires_in":{seconds}}}"#)
}

fn to_json(frame: &impl Serialize) -> String {
    // Frames hold only texts and numbers under text keys, which always serialise.
    serde_json::to_string(frame).unwrap_or_default()
}

pub mod client;

#[cfg(test)]
mod tests;
