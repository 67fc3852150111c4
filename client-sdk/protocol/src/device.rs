//! The frames of the Device Presence Channel.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::errno::Errno;
use crate::error::{ApiError, RejectedRequest};
use crate::field::{self, RawField};
use crate::id::{AppId, DeviceName, NotificationId};
use crate::limits::{MAX_ACK_IDS, MAX_APPLICATION_IDS, MAX_NOTIFICATIONS_BYTES};
use crate::presence::{Status, StatusText};
use crate::request::RequestId;
use crate::time::UnixMillis;

/// A request from a device.
#[derive(Debug, PartialEq)]
pub struct DeviceRequest {
    /// The id, which the reply repeats.
    pub id: Option<RequestId>,
    /// The fields that authenticate the device, if the frame has them.
    pub auth: DeviceAuth,
    /// The command.
    pub command: DeviceCommand,
}

/// The fields of a frame that authenticate a device. The first frame of a connection must have a
/// proof.
#[derive(Default, PartialEq)]
pub struct DeviceAuth {
    /// The e-mail address that the assertion is expected to prove.
    pub email: Option<String>,
    /// The proof.
    pub proof: Option<Proof>,
    /// The name of the device.
    pub device: Option<DeviceName>,
    /// Set if the device acknowledges notifications.
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

/// A proof of the user's identity.
#[derive(PartialEq)]
pub enum Proof {
    /// An identity assertion.
    Assertion(String),
    /// The bearer token of a session.
    Token(String),
}

/// A command of a device.
#[derive(Debug, PartialEq)]
pub enum DeviceCommand {
    /// Reports a status.
    Status(StatusReport),
    /// Sets the only Applications that see this device from now on.
    Visibility(Vec<AppId>),
    /// Acknowledges notifications.
    Ack(Vec<NotificationId>),
}

/// A reported status.
#[derive(Debug, PartialEq)]
pub struct StatusReport {
    /// The status.
    pub status: Status,
    /// The status text.
    pub message: Option<StatusText>,
    /// The only Applications that see this update.
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

/// Parses a request.
///
/// # Errors
///
/// `not_json`, `missing_field`, `invalid_field`, `unknown_type` or `too_large`.
pub fn parse(text: &str) -> Result<DeviceRequest, RejectedRequest> {
    parse_plain(text).map_or_else(|| parse_fields(text), Ok)
}

fn parse_fields(text: &str) -> Result<DeviceRequest, RejectedRequest> {
    let raw: RawDeviceRequest<'_> = field::parse_object(text).map_err(|error| (error, None))?;
    let id = field::request_id(raw.id).map_err(|error| (error, None))?;
    match parse_command(&raw) {
        Ok((auth, command)) => Ok(DeviceRequest { id, auth, command }),
        Err(error) => Err((error, id)),
    }
}

/// The most frequent frame: a status without authentication. It is parsed in one step.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainStatus<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    status: Status,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

/// Parses a plain status in one step. Returns `None` for any other frame and for an invalid one,
/// which is then parsed field by field to find the error.
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

fn parse_command(raw: &RawDeviceRequest<'_>) -> Result<(DeviceAuth, DeviceCommand), ApiError> {
    let kind: Option<String> = field::optional("type", raw.r#type, "a string")?;
    let command = match kind.as_deref() {
        None | Some("status") => DeviceCommand::Status(parse_report(raw)?),
        Some("visibility") => DeviceCommand::Visibility(
            application_ids(raw.application_ids)?
                .ok_or_else(|| field::missing("application_ids"))?,
        ),
        Some("ack") => DeviceCommand::Ack(
            field::valid_ids("ids", raw.ids, MAX_ACK_IDS)?.ok_or_else(|| field::missing("ids"))?,
        ),
        Some(_) => return Err(Errno::UnknownType.into()),
    };
    Ok((auth(raw)?, command))
}

fn parse_report(raw: &RawDeviceRequest<'_>) -> Result<StatusReport, ApiError> {
    Ok(StatusReport {
        status: field::required("status", raw.status, "online, offline or unavailable")?,
        message: status_text(raw.message)?,
        application_ids: application_ids(raw.application_ids)?,
    })
}

fn status_text(raw: RawField<'_>) -> Result<Option<StatusText>, ApiError> {
    let text: Option<String> = field::optional("message", raw, "a string")?;
    match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => {
            StatusText::try_from(text).map(Some).map_err(|reason| field::invalid("message", reason))
        }
    }
}

fn application_ids(raw: RawField<'_>) -> Result<Option<Vec<AppId>>, ApiError> {
    field::valid_ids("application_ids", raw, MAX_APPLICATION_IDS)
}

fn auth(raw: &RawDeviceRequest<'_>) -> Result<DeviceAuth, ApiError> {
    let assertion: Option<String> = field::optional("assertion", raw.assertion, "a string")?;
    // Clients of 2013 send a `token` of their own with the assertion. It has no meaning.
    let proof = match assertion {
        Some(assertion) => Some(Proof::Assertion(assertion)),
        None => field::optional("token", raw.token, "a string").unwrap_or(None).map(Proof::Token),
    };
    Ok(DeviceAuth {
        email: field::optional("email", raw.email, "a string")?,
        proof,
        device: field::optional("device", raw.device, "1 to 64 characters of A-Z a-z 0-9 . _ -")?,
        acks: field::optional("acks", raw.acks, "true or false")?,
    })
}

/// The reply to an accepted request without an `id`.
pub const OK: &str = r#"{"result":"OK"}"#;

/// Returns the reply to an accepted request, with the `id` of the request if it has one.
pub fn ok(id: Option<&RequestId>) -> Cow<'static, str> {
    #[derive(Serialize)]
    struct OkReply<'a> {
        result: &'static str,
        id: &'a RequestId,
    }
    match id {
        None => OK.into(),
        Some(id) => to_json(&OkReply { result: "OK", id }).into(),
    }
}

/// A notification, as a device receives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveNotification {
    /// The sender as the AppService names it, or the name of the Application.
    #[serde(default)]
    pub source: String,
    /// The name of the Application, set by the server. For 30 days after a change it has the old
    /// name too: `New name (before: Old name)`.
    #[serde(default)]
    pub application: String,
    /// The verified domain of the Application, set by the server.
    #[serde(default)]
    pub domain: String,
    /// The text.
    #[serde(default)]
    pub message: String,
    /// The URL to open, or empty.
    #[serde(default)]
    pub action: String,
    /// The Application.
    pub appid: AppId,
    /// The id of the notification, for its acknowledgement.
    pub id: NotificationId,
    /// The time at which the server accepted the notification.
    #[serde(default)]
    pub sent_at: UnixMillis,
}

/// A frame with notifications that is being filled.
#[derive(Debug)]
pub struct NotificationBatch {
    text: String,
}

impl NotificationBatch {
    const START: &'static str = r#"{"notifications":["#;
    const END: &'static str = "]}";

    /// Begins an empty frame.
    pub fn new() -> Self {
        Self { text: Self::START.to_owned() }
    }

    /// Adds a notification. Returns false, and adds nothing, if the frame would be longer than
    /// [`MAX_NOTIFICATIONS_BYTES`]. The first one is always added; none is that long.
    #[must_use]
    pub fn add(&mut self, item: &LiveNotification) -> bool {
        let item = to_json(item);
        if self.is_empty() {
            self.text.push_str(&item);
            return true;
        }
        let length = self.text.len() + 1 + item.len() + Self::END.len();
        if length > MAX_NOTIFICATIONS_BYTES {
            return false;
        }
        self.text.push(',');
        self.text.push_str(&item);
        true
    }

    /// Returns true if no notification was added.
    pub fn is_empty(&self) -> bool {
        self.text.len() == Self::START.len()
    }

    /// Returns the frame.
    pub fn into_frame(mut self) -> String {
        self.text.push_str(Self::END);
        self.text
    }
}

impl Default for NotificationBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the frame that announces the end of the session in a number of seconds.
pub fn expires_in(seconds: u64) -> String {
    format!(r#"{{"expires_in":{seconds}}}"#)
}

fn to_json(frame: &impl Serialize) -> String {
    // Frames hold only texts and numbers under text keys, which can always be serialised.
    serde_json::to_string(frame).unwrap_or_default()
}

pub mod client;

#[cfg(test)]
mod tests;
