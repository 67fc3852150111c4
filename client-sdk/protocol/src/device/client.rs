//! The client's side of the Device Presence Channel: writing requests and reading frames.

use serde::{Deserialize, Serialize};

use super::{DeviceAuth, LiveNotification, Proof};
use crate::error::{ApiError, RawReply};
use crate::id::{AppId, DeviceName, NotificationId};
use crate::lenient::lenient;
use crate::open::{OpenList, OpenStatus};
use crate::presence::StatusText;

/// A frame from the server to a device.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerToDevice {
    /// The acceptance of a request, with the `id` of the request if that is a number.
    Ok(Option<u64>),
    /// The error of a request, and the numeric id of the request.
    Error(ApiError, Option<u64>),
    /// Notifications.
    Notifications(OpenList<LiveNotification>),
    /// The seconds until the session ends, unless a fresh assertion renews it.
    ExpiresIn(u64),
    /// A frame that this version does not know, to be skipped.
    Unknown,
}

#[derive(Deserialize)]
struct RawServerFrame {
    #[serde(flatten)]
    reply: RawReply,
    notifications: Option<OpenList<LiveNotification>>,
    #[serde(default, deserialize_with = "lenient")]
    expires_in: Option<f64>,
}

/// Parses a frame from the server. An unknown one is [`ServerToDevice::Unknown`].
///
/// # Errors
///
/// Returns an error if the text is not a JSON object.
pub fn parse_frame(text: &str) -> Result<ServerToDevice, serde_json::Error> {
    let raw: RawServerFrame = serde_json::from_str(text)?;
    let id = raw.reply.numeric_id();
    // An unknown result without an id may be about anything.
    let is_refusal = raw.reply.is_ko() || id.is_some();
    Ok(match (raw.reply.is_ok(), raw.notifications, raw.expires_in) {
        (Some(true), ..) => ServerToDevice::Ok(id),
        (Some(false), ..) if is_refusal => ServerToDevice::Error(raw.reply.into_refusal(), id),
        (None, Some(notifications), _) => ServerToDevice::Notifications(notifications),
        (None, None, Some(seconds)) => ServerToDevice::ExpiresIn(whole_seconds(seconds)),
        (Some(false), ..) | (None, None, None) => ServerToDevice::Unknown,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the fraction is cut off, and the cast saturates"
)]
fn whole_seconds(seconds: f64) -> u64 {
    seconds as u64
}

#[derive(Serialize)]
struct DeviceRequestJson<'a> {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assertion: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acks: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a OpenStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a StatusText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_ids: Option<&'a [AppId]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<&'a [NotificationId]>,
}

/// A request as a client writes it.
#[derive(Debug)]
pub struct ClientRequest {
    /// The id, which the reply repeats.
    pub id: u64,
    /// The fields that authenticate the device, if the frame has them.
    pub auth: DeviceAuth,
    /// The command.
    pub command: ClientCommand,
}

/// A command as a client writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCommand {
    /// Reports a status and its text.
    Status(OpenStatus, Option<StatusText>),
    /// Sets the only Applications that see this device from now on.
    Visibility(Vec<AppId>),
    /// Acknowledges notifications.
    Ack(Vec<NotificationId>),
}

impl ClientRequest {
    /// Returns the JSON text of the frame.
    pub fn to_json(&self) -> String {
        let auth = &self.auth;
        let (assertion, token) = match &auth.proof {
            Some(Proof::Assertion(assertion)) => (Some(assertion.as_str()), None),
            Some(Proof::Token(token)) => (None, Some(token.as_str())),
            None => (None, None),
        };
        let mut json = DeviceRequestJson {
            id: self.id,
            r#type: None,
            email: auth.email.as_deref(),
            assertion,
            token,
            device: auth.device.as_ref().map(DeviceName::as_str),
            acks: auth.acks,
            status: None,
            message: None,
            application_ids: None,
            ids: None,
        };
        match &self.command {
            ClientCommand::Status(status, message) => {
                json.status = Some(status);
                json.message = message.as_ref();
            }
            ClientCommand::Visibility(applications) => {
                json.r#type = Some("visibility");
                json.application_ids = Some(applications);
            }
            ClientCommand::Ack(ids) => {
                json.r#type = Some("ack");
                json.ids = Some(ids);
            }
        }
        super::to_json(&json)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DeviceCommand, DeviceRequest, StatusReport};
    use super::*;
    use crate::errno::Errno;
    use crate::presence::Status;
    use crate::request::RequestId;
    use crate::time::UnixMillis;

    #[test]
    fn frames_that_the_server_writes_are_parsed() {
        let id = RequestId::from_number(7);
        let notification = LiveNotification {
            source: "bob@chat.example".to_owned(),
            application: "Chat".to_owned(),
            domain: "chat.example".to_owned(),
            message: "Hello".to_owned(),
            action: String::new(),
            appid: AppId::from_bits(1),
            id: NotificationId::from_bits(2),
            sent_at: UnixMillis::new(3),
        };
        let error = ApiError::slow_down(0.5);
        let mut batch = super::super::NotificationBatch::new();
        assert!(batch.add(&notification));
        for (written, expected) in [
            (super::super::OK.to_owned(), ServerToDevice::Ok(None)),
            (super::super::ok(Some(&id)).into_owned(), ServerToDevice::Ok(Some(7))),
            (error.to_json(Some(&id)), ServerToDevice::Error(error, Some(7))),
            (
                ApiError::from(Errno::InvalidAssertion).to_json(None),
                ServerToDevice::Error(Errno::InvalidAssertion.into(), None),
            ),
            (super::super::expires_in(60), ServerToDevice::ExpiresIn(60)),
            (
                batch.into_frame(),
                ServerToDevice::Notifications(OpenList {
                    items: vec![notification.clone()],
                    skipped: 0,
                }),
            ),
        ] {
            assert_eq!(parse_frame(&written).unwrap(), expected, "{written}");
        }
    }

    #[test]
    fn requests_that_a_client_writes_are_parsed_by_the_server() {
        let auth = || DeviceAuth {
            email: Some("alice@presence.example".to_owned()),
            proof: Some(Proof::Assertion("a~b".to_owned())),
            device: Some("phone".parse().unwrap()),
            acks: Some(true),
        };
        let by_token =
            || DeviceAuth { proof: Some(Proof::Token("t".to_owned())), ..DeviceAuth::default() };
        let text = StatusText::try_from("at lunch").unwrap();
        let report = |message: Option<StatusText>| {
            let report = StatusReport {
                status: Status::Online,
                message: message.clone(),
                application_ids: None,
            };
            (ClientCommand::Status(OpenStatus::Online, message), DeviceCommand::Status(report))
        };
        let (apps, ids) = (vec![AppId::from_bits(1)], vec![NotificationId::from_bits(1)]);
        let visibility = (ClientCommand::Visibility(apps.clone()), DeviceCommand::Visibility(apps));
        let ack = (ClientCommand::Ack(ids.clone()), DeviceCommand::Ack(ids));
        for (auth, (written, command)) in [
            (&auth as &dyn Fn() -> DeviceAuth, report(Some(text))),
            (&by_token, report(None)),
            (&auth, visibility),
            (&DeviceAuth::default, ack),
        ] {
            let json = ClientRequest { id: 1, auth: auth(), command: written }.to_json();
            let id = Some(RequestId::from_number(1));
            let expected = DeviceRequest { id, auth: auth(), command };
            assert!(super::super::parse(&json).unwrap() == expected, "{json}");
        }
    }

    #[test]
    fn unknown_frames_and_fields_are_skipped() {
        for text in
            [r#"{"type":"unknown","new":true}"#, r#"{"result":"MAYBE"}"#, r#"{"expires_in":{}}"#]
        {
            assert_eq!(parse_frame(text).unwrap(), ServerToDevice::Unknown, "{text}");
        }
        for text in [r#"{"result":"OK","id":"text","new":1}"#, r#"{"result":"OK","errno":"none"}"#]
        {
            assert_eq!(parse_frame(text).unwrap(), ServerToDevice::Ok(None), "{text}");
        }
        assert_eq!(parse_frame(r#"{"expires_in":59.5}"#).unwrap(), ServerToDevice::ExpiresIn(59));
        for text in ["[]", "", "nonsense", r#"{"result":"OK","id":1"#] {
            assert!(parse_frame(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_result_that_is_no_ok_is_an_error_of_its_request() {
        for (text, errno) in [
            (r#"{"result":"KO","errno":77,"id":7}"#, 77),
            (r#"{"result":"KO","errno":{},"error":[],"retry_after":"soon","id":7}"#, 0),
            (r#"{"result":"MAYBE","id":7}"#, 0),
        ] {
            let ServerToDevice::Error(error, Some(7)) = parse_frame(text).unwrap() else {
                panic!("{text} is no error")
            };
            assert_eq!(error.errno, Errno::Unknown(errno), "{text}");
        }
    }
}
