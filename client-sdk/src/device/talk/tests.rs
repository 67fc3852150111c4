use std::time::Duration;

use presence_protocol::device::{DeviceCommand, parse};
use presence_protocol::{AppId, CloseCode, Status, StatusText};
use tokio::time::Instant;

use super::*;
use crate::state::EndReason;

/// A device whose frames and replies the test sees.
struct Stage {
    talk: DeviceTalk,
    now: Instant,
}

fn assertion(text: &str) -> Credential {
    Credential::Assertion(text.to_owned().into())
}

impl Stage {
    /// A device that has connected once and was accepted.
    fn accepted() -> Self {
        let mut stage = Self::with(|options| options.credential = Some(assertion("first")));
        stage.open();
        stage.say();
        stage.ok();
        assert!(stage.talk.is_accepted());
        stage
    }

    fn with(change: impl FnOnce(&mut DeviceOptions)) -> Self {
        let server = "https://presence.example".parse().unwrap();
        let mut options = DeviceOptions::new(server, "phone".parse().unwrap());
        change(&mut options);
        Self { talk: DeviceTalk::new(&mut options), now: Instant::now() }
    }

    fn open(&mut self) {
        self.talk.on_open();
    }

    fn next(&mut self) -> Option<DeviceRequest> {
        let frame = self.talk.next_frame(self.now)?;
        Some(parse(&frame).unwrap())
    }

    fn say(&mut self) -> DeviceRequest {
        self.next().expect("a frame is due")
    }

    fn hear(&mut self, frame: &str) -> Result<(), Loss> {
        self.talk.on_frame(frame, self.now)
    }

    fn last_id(&self) -> u64 {
        self.talk.next_id - 1
    }

    fn ok(&mut self) {
        let reply = format!(r#"{{"result":"OK","id":{}}}"#, self.last_id());
        self.hear(&reply).unwrap();
    }

    fn ko(&mut self, ko: impl Into<ApiError>) -> Result<(), Loss> {
        let reply = ko.into().to_json(Some(&RequestId::number(self.last_id())));
        self.hear(&reply)
    }

    fn lose(&mut self, code: CloseCode) -> Verdict {
        self.talk.on_loss(Loss::Closed(Some((code.number(), String::new()))))
    }

    fn notify(&mut self, id: u128) {
        let notification = LiveNotification {
            source: "Chat".to_owned(),
            message: "Hello".to_owned(),
            action: String::new(),
            appid: AppId::from_bits(1),
            id: NotificationId::from_bits(id),
            sent_at: presence_protocol::UnixMillis::default(),
        };
        self.hear(&presence_protocol::device::notifications([&notification])).unwrap();
    }

    fn notifications(&mut self) -> Vec<u128> {
        std::iter::from_fn(|| self.talk.pull().and_then(Pulled::event))
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
fn the_first_frame_proves_who_speaks_and_later_ones_do_not_repeat_it() {
    let mut stage = Stage::with(|options| options.credential = Some(assertion("first")));
    stage.open();
    let first = stage.say();
    assert_eq!((proof(&first), status(&first)), (Some("first"), Some((Status::Online, None))));
    assert_eq!(first.auth.acks, Some(true));
    assert!(stage.next().is_none() && stage.talk.confirmed().is_none());
    stage.ok();
    stage.talk.wishes().status(Status::Unavailable, None);
    let second = stage.say();
    assert_eq!((proof(&second), status(&second)), (None, Some((Status::Unavailable, None))));
}

#[test]
fn of_many_wishes_while_one_is_on_its_way_only_the_last_is_said() {
    let mut stage = Stage::accepted();
    stage.talk.wishes().status(Status::Unavailable, None);
    stage.say();
    for turn in 0..100 {
        let text = StatusText::try_from(turn.to_string()).unwrap();
        stage.talk.wishes().status(Status::Online, Some(text));
    }
    assert!(stage.next().is_none());
    stage.ok();
    assert_eq!(status(&stage.say()), Some((Status::Online, Some("99"))));
    assert!(stage.talk.confirmed().is_none());
    stage.ok();
    assert!(stage.next().is_none() && stage.talk.confirmed() == Some(Ok(())));
}

#[test]
fn after_a_reconnect_the_visibility_is_said_before_the_status() {
    let mut stage = Stage::accepted();
    stage.talk.wishes().visibility(vec![AppId::from_bits(7)]);
    assert!(matches!(stage.say().command, DeviceCommand::Visibility(_)));
    stage.ok();
    stage.talk.wishes().status(Status::Unavailable, None);
    stage.say();
    stage.ok();
    assert!(matches!(stage.lose(CloseCode::GoingAway), Verdict::Retry { .. }));
    stage.open();
    let first = stage.say();
    assert_eq!(first.command, DeviceCommand::Visibility(vec![AppId::from_bits(7)]));
    assert_eq!(proof(&first), Some("first"));
    stage.ok();
    assert_eq!(status(&stage.say()), Some((Status::Unavailable, None)));
}

#[test]
fn a_device_told_to_slow_down_says_its_last_wish_after_the_wait() {
    let mut stage = Stage::accepted();
    stage.talk.wishes().status(Status::Unavailable, None);
    stage.say();
    stage.ko(ApiError::slow_down(0.5)).unwrap();
    assert!(stage.next().is_none());
    assert_eq!(stage.talk.wakes_at(), Some(stage.now + Duration::from_millis(500)));
    stage.talk.wishes().status(Status::Offline, None);
    stage.now += Duration::from_millis(500);
    assert_eq!(status(&stage.say()), Some((Status::Offline, None)));
}

#[test]
fn a_wish_that_the_server_never_takes_is_told_once_and_not_repeated() {
    let mut stage = Stage::accepted();
    stage.talk.wishes().status(Status::Unavailable, None);
    stage.say();
    stage.ko(Errno::InvalidField).unwrap();
    assert!(stage.next().is_none());
    let refused = stage.talk.confirmed();
    assert!(matches!(refused, Some(Err(Error::Refused(ko))) if ko.errno == Errno::InvalidField));
}

#[test]
fn a_notification_is_shown_once_and_acknowledged_when_taken() {
    let mut stage = Stage::accepted();
    stage.notify(5);
    assert_eq!(stage.notifications(), [5]);
    assert!(stage.next().is_none());
    // The connection breaks before the application has taken it: it comes again, and is not shown again.
    stage.lose(CloseCode::GoingAway);
    stage.open();
    stage.say();
    stage.ok();
    stage.notify(5);
    assert!(stage.notifications().is_empty());
    stage.talk.acknowledge(NotificationId::from_bits(5));
    assert_eq!(stage.say().command, DeviceCommand::Ack(vec![NotificationId::from_bits(5)]));
    assert!(stage.talk.confirmed().is_none());
}

#[test]
fn an_acknowledgement_without_a_reply_is_said_again_on_the_next_socket() {
    let mut stage = Stage::accepted();
    stage.notify(5);
    stage.notifications();
    stage.talk.acknowledge(NotificationId::from_bits(5));
    stage.say();
    stage.lose(CloseCode::GoingAway);
    stage.open();
    stage.say();
    stage.ok();
    assert_eq!(stage.say().command, DeviceCommand::Ack(vec![NotificationId::from_bits(5)]));
    stage.ok();
    assert_eq!(stage.talk.confirmed(), Some(Ok(())));
    // The server sent it once more before it heard: acknowledged again, and not shown.
    stage.notify(5);
    assert!(stage.notifications().is_empty());
    assert_eq!(stage.say().command, DeviceCommand::Ack(vec![NotificationId::from_bits(5)]));
}

#[test]
fn many_acknowledgements_fit_into_the_frames_that_a_server_takes() {
    let mut stage = Stage::accepted();
    for id in 0..1_000 {
        stage.talk.acknowledge(NotificationId::from_bits(id));
    }
    let mut said = 0;
    while let Some(frame) = stage.talk.next_frame(stage.now) {
        assert!(frame.len() <= 16 << 10);
        let DeviceCommand::Ack(ids) = parse(&frame).unwrap().command else { panic!("no ack") };
        said += ids.len();
        stage.ok();
    }
    assert_eq!((said, stage.talk.confirmed()), (1_000, Some(Ok(()))));
}

#[test]
fn the_same_state_is_not_told_twice() {
    let mut stage = Stage::with(|options| options.credential = Some(assertion("first")));
    for _ in 0..2 {
        stage.talk.set_state(ConnectionState::Connecting { attempt: 1 });
        let told = stage.talk.pull();
        stage.talk.set_state(ConnectionState::Connecting { attempt: 1 });
        assert!(stage.talk.pull().is_none(), "{told:?}");
    }
}

#[test]
fn without_a_credential_one_is_wanted_and_given_it_the_device_connects() {
    let mut stage = Stage::with(|_| ());
    assert_eq!(stage.talk.wanted(), Some(CredentialReason::First));
    assert!(!stage.talk.is_ready());
    stage.talk.set_credential(assertion("given"));
    assert!(stage.talk.is_ready() && stage.talk.wanted().is_none());
    stage.open();
    assert_eq!(proof(&stage.say()), Some("given"));
}

#[test]
fn a_session_is_renewed_on_the_same_socket() {
    let mut stage = Stage::accepted();
    stage.hear(&presence_protocol::device::expires_in(60)).unwrap();
    assert_eq!(
        stage.talk.wanted(),
        Some(CredentialReason::Expiring { within: Duration::from_mins(1) })
    );
    assert!(stage.next().is_none());
    stage.talk.set_credential(assertion("second"));
    let renewal = stage.say();
    assert_eq!((proof(&renewal), status(&renewal)), (Some("second"), Some((Status::Online, None))));
    stage.ok();
    assert!(stage.talk.is_accepted() && stage.talk.wanted().is_none());
    stage.lose(CloseCode::GoingAway);
    stage.open();
    assert_eq!(proof(&stage.say()), Some("second"));
}

#[test]
fn a_renewal_that_waiting_cures_is_tried_again() {
    let mut stage = Stage::accepted();
    stage.talk.set_credential(assertion("second"));
    stage.say();
    stage.ko(ApiError::from(Errno::IdentityUnavailable).after(2.0)).unwrap();
    assert!(stage.next().is_none());
    stage.now += Duration::from_secs(2);
    assert_eq!(proof(&stage.say()), Some("second"));
}

#[test]
fn a_credential_that_was_good_and_is_refused_is_replaced_by_a_fresh_one() {
    let mut stage = Stage::accepted();
    stage.lose(CloseCode::GoingAway);
    stage.open();
    stage.say();
    let Err(loss) = stage.ko(Errno::InvalidAssertion) else { panic!("the socket is given up") };
    let verdict = stage.talk.on_loss(loss);
    let wanted = ConnectionState::CredentialWanted(CredentialReason::Expired);
    assert_eq!(verdict, Verdict::Await(wanted));
    assert!(!stage.talk.is_ready());
    assert_eq!(stage.talk.wanted(), Some(CredentialReason::Expired));
}

#[test]
fn a_fresh_credential_that_is_refused_is_never_tried_again() {
    let mut stage = Stage::with(|options| options.credential = Some(assertion("bad")));
    stage.open();
    stage.say();
    let Err(loss) = stage.ko(Errno::InvalidAssertion) else { panic!("the socket is given up") };
    let Verdict::Await(ConnectionState::SignedOut(ko)) = stage.talk.on_loss(loss) else {
        panic!("nothing but another credential helps")
    };
    assert_eq!(ko.errno, Errno::InvalidAssertion);
    assert!(!stage.talk.is_ready() && stage.talk.wanted().is_none());
    stage.talk.set_credential(assertion("good"));
    assert!(stage.talk.is_ready());
}

#[test]
fn a_refused_renewal_leaves_the_session_to_its_end_and_then_signs_out() {
    let mut stage = Stage::accepted();
    stage.talk.set_credential(assertion("bad"));
    stage.say();
    stage.ko(Errno::InvalidAssertion).unwrap();
    assert!(stage.talk.is_accepted() && stage.next().is_none());
    let verdict = stage.lose(CloseCode::NotAuthorised);
    assert!(matches!(verdict, Verdict::Await(ConnectionState::SignedOut(_))), "{verdict:?}");
}

#[test]
fn a_refused_renewal_does_not_spoil_the_credential_that_is_still_good() {
    let mut stage = Stage::accepted();
    stage.talk.set_credential(assertion("bad"));
    stage.say();
    stage.ko(Errno::InvalidAssertion).unwrap();
    stage.lose(CloseCode::Restart);
    stage.open();
    assert_eq!(proof(&stage.say()), Some("first"));
}

#[test]
fn a_credential_given_as_the_session_ends_is_tried_at_once() {
    let mut stage = Stage::accepted();
    stage.talk.set_credential(assertion("second"));
    assert_eq!(stage.lose(CloseCode::NotAuthorised), Verdict::AtOnce);
    stage.open();
    assert_eq!(proof(&stage.say()), Some("second"));
}

#[test]
fn a_server_that_is_busy_at_the_greeting_is_asked_again_and_not_before_it_said() {
    let mut stage = Stage::with(|options| options.credential = Some(assertion("first")));
    stage.open();
    stage.say();
    let Err(loss) = stage.ko(ApiError::from(Errno::TooManyConnections).after(9.0)) else {
        panic!("the socket is given up")
    };
    let Verdict::Retry { at_least, .. } = stage.talk.on_loss(loss) else { panic!("it retries") };
    assert_eq!(at_least, Some(Duration::from_secs(9)));
    assert!(stage.talk.is_ready());
}

#[test]
fn a_replaced_device_and_one_that_its_user_ended_stay_away() {
    let end = |code| Stage::accepted().lose(code);
    assert_eq!(end(CloseCode::Replaced), Verdict::End(EndReason::Replaced));
    assert_eq!(end(CloseCode::EndedByUser), Verdict::End(EndReason::EndedByUser));
}

#[test]
fn nonsense_from_the_server_ends_the_channel_and_news_of_a_newer_one_do_not() {
    let mut stage = Stage::accepted();
    stage.hear(r#"{"weather":"rain"}"#).unwrap();
    let Err(loss) = stage.hear("<html>") else { panic!("no server says that") };
    assert!(matches!(stage.talk.on_loss(loss), Verdict::End(EndReason::Incompatible(_))));
}

#[test]
fn a_source_that_says_signed_out_signs_out() {
    let mut stage = Stage::with(|_| ());
    stage.talk.sign_out();
    assert!(matches!(stage.talk.state(), ConnectionState::SignedOut(_)));
    assert!(stage.talk.wanted().is_none() && !stage.talk.is_ready());
}
