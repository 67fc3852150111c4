use std::time::Duration;

use presence_protocol::device::{DeviceCommand, DeviceRequest, NotificationBatch, Proof, parse};
use presence_protocol::open::OpenStatus;
use presence_protocol::{
    AppId, CloseCode, NotificationId, RequestId, Status, StatusText, UnixMillis,
};
use tokio::time::Instant;

use super::*;
use crate::channel::Pulled;
use crate::credential::Credential;
use crate::device::event::DeviceEvent;
use crate::end_reason::EndReason;
use crate::error::Error;

mod credentials;

/// A device protocol with a fixed clock, whose frames the test reads and replies to.
struct Fixture {
    protocol: DeviceProtocol,
    now: Instant,
}

fn assertion(text: &str) -> Credential {
    Credential::Assertion(text.to_owned().into())
}

impl Fixture {
    /// Returns a device that is connected and authenticated.
    fn authenticated() -> Self {
        let mut fixture = Self::with(|options| options.credential = Some(assertion("first")));
        fixture.open();
        fixture.expect_frame();
        fixture.ok();
        assert!(fixture.protocol.is_authenticated());
        fixture
    }

    fn with(change: impl FnOnce(&mut DeviceOptions)) -> Self {
        let server = "https://presence.example".parse().unwrap();
        let mut options = DeviceOptions::new(server, "phone".parse().unwrap());
        change(&mut options);
        Self { protocol: DeviceProtocol::new(&mut options), now: Instant::now() }
    }

    fn open(&mut self) {
        self.protocol.handle_open();
    }

    fn next(&mut self) -> Option<DeviceRequest> {
        let frame = self.protocol.poll_outgoing(self.now)?;
        Some(parse(&frame).unwrap())
    }

    fn expect_frame(&mut self) -> DeviceRequest {
        self.next().expect("a frame should be due")
    }

    fn receive(&mut self, frame: &str) -> Result<(), Disconnect> {
        self.protocol.handle_frame(frame, self.now)
    }

    fn last_id(&self) -> u64 {
        self.protocol.next_id - 1
    }

    fn ok(&mut self) {
        let reply = format!(r#"{{"result":"OK","id":{}}}"#, self.last_id());
        self.receive(&reply).unwrap();
    }

    fn refuse(&mut self, error: impl Into<ApiError>) -> Result<(), Disconnect> {
        let reply = error.into().to_json(Some(&RequestId::from_number(self.last_id())));
        self.receive(&reply)
    }

    fn disconnect(&mut self, code: CloseCode) -> NextStep {
        self.protocol.handle_disconnect(Disconnect::Closed(Some((code.number(), String::new()))))
    }

    fn notify(&mut self, id: u128) {
        let notification = LiveNotification {
            source: "Chat".to_owned(),
            application: "Chat".to_owned(),
            domain: "chat.example".to_owned(),
            message: "Hello".to_owned(),
            action: String::new(),
            appid: AppId::from_bits(1),
            id: NotificationId::from_bits(id),
            sent_at: UnixMillis::default(),
        };
        let mut batch = NotificationBatch::new();
        assert!(batch.add(&notification));
        self.receive(&batch.into_frame()).unwrap();
    }

    fn notifications(&mut self) -> Vec<u128> {
        std::iter::from_fn(|| self.protocol.pull(u64::MAX, 0).and_then(Pulled::event))
            .filter_map(|event| match event {
                DeviceEvent::Notification(notification) => Some(notification.id.bits()),
                DeviceEvent::State(_) | DeviceEvent::CredentialWanted(_) => None,
            })
            .collect()
    }
}

fn status(request: &DeviceRequest) -> Option<(Status, Option<&str>)> {
    match &request.command {
        DeviceCommand::Status(report) => {
            Some((report.status, report.message.as_ref().map(StatusText::as_str)))
        }
        DeviceCommand::Visibility(_) | DeviceCommand::Ack(_) => None,
    }
}

fn proof(request: &DeviceRequest) -> Option<&str> {
    match &request.auth.proof {
        Some(Proof::Assertion(text) | Proof::Token(text)) => Some(text),
        None => None,
    }
}

#[test]
fn only_the_first_frame_carries_the_credential() {
    let mut fixture = Fixture::with(|options| options.credential = Some(assertion("first")));
    fixture.open();
    let first = fixture.expect_frame();
    assert_eq!((proof(&first), status(&first)), (Some("first"), Some((Status::Online, None))));
    assert_eq!(first.auth.acks, Some(true));
    assert!(fixture.next().is_none() && fixture.protocol.take_confirmation().is_none());
    fixture.ok();
    fixture.protocol.desired().set_status(OpenStatus::Unavailable, None);
    let second = fixture.expect_frame();
    assert_eq!((proof(&second), status(&second)), (None, Some((Status::Unavailable, None))));
}

#[test]
fn only_the_last_of_the_changes_made_while_a_frame_is_in_flight_is_sent() {
    let mut fixture = Fixture::authenticated();
    fixture.protocol.desired().set_status(OpenStatus::Unavailable, None);
    fixture.expect_frame();
    for number in 0..100 {
        let text = StatusText::try_from(number.to_string()).unwrap();
        fixture.protocol.desired().set_status(OpenStatus::Online, Some(text));
    }
    assert!(fixture.next().is_none());
    fixture.ok();
    assert_eq!(status(&fixture.expect_frame()), Some((Status::Online, Some("99"))));
    assert!(fixture.protocol.take_confirmation().is_none());
    fixture.ok();
    assert!(fixture.next().is_none() && fixture.protocol.take_confirmation() == Some(Ok(())));
}

#[test]
fn after_a_reconnect_the_visibility_is_sent_before_the_status() {
    let mut fixture = Fixture::authenticated();
    fixture.protocol.desired().set_visibility(vec![AppId::from_bits(7)]);
    assert!(matches!(fixture.expect_frame().command, DeviceCommand::Visibility(_)));
    fixture.ok();
    fixture.protocol.desired().set_status(OpenStatus::Unavailable, None);
    fixture.expect_frame();
    fixture.ok();
    assert!(matches!(fixture.disconnect(CloseCode::GoingAway), NextStep::Retry { .. }));
    fixture.open();
    let first = fixture.expect_frame();
    assert_eq!(first.command, DeviceCommand::Visibility(vec![AppId::from_bits(7)]));
    assert_eq!(proof(&first), Some("first"));
    fixture.ok();
    assert_eq!(status(&fixture.expect_frame()), Some((Status::Unavailable, None)));
}

#[test]
fn a_device_that_has_to_slow_down_sends_its_last_status_after_the_wait() {
    let mut fixture = Fixture::authenticated();
    fixture.protocol.desired().set_status(OpenStatus::Unavailable, None);
    fixture.expect_frame();
    fixture.refuse(ApiError::slow_down(0.5)).unwrap();
    assert!(fixture.next().is_none());
    assert_eq!(fixture.protocol.next_deadline(), Some(fixture.now + Duration::from_millis(500)));
    fixture.protocol.desired().set_status(OpenStatus::Offline, None);
    fixture.now += Duration::from_millis(500);
    assert_eq!(status(&fixture.expect_frame()), Some((Status::Offline, None)));
}

#[test]
fn a_status_that_the_server_refuses_is_reported_once_and_not_sent_again() {
    let mut fixture = Fixture::authenticated();
    fixture.protocol.desired().set_status(OpenStatus::Unavailable, None);
    fixture.expect_frame();
    fixture.refuse(Errno::InvalidField).unwrap();
    assert!(fixture.next().is_none());
    let refused = fixture.protocol.take_confirmation();
    assert!(
        matches!(refused, Some(Err(Error::Refused(error))) if error.errno == Errno::InvalidField)
    );
}

#[test]
fn a_notification_is_delivered_once_and_acknowledged_by_the_application() {
    let mut fixture = Fixture::authenticated();
    fixture.notify(5);
    assert_eq!(fixture.notifications(), [5]);
    assert!(fixture.next().is_none());
    // The server sends it again after a reconnect, and it is not delivered again.
    fixture.disconnect(CloseCode::GoingAway);
    fixture.open();
    fixture.expect_frame();
    fixture.ok();
    fixture.notify(5);
    assert!(fixture.notifications().is_empty());
    fixture.protocol.acknowledge(NotificationId::from_bits(5));
    assert_eq!(
        fixture.expect_frame().command,
        DeviceCommand::Ack(vec![NotificationId::from_bits(5)])
    );
    assert!(fixture.protocol.take_confirmation().is_none());
}

#[test]
fn an_acknowledgement_without_a_reply_is_sent_again_on_the_next_socket() {
    let mut fixture = Fixture::authenticated();
    fixture.notify(5);
    fixture.notifications();
    fixture.protocol.acknowledge(NotificationId::from_bits(5));
    fixture.expect_frame();
    fixture.disconnect(CloseCode::GoingAway);
    fixture.open();
    fixture.expect_frame();
    fixture.ok();
    assert_eq!(
        fixture.expect_frame().command,
        DeviceCommand::Ack(vec![NotificationId::from_bits(5)])
    );
    fixture.ok();
    assert_eq!(fixture.protocol.take_confirmation(), Some(Ok(())));
    // The server sends it once more: it is acknowledged again, and not delivered.
    fixture.notify(5);
    assert!(fixture.notifications().is_empty());
    assert_eq!(
        fixture.expect_frame().command,
        DeviceCommand::Ack(vec![NotificationId::from_bits(5)])
    );
}

#[test]
fn many_acknowledgements_fit_into_frames_that_the_server_accepts() {
    let mut fixture = Fixture::authenticated();
    for id in 0..1_000 {
        fixture.protocol.acknowledge(NotificationId::from_bits(id));
    }
    let mut count = 0;
    while let Some(frame) = fixture.protocol.poll_outgoing(fixture.now) {
        assert!(frame.len() <= 16 << 10);
        let DeviceCommand::Ack(ids) = parse(&frame).unwrap().command else {
            panic!("not an acknowledgement")
        };
        count += ids.len();
        fixture.ok();
    }
    assert_eq!((count, fixture.protocol.take_confirmation()), (1_000, Some(Ok(()))));
}

#[test]
fn a_state_is_not_reported_twice_in_a_row() {
    let mut fixture = Fixture::with(|options| options.credential = Some(assertion("first")));
    for _ in 0..2 {
        fixture.protocol.set_state(ConnectionState::Connecting { attempt: 1 });
        let event = fixture.protocol.pull(u64::MAX, 0);
        fixture.protocol.set_state(ConnectionState::Connecting { attempt: 1 });
        assert!(fixture.protocol.pull(u64::MAX, 0).is_none(), "{event:?}");
    }
}

#[test]
fn a_server_that_is_busy_at_the_first_frame_is_tried_again_after_the_requested_wait() {
    let mut fixture = Fixture::with(|options| options.credential = Some(assertion("first")));
    fixture.open();
    fixture.expect_frame();
    let Err(reason) =
        fixture.refuse(ApiError::from(Errno::TooManyConnections).with_retry_after(9.0))
    else {
        panic!("the error should end the socket")
    };
    let NextStep::Retry { at_least, .. } = fixture.protocol.handle_disconnect(reason) else {
        panic!("the channel should reconnect")
    };
    assert_eq!(at_least, Some(Duration::from_secs(9)));
    assert!(fixture.protocol.has_credential());
}

#[test]
fn a_device_that_was_replaced_or_ended_by_its_user_does_not_reconnect() {
    let next_step_after = |code| Fixture::authenticated().disconnect(code);
    assert_eq!(next_step_after(CloseCode::Replaced), NextStep::End(EndReason::Replaced));
    assert_eq!(next_step_after(CloseCode::EndedByUser), NextStep::End(EndReason::EndedByUser));
}

#[test]
fn a_frame_that_cannot_be_read_is_skipped_and_counted() {
    let mut fixture = Fixture::authenticated();
    for frame in ["", "<html>", "[]", r#"{"result":"OK""#, r#"{"unknown":true}"#] {
        fixture.receive(frame).unwrap();
    }
    assert_eq!(fixture.protocol.skipped(), 4);
    let id = NotificationId::from_bits(5);
    let readable = format!(r#"{{"message":"Hello","appid":"{id}","id":"{id}","sent_at":1.5}}"#);
    fixture.receive(&format!(r#"{{"notifications":[{{"new":1}},{readable}]}}"#)).unwrap();
    assert_eq!((fixture.notifications(), fixture.protocol.skipped()), (vec![5], 5));
}

#[test]
fn a_reply_that_could_not_be_read_is_lost_after_a_while() {
    let mut fixture = Fixture::authenticated();
    fixture.protocol.desired().set_status(OpenStatus::Unavailable, None);
    fixture.expect_frame();
    fixture.receive(r#"{"result":"OK","id":"#).unwrap();
    let deadline = fixture.protocol.next_deadline().unwrap();
    assert!(!fixture.protocol.take_reconnect_request(fixture.now));
    assert!(fixture.protocol.take_reconnect_request(deadline));
    assert!(!fixture.protocol.take_reconnect_request(deadline));
}

#[test]
fn a_reply_that_comes_after_an_unreadable_frame_is_not_lost() {
    let mut fixture = Fixture::authenticated();
    fixture.protocol.desired().set_status(OpenStatus::Unavailable, None);
    fixture.expect_frame();
    fixture.receive("").unwrap();
    fixture.ok();
    let deadline = fixture.protocol.next_deadline().unwrap();
    assert!(!fixture.protocol.take_reconnect_request(deadline));
    assert_eq!(fixture.protocol.next_deadline(), None);
}

#[test]
fn an_unknown_error_is_the_answer_to_a_status() {
    for (retry_after, is_sent_again) in [("", false), (r#","retry_after":2"#, true)] {
        let mut fixture = Fixture::authenticated();
        fixture.protocol.desired().set_status(OpenStatus::Unavailable, None);
        fixture.expect_frame();
        let id = fixture.last_id();
        let reply = format!(r#"{{"result":"KO","errno":77,"error":"New","id":{id}{retry_after}}}"#);
        fixture.receive(&reply).unwrap();
        if is_sent_again {
            fixture.now += Duration::from_secs(2);
            fixture.expect_frame();
            continue;
        }
        let Some(Err(Error::Refused(error))) = fixture.protocol.take_confirmation() else {
            panic!("the refusal should be reported")
        };
        assert_eq!((error.errno, &*error.text), (Errno::Unknown(77), "New"));
        // The device is not mute.
        fixture.protocol.desired().set_status(OpenStatus::Online, None);
        fixture.expect_frame();
    }
}
