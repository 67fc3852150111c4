use super::*;
use crate::app::{
    AppServiceCommand, AppServiceRequest, QueryResult, Receipt, ReceiptState, auth_ok,
    notify_reply, parse, query_ok,
};
use crate::open::{OpenReceiptState, OpenStatus};
use crate::presence::{PresenceUpdate, Status};
use crate::request::RequestId;
use crate::time::UnixMillis;

fn presence() -> PresenceUpdate {
    PresenceUpdate {
        uid: Puid::from_bits(1),
        status: Status::Online,
        cause: None,
        version: 2,
        since: UnixMillis::new(3000),
        message: None,
        revoked: false,
    }
}

fn open_presence() -> OpenPresence {
    let PresenceUpdate { uid, status, cause, version, since, revoked, .. } = presence();
    let (status, cause) = (status.into(), cause.map(Into::into));
    OpenPresence { uid, status, cause, version, since, message: None, revoked }
}

#[test]
fn frames_that_the_server_writes_are_parsed() {
    let id = RequestId::from_number(7);
    let queued = QueuedNotification { id: NotificationId::from_bits(4), queue_size: 5 };
    let results = vec![Ok(queued), Err(Errno::UnknownUid.into())];
    let query_results =
        vec![QueryResult::Known(presence()), QueryResult::Unknown("no-such-user".to_owned())];
    let read_results = vec![
        OpenQueryResult::Known(open_presence()),
        OpenQueryResult::Unknown("no-such-user".to_owned()),
    ];
    let error = ApiError::slow_down(0.5);
    let refused = vec![Err(Errno::UnknownUid.into())];
    for (written, expected) in [
        (auth_ok(None), ServerToAppService::AuthOk),
        (notify_reply(Some(&id), &results), ServerToAppService::Notified(results, Some(7))),
        (notify_reply(Some(&id), &refused), ServerToAppService::Notified(refused, Some(7))),
        (query_ok(Some(&id), &query_results), ServerToAppService::Queried(read_results, Some(7))),
        (error.to_json(Some(&id)), ServerToAppService::Error(error, Some(7))),
        (r#"{"action":"unknown","result":"OK"}"#.to_owned(), ServerToAppService::Unknown),
        (r#"{"unknown":true}"#.to_owned(), ServerToAppService::Unknown),
    ] {
        assert_eq!(parse_frame(&written).unwrap(), expected, "{written}");
    }
}

#[test]
fn an_entry_that_cannot_be_read_is_an_error_and_not_an_unknown_user() {
    let (known, other) = (Puid::from_bits(1), Puid::from_bits(2));
    let text = format!(
        r#"{{"action":"query","result":"OK","id":3,"presence":[
            {{"uid":"{known}","status":"asleep","version":1,"since":1}},
            {{"uid":"{other}","version":{{}}}},
            {{"uid":"{other}","result":"KO","errno":77,"error":"New"}},
            7
        ]}}"#
    );
    let ServerToAppService::Queried(results, Some(3)) = parse_frame(&text).unwrap() else {
        panic!("no reply to a query")
    };
    let OpenQueryResult::Known(presence) = &results[0] else { panic!("{results:?}") };
    assert_eq!(presence.status, OpenStatus::Unknown("asleep".to_owned()));
    for (result, errno) in results[1..].iter().zip([0, 77, 0]) {
        let OpenQueryResult::Refused { error, .. } = result else { panic!("{result:?}") };
        assert_eq!(error.errno, Errno::Unknown(errno));
    }
}

#[test]
fn each_result_of_a_notify_keeps_its_place() {
    let id = NotificationId::from_bits(4);
    let text = format!(
        r#"{{"action":"notify","result":"OK","id":3,"results":[
            {{"result":"OK","id":"{id}","queue_size":{{}},"new":1}},
            {{"result":"KO","errno":77,"error":"New"}},
            "what",
            {{"result":"OK","id":"{id}","queue_size":2}}
        ]}}"#
    );
    let ServerToAppService::Notified(results, Some(3)) = parse_frame(&text).unwrap() else {
        panic!("no reply to a notify")
    };
    let errnos: Vec<_> = results.iter().map(|one| one.as_ref().err().map(|e| e.errno)).collect();
    assert_eq!(errnos, [None, Some(Errno::Unknown(77)), Some(Errno::Unknown(0)), None]);
}

#[test]
fn a_reply_that_cannot_be_read_is_an_error_of_its_request() {
    for text in [
        r#"{"action":"notify","result":"OK","id":3}"#,
        r#"{"action":"new","result":"OK","id":3}"#,
        r#"{"action":7,"result":"KO","errno":77,"id":3}"#,
        r#"{"result":"MAYBE","id":3}"#,
    ] {
        let parsed = parse_frame(text).unwrap();
        assert!(matches!(parsed, ServerToAppService::Error(_, Some(3))), "{text}: {parsed:?}");
    }
}

#[test]
fn one_unknown_item_of_a_stream_frame_is_skipped() {
    let uid = Puid::from_bits(1);
    let text = format!(
        r#"{{"presence":[{{"uid":"{uid}","status":"online","version":1,"since":0.5}},{{"new":1}}],
            "receipts":[{{"id":"{uid}","uid":"{uid}","state":"read"}},{{}}],"cursor":7,"more":"no"}}"#
    );
    let ServerToAppService::Stream(frame) = parse_frame(&text).unwrap() else { panic!("{text}") };
    assert_eq!((frame.presence.items.len(), frame.presence.skipped), (1, 1));
    assert_eq!((frame.receipts.items.len(), frame.receipts.skipped), (1, 1));
    assert_eq!(frame.receipts.items[0].state, OpenReceiptState::Unknown("read".to_owned()));
    assert_eq!((frame.cursor, frame.more), (None, false));
    assert!(parse_frame("").is_err() && parse_frame(&text[..40]).is_err());
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
    assert_eq!(read.presence.items, [open_presence()]);
    assert_eq!(read.receipts.items[0].id, receipt.id);
    assert_eq!(read.receipts.items[0].state, OpenReceiptState::Acked);
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
    let credentials =
        AppServiceAuth { key: Some("k".to_owned()), cursor: Some("c".to_owned()), receipts: true };
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
