//! The client's side of the Device Presence Channel: writing requests and reading frames.

use serde::{Deserialize, Serialize};

use super::{DeviceCommand, DeviceRequest, LiveNotification, Proof};
use crate::error::{ApiError, RawReply};
use crate::id::{AppId, DeviceName, NotificationId};
use crate::presence::{Status, StatusText};
use crate::request::RequestId;

/// A frame from the server to a device.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerToDevice {
    /// The acceptance of a request, with the `id` of the request if that is a number.
    Ok(Option<u64>),
    /// The error of a request, and the numeric id of the request.
    Error(ApiError, Option<u64>),
    /// Live notifications.
    Notifications(Vec<LiveNotification>),
    /// The seconds until the session ends, unless a fresh assertion renews it.
    ExpiresIn(u64),
    /// A frame that this version does not know, to be skipped.
    Unknown,
}

#[derive(Deserialize)]
struct RawServerFrame {
    #[serde(flatten)]
    reply: RawReply,
    notifications: Option<Vec<LiveNotification>>,
    expires_in: Option<u64>,
}

/// Parses a frame from the server. An unknown one is [`ServerToDevice::Unknown`].
///
/// # Errors
///
/// Returns an error if the text is not JSON of a known form.
pub fn parse_frame(text: &str) -> Result<ServerToDevice, serde_json::Error> {
    let raw: RawServerFrame = serde_json::from_str(text)?;
    let id = raw.reply.numeric_id();
    Ok(match (raw.reply.is_ok(), raw.notifications, raw.expires_in) {
        (Some(true), ..) => ServerToDevice::Ok(id),
        (Some(false), ..) => raw
            .reply
            .into_error()
            .map_or(ServerToDevice::Unknown, |error| ServerToDevice::Error(error, id)),
        (None, Some(notifications), _) => ServerToDevice::Notifications(notifications),
        (None, None, Some(seconds)) => ServerToDevice::ExpiresIn(seconds),
        (None, None, None) => ServerToDevice::Unknown,
    })
}

#[derive(Serialize)]
struct DeviceRequestJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RequestId>,
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
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a StatusText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_ids: Option<&'a [AppId]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<&'a [NotificationId]>,
}

impl DeviceRequest {
    /// Returns the JSON text of the frame.
    pub fn to_json(&self) -> String {
        let auth = &self.auth;
        let (assertion, token) = match &auth.proof {
            Some(Proof::Assertion(assertion)) => (Some(assertion.as_str()), None),
            Some(Proof::Token(token)) => (None, Some(token.as_str())),
            None => (None, None),
        };
        let mut json = DeviceRequestJson {
            id: self.id.as_ref(),
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
            DeviceCommand::Status(report) => {
                json.status = Some(report.status);
                json.message = report.message.as_ref();
                json.application_ids = report.application_ids.as_deref();
            }
            DeviceCommand::Visibility(applications) => {
                json.r#type = Some("visibility");
                json.application_ids = Some(applications);
            }
            DeviceCommand::Ack(ids) => {
                json.r#type = Some("ack");
                json.ids = Some(ids);
            }
        }
        super::to_json(&json)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DeviceAuth, StatusReport};
    use super::*;
    use crate::errno::Errno;
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
                super::super::notifications([&notification]),
                ServerToDevice::Notifications(vec![notification.clone()]),
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
            DeviceAuth { proof: Some(Proof::Token("t".to_owned())), ..DeviceAuth::default() };
        let text = StatusText::try_from("at lunch").unwrap();
        let report = |message, application_ids| {
            DeviceCommand::Status(StatusReport { status: Status::Online, message, application_ids })
        };
        for (auth, command) in [
            (auth(), report(Some(text), None)),
            (by_token, report(None, Some(vec![AppId::from_bits(1)]))),
            (auth(), DeviceCommand::Visibility(vec![])),
            (DeviceAuth::default(), DeviceCommand::Ack(vec![NotificationId::from_bits(1)])),
        ] {
            let request = DeviceRequest { id: Some(RequestId::from_number(1)), auth, command };
            let read = super::super::parse(&request.to_json()).unwrap();
            assert!(read == request, "{}", request.to_json());
        }
    }

    #[test]
    fn unknown_frames_and_fields_are_skipped() {
        for text in [
            r#"{"type":"unknown","new":true}"#,
            r#"{"result":"MAYBE"}"#,
            r#"{"result":"KO","errno":999,"error":"New"}"#,
        ] {
            assert_eq!(parse_frame(text).unwrap(), ServerToDevice::Unknown, "{text}");
        }
        assert_eq!(
            parse_frame(r#"{"result":"OK","id":"text","new":1}"#).unwrap(),
            ServerToDevice::Ok(None)
        );
        assert!(
            parse_frame("[]").is_err()
                && parse_frame("").is_err()
                && parse_frame("nonsense").is_err()
        );
    }
}
