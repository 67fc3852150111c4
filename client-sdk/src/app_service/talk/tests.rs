use presence_protocol::app::{AppServiceCommand, QueuedNotification, auth_ok, notify_ok, parse};
use presence_protocol::{CloseCode, NotificationId, Puid, RequestId};
use tokio::time::Instant;

use super::super::requests::Question;
use super::*;
use crate::notification::NewNotification;

fn talk() -> AppServiceTalk {
    let server = "https://presence.example".parse().unwrap();
    let mut options = AppServiceOptions::new(server, AppId::from_bits(1), "key".to_owned().into());
    options.cursor = Some("stopped here".to_owned());
    options.receipts = true;
    AppServiceTalk::new(&options)
}

fn accepted() -> AppServiceTalk {
    let mut talk = talk();
    talk.on_open();
    talk.next_frame(Instant::now()).unwrap();
    talk.on_frame(&auth_ok(None), Instant::now()).unwrap();
    talk
}

fn lose(talk: &mut AppServiceTalk, code: CloseCode) -> Verdict {
    talk.on_loss(Loss::Closed(Some((code.number(), String::new()))))
}

fn notification() -> Question {
    let item = NewNotification::new(Puid::from_bits(1), "Hello").into_item();
    Question::Notify(vec![item])
}

#[test]
fn the_first_frame_is_the_key_with_the_cursor_and_nothing_is_asked_before_the_answer() {
    let mut talk = talk();
    let _answer = talk.requests().unwrap().ask(notification());
    talk.on_open();
    let frame = parse(&talk.next_frame(Instant::now()).unwrap()).unwrap();
    let AppServiceCommand::Auth(auth) = frame.command else { panic!("it greets first") };
    assert_eq!((auth.key.as_deref(), auth.cursor.as_deref()), (Some("key"), Some("stopped here")));
    assert!(auth.receipts && talk.next_frame(Instant::now()).is_none());
    talk.on_frame(&auth_ok(None), Instant::now()).unwrap();
    let asked = parse(&talk.next_frame(Instant::now()).unwrap()).unwrap();
    assert!(matches!(asked.command, AppServiceCommand::Notify(_)));
}

#[test]
fn a_request_without_an_answer_is_asked_again_on_the_next_socket_word_for_word() {
    let mut talk = accepted();
    let (_, mut answer) = talk.requests().unwrap().ask(notification());
    let asked = talk.next_frame(Instant::now()).unwrap();
    assert!(talk.next_frame(Instant::now()).is_none());
    assert!(matches!(lose(&mut talk, CloseCode::Restart), Verdict::Retry { .. }));
    talk.on_open();
    talk.next_frame(Instant::now()).unwrap();
    talk.on_frame(&auth_ok(None), Instant::now()).unwrap();
    assert_eq!(talk.next_frame(Instant::now()), Some(asked));
    let queued = QueuedNotification { id: NotificationId::from_bits(3), queue_size: 1 };
    let reply = notify_ok(Some(&RequestId::number(1)), &[Ok(queued.clone())]);
    talk.on_frame(&reply, Instant::now()).unwrap();
    let Ok(Ok(Answer::Notified(results))) = answer.try_recv() else { panic!("no answer") };
    assert_eq!(results, [Ok(queued)]);
}

#[test]
fn a_request_told_to_wait_is_asked_again_after_the_wait() {
    let mut talk = accepted();
    let (id, _answer) = talk.requests().unwrap().ask(Question::Query(vec![]));
    let now = Instant::now();
    let asked = talk.next_frame(now);
    let ko = ApiError::from(Errno::StorageUnavailable).after(2.0);
    talk.on_frame(&ko.to_json(Some(&RequestId::number(id))), now).unwrap();
    assert!(talk.next_frame(now).is_none());
    assert_eq!(talk.wakes_at(), Some(now + Duration::from_secs(2)));
    assert_eq!(talk.next_frame(now + Duration::from_secs(2)), asked);
}

#[test]
fn a_refused_request_is_answered_and_a_forgotten_one_is_not_asked() {
    let mut talk = accepted();
    let (_, mut answer) = talk.requests().unwrap().ask(Question::Query(vec![]));
    talk.next_frame(Instant::now()).unwrap();
    let ko = ApiError::from(Errno::TooLarge).to_json(Some(&RequestId::number(1)));
    talk.on_frame(&ko, Instant::now()).unwrap();
    assert!(matches!(answer.try_recv(), Ok(Err(Error::Refused(_)))));
    let (id, _answer) = talk.requests().unwrap().ask(Question::Query(vec![]));
    talk.forget(id);
    assert!(talk.next_frame(Instant::now()).is_none());
}

#[test]
fn a_refused_key_is_not_tried_again_and_whoever_waits_hears_of_it() {
    let mut talk = talk();
    let (_, mut answer) = talk.requests().unwrap().ask(notification());
    talk.on_open();
    talk.next_frame(Instant::now()).unwrap();
    let ko = ApiError::from(Errno::InvalidApiKey);
    let Err(loss) = talk.on_frame(&ko.to_json(None), Instant::now()) else { panic!("it goes on") };
    assert_eq!(talk.on_loss(loss), Verdict::Await(ConnectionState::SignedOut(ko.clone())));
    assert_eq!(answer.try_recv().unwrap().unwrap_err(), Error::Refused(ko.clone()));
    assert!(!talk.is_ready() && talk.requests().err() == Some(Error::Refused(ko)));
    talk.set_api_key("another".to_owned().into());
    assert!(talk.is_ready() && talk.requests().is_ok());
}

#[test]
fn a_channel_that_has_ended_answers_everybody() {
    let mut talk = accepted();
    let (_, mut answer) = talk.requests().unwrap().ask(notification());
    let Verdict::End(end) = lose(&mut talk, CloseCode::ApplicationClosed) else { panic!("no end") };
    talk.set_state(ConnectionState::Ended(end.clone()));
    assert_eq!(answer.try_recv().unwrap().unwrap_err(), Error::Ended(end.clone()));
    assert_eq!(talk.requests().err(), Some(Error::Ended(end)));
}
