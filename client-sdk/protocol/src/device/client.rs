//! The client's side of the Device Presence Channel: writing requests, reading what the server says.

use serde::{Deserialize, Serialize};

use super::{Command, Notification, Proof, Request};
use crate::errno::{Ko, RawKo};
use crate::id::{AppId, DeviceName, NotificationId};
use crate::presence::{Status, StatusText};
use crate::request::RequestId;

/// One frame from the server.
#[derive(Debug, Clone, PartialEq)]
pub enum ToDevice {
    /// A request was taken; with its `id` where that was a number.
    Ok(Option<u64>),
    /// A request was refused.
    Ko(Ko, Option<u64>),
    /// Live notifications.
    Notifications(Vec<Notification>),
    /// The session ends after so many seconds, unless a fresh assertion renews it.
    ExpiresIn(u64),
    /// Something newer than this crate, to be skipped.
    Unknown,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(flatten)]
    reply: RawKo,
    notifications: Option<Vec<Notification>>,
    expires_in: Option<u64>,
}

/// Reads a frame from the server. What is not known is [`ToDevice::Unknown`].
///
/// # Errors
///
/// Where it is not JSON of these forms.
pub fn read(text: &str) -> Result<ToDevice, serde_json::Error> {
    let raw: Raw = serde_json::from_str(text)?;
    let id = raw.reply.number();
    Ok(match (raw.reply.is_ok(), raw.notifications, raw.expires_in) {
        (Some(true), ..) => ToDevice::Ok(id),
        (Some(false), ..) => {
            raw.reply.into_ko().map_or(ToDevice::Unknown, |ko| ToDevice::Ko(ko, id))
        }
        (None, Some(notifications), _) => ToDevice::Notifications(notifications),
        (None, None, Some(seconds)) => ToDevice::ExpiresIn(seconds),
        (None, None, None) => ToDevice::Unknown,
    })
}

#[derive(Serialize)]
struct Written<'a> {
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

impl Request {
    /// The JSON text of the frame.
    pub fn to_json(&self) -> String {
        let who = &self.introduction;
        let (assertion, token) = match &who.proof {
            Some(Proof::Assertion(assertion)) => (Some(assertion.as_str()), None),
            Some(Proof::Token(token)) => (None, Some(token.as_str())),
            None => (None, None),
        };
        let mut written = Written {
            id: self.id.as_ref(),
            r#type: None,
            email: who.email.as_deref(),
            assertion,
            token,
            device: who.device.as_ref().map(DeviceName::as_str),
            acks: who.acks,
            status: None,
            message: None,
            application_ids: None,
            ids: None,
        };
        match &self.command {
            Command::Status(report) => {
                written.status = Some(report.status);
                written.message = report.message.as_ref();
                written.application_ids = report.application_ids.as_deref();
            }
            Command::Visibility(applications) => {
                written.r#type = Some("visibility");
                written.application_ids = Some(applications);
            }
            Command::Ack(ids) => {
                written.r#type = Some("ack");
                written.ids = Some(ids);
            }
        }
        super::to_json(&written)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Introduction, Report};
    use super::*;
    use crate::errno::Errno;
    use crate::time::UnixMillis;

    #[test]
    fn what_the_server_writes_is_read() {
        let id = RequestId::number(7);
        let notification = Notification {
            source: "Chat".to_owned(),
            message: "Hello".to_owned(),
            action: String::new(),
            appid: AppId::from_bits(1),
            id: NotificationId::from_bits(2),
            sent_at: UnixMillis::new(3),
        };
        let ko = Ko::slow_down(0.5);
        for (written, meant) in [
            (super::super::OK.to_owned(), ToDevice::Ok(None)),
            (super::super::ok(Some(&id)).into_owned(), ToDevice::Ok(Some(7))),
            (ko.to_json(Some(&id)), ToDevice::Ko(ko, Some(7))),
            (
                Ko::from(Errno::InvalidAssertion).to_json(None),
                ToDevice::Ko(Errno::InvalidAssertion.into(), None),
            ),
            (super::super::expires_in(60), ToDevice::ExpiresIn(60)),
            (
                super::super::notifications([&notification]),
                ToDevice::Notifications(vec![notification.clone()]),
            ),
        ] {
            assert_eq!(read(&written).unwrap(), meant, "{written}");
        }
    }

    #[test]
    fn what_a_client_writes_the_server_reads() {
        let introduction = || Introduction {
            email: Some("alice@presence.example".to_owned()),
            proof: Some(Proof::Assertion("a~b".to_owned())),
            device: Some("phone".parse().unwrap()),
            acks: Some(true),
        };
        let by_token =
            Introduction { proof: Some(Proof::Token("t".to_owned())), ..Introduction::default() };
        let text = StatusText::try_from("at lunch").unwrap();
        let report = |message, application_ids| {
            Command::Status(Report { status: Status::Online, message, application_ids })
        };
        for (introduction, command) in [
            (introduction(), report(Some(text), None)),
            (by_token, report(None, Some(vec![AppId::from_bits(1)]))),
            (introduction(), Command::Visibility(vec![])),
            (Introduction::default(), Command::Ack(vec![NotificationId::from_bits(1)])),
        ] {
            let request = Request { id: Some(RequestId::number(1)), introduction, command };
            let read = super::super::parse(&request.to_json()).unwrap();
            assert!(read == request, "{}", request.to_json());
        }
    }

    #[test]
    fn what_is_newer_than_this_crate_is_skipped() {
        for text in [
            r#"{"type":"weather","rain":true}"#,
            r#"{"result":"MAYBE"}"#,
            r#"{"result":"KO","errno":999,"error":"New"}"#,
        ] {
            assert_eq!(read(text).unwrap(), ToDevice::Unknown, "{text}");
        }
        assert_eq!(read(r#"{"result":"OK","id":"text","new":1}"#).unwrap(), ToDevice::Ok(None));
        assert!(read("[]").is_err() && read("").is_err() && read("nonsense").is_err());
    }
}
