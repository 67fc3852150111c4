use presence_protocol::app::{AppServiceCommand, QueuedNotification, auth_ok, notify_reply, parse};
use presence_protocol::{CloseCode, NotificationId, Puid, RequestId};
use tokio::time::Instant;

use super::super::requests::PendingRequest;
use super::*;
use crate::notification::NewNotification;

fn protocol() -> AppServiceProtocol {
    let server = "https://presence.example".parse().unwrap();
    let mut options = AppServiceOptions::new(server, AppId::from_bits(1), "key".to_owned().into());
    options.cursor = Some("a cursor".to_owned());
    options.receipts = true;
    AppServiceProtocol::new(&options)
}

fn authenticated() -> AppServiceProtocol {
    let mut protocol = protocol();
    protocol.handle_open();
    protocol.poll_outgoing(Instant::now()).unwrap();
    protocol.handle_frame(&auth_ok(None), Instant::now()).unwrap();
    protocol
}

fn disconnect(protocol: &mut AppServiceProtocol, code: CloseCode) -> NextStep {
    protocol.handle_disconnect(Disconnect::Closed(Some((code.number(), String::new()))))
}

fn notification() -> PendingRequest {
    let item = NewNotification::new(Puid::from_bits(1), "Hello").into_item();
    PendingRequest::Notify(vec![item])
}

#[test]
fn the_first_frame_has_the_key_and_the_cursor_and_requests_wait_for_its_reply() {
    let mut protocol = protocol();
    let _reply = protocol.requests().unwrap().add(notification());
    protocol.handle_open();
    let frame = parse(&protocol.poll_outgoing(Instant::now()).unwrap()).unwrap();
    let AppServiceCommand::Auth(auth) = frame.command else {
        panic!("the first frame authenticates")
    };
    assert_eq!((auth.key.as_deref(), auth.cursor.as_deref()), (Some("key"), Some("a cursor")));
    assert!(auth.receipts && protocol.poll_outgoing(Instant::now()).is_none());
    protocol.handle_frame(&auth_ok(None), Instant::now()).unwrap();
    let sent = parse(&protocol.poll_outgoing(Instant::now()).unwrap()).unwrap();
    assert!(matches!(sent.command, AppServiceCommand::Notify(_)));
}

#[test]
fn a_request_without_a_reply_is_sent_again_unchanged_on_the_next_socket() {
    let mut protocol = authenticated();
    let (_, mut receiver) = protocol.requests().unwrap().add(notification());
    let sent = protocol.poll_outgoing(Instant::now()).unwrap();
    assert!(protocol.poll_outgoing(Instant::now()).is_none());
    assert!(matches!(disconnect(&mut protocol, CloseCode::Restart), NextStep::Retry { .. }));
    protocol.handle_open();
    protocol.poll_outgoing(Instant::now()).unwrap();
    protocol.handle_frame(&auth_ok(None), Instant::now()).unwrap();
    assert_eq!(protocol.poll_outgoing(Instant::now()), Some(sent));
    let queued = QueuedNotification { id: NotificationId::from_bits(3), queue_size: 1 };
    let reply = notify_reply(Some(&RequestId::from_number(1)), &[Ok(queued.clone())]);
    protocol.handle_frame(&reply, Instant::now()).unwrap();
    let Ok(Ok(Reply::Notify(results))) = receiver.try_recv() else { panic!("no reply") };
    assert_eq!(results, [Ok(queued)]);
}

#[test]
fn a_request_that_has_to_wait_is_sent_again_after_the_wait() {
    let mut protocol = authenticated();
    let (id, _reply) = protocol.requests().unwrap().add(PendingRequest::Query(vec![]));
    let now = Instant::now();
    let sent = protocol.poll_outgoing(now);
    let error = ApiError::from(Errno::StorageUnavailable).with_retry_after(2.0);
    protocol.handle_frame(&error.to_json(Some(&RequestId::from_number(id))), now).unwrap();
    assert!(protocol.poll_outgoing(now).is_none());
    assert_eq!(protocol.next_deadline(), Some(now + Duration::from_secs(2)));
    assert_eq!(protocol.poll_outgoing(now + Duration::from_secs(2)), sent);
}

#[test]
fn a_refused_request_gets_its_error_and_a_removed_one_is_not_sent() {
    let mut protocol = authenticated();
    let (_, mut receiver) = protocol.requests().unwrap().add(PendingRequest::Query(vec![]));
    protocol.poll_outgoing(Instant::now()).unwrap();
    let error = ApiError::from(Errno::TooLarge).to_json(Some(&RequestId::from_number(1)));
    protocol.handle_frame(&error, Instant::now()).unwrap();
    assert!(matches!(receiver.try_recv(), Ok(Err(Error::Refused(_)))));
    let (id, _reply) = protocol.requests().unwrap().add(PendingRequest::Query(vec![]));
    protocol.remove_request(id);
    assert!(protocol.poll_outgoing(Instant::now()).is_none());
}

#[test]
fn a_refused_key_is_not_tried_again_and_pending_requests_fail() {
    let mut protocol = protocol();
    let (_, mut receiver) = protocol.requests().unwrap().add(notification());
    protocol.handle_open();
    protocol.poll_outgoing(Instant::now()).unwrap();
    let error = ApiError::from(Errno::InvalidApiKey);
    let Err(reason) = protocol.handle_frame(&error.to_json(None), Instant::now()) else {
        panic!("the key is accepted")
    };
    assert_eq!(
        protocol.handle_disconnect(reason),
        NextStep::AwaitCredential(ConnectionState::SignedOut(error.clone()))
    );
    assert_eq!(receiver.try_recv().unwrap().unwrap_err(), Error::Refused(error.clone()));
    assert!(!protocol.has_credential() && protocol.requests().err() == Some(Error::Refused(error)));
    protocol.set_api_key("another".to_owned().into());
    assert!(protocol.has_credential() && protocol.requests().is_ok());
}

#[test]
fn all_requests_fail_when_the_channel_ends() {
    let mut protocol = authenticated();
    let (_, mut receiver) = protocol.requests().unwrap().add(notification());
    let NextStep::End(end) = disconnect(&mut protocol, CloseCode::ApplicationClosed) else {
        panic!("the channel goes on")
    };
    protocol.set_state(ConnectionState::Ended(end.clone()));
    assert_eq!(receiver.try_recv().unwrap().unwrap_err(), Error::Ended(end.clone()));
    assert_eq!(protocol.requests().err(), Some(Error::Ended(end)));
}
