use proptest::prelude::*;

use super::*;
use crate::id::NotificationId;

const UID: &str = "0000000000000000000000000000000a";

fn errno_of(text: &str) -> Errno {
    parse(text).unwrap_err().0.errno
}

fn item(text: &str) -> Result<NotifyItem, ApiError> {
    let frame = format!(r#"{{"action":"notify","notifications":[{text}]}}"#);
    let request = parse(&frame).map_err(|(error, _)| error)?;
    let AppServiceCommand::Notify(mut items) = request.command else {
        panic!("not a list of notifications")
    };
    items.remove(0)
}

#[test]
fn both_formats_of_auth_are_parsed() {
    for text in [r#"{"action":"auth","token":"k"}"#, r#"{"key":"k"}"#] {
        let AppServiceCommand::Auth(auth) = parse(text).unwrap().command else { panic!("{text}") };
        assert_eq!(auth.key.as_deref(), Some("k"));
    }
    let AppServiceCommand::Auth(auth) =
        parse(r#"{"action":"auth","token":"k","cursor":"c","receipts":true}"#).unwrap().command
    else {
        panic!("not auth")
    };
    assert_eq!((auth.cursor.as_deref(), auth.receipts), (Some("c"), true));
}

#[test]
fn a_notify_in_the_format_of_2013_is_parsed() {
    let text = format!(r#"{{"action":"notify","target":"{UID}","message":"hi","source":"x"}}"#);
    let AppServiceCommand::NotifyOne(item) = parse(&text).unwrap().command else {
        panic!("not a single notification")
    };
    assert_eq!(
        (item.source.as_str(), item.message.as_str(), item.action.as_str(), item.ttl),
        ("x", "hi", "", MAX_TTL_SECONDS)
    );
}

#[test]
fn a_batch_in_the_format_of_2013_is_a_bare_list_with_upper_case_uids() {
    let text = format!(r#" [{{"UID":"{UID}","message":"hi","action":"https://a.example/"}}]"#);
    let AppServiceCommand::Notify(items) = parse(&text).unwrap().command else {
        panic!("not a list of notifications")
    };
    assert_eq!(items[0].as_ref().unwrap().uid.to_string(), UID);
    assert_eq!(errno_of("[1"), Errno::NotJson);
}

#[test]
fn a_source_is_optional_and_follows_the_rule_of_texts() {
    let source = |value: &str| {
        item(&format!(r#"{{"uid":"{UID}","message":"m","source":{value}}}"#))
            .map(|item| item.source)
            .map_err(|error| error.errno)
    };
    assert_eq!(source("null").as_deref(), Ok(""));
    assert_eq!(source(r#""  ""#).as_deref(), Ok(""));
    assert_eq!(source(r#"" bob@chat.example""#).as_deref(), Ok("bob@chat.example"));
    assert_eq!(source(&format!("\"{}\"", "é".repeat(200))), Ok("é".repeat(200)));
    assert_eq!(source(&format!("\"{}\"", "é".repeat(201))), Err(Errno::InvalidField));
    for wrong in [r#""a\nb""#, r#""Ba\u200bnk""#, r#""\u2066Bank""#, "5"] {
        assert_eq!(source(wrong), Err(Errno::InvalidField), "{wrong}");
    }
}

#[test]
fn an_invalid_item_does_not_affect_the_others() {
    let text = format!(
        r#"{{"action":"notify","notifications":[{{"uid":"{UID}","message":"a"}},{{"uid":"{UID}"}},7]}}"#
    );
    let AppServiceCommand::Notify(items) = parse(&text).unwrap().command else {
        panic!("not a list of notifications")
    };
    assert!(items[0].is_ok());
    assert_eq!(items[1].as_ref().unwrap_err().errno, Errno::MissingField);
    assert_eq!(items[2].as_ref().unwrap_err().errno, Errno::NotJson);
}

#[test]
fn the_length_of_a_message_is_counted_in_characters_and_no_message_is_truncated() {
    let longest = "é".repeat(512);
    assert_eq!(
        item(&format!(r#"{{"uid":"{UID}","message":"{longest}"}}"#)).unwrap().message,
        longest
    );
    let error = item(&format!(r#"{{"uid":"{UID}","message":"{longest}é"}}"#)).unwrap_err();
    assert_eq!(error.errno, Errno::InvalidField);
}

#[test]
fn each_error_of_an_item_has_its_errno() {
    let errno =
        |rest: &str| item(&format!(r#"{{"uid":"{UID}","message":"m"{rest}}}"#)).unwrap_err().errno;
    assert_eq!(errno(r#","ttl":2592001"#), Errno::InvalidField);
    assert_eq!(errno(r#","ttl":-1"#), Errno::InvalidField);
    assert_eq!(errno(r#","idempotency_key":"""#), Errno::InvalidField);
    assert_eq!(errno(r#","action":5"#), Errno::InvalidField);
    for message in [r#""a\nb""#, r#""\u3164""#, r#""\u202e""#] {
        let text = format!(r#"{{"uid":"{UID}","message":{message}}}"#);
        assert_eq!(item(&text).unwrap_err().errno, Errno::InvalidField, "{message}");
    }
    assert_eq!(
        item(r#"{"uid":"no-such-user","message":"m"}"#).unwrap_err().errno,
        Errno::UnknownUid
    );
}

#[test]
fn each_error_of_a_frame_has_its_errno() {
    assert_eq!(errno_of("not json"), Errno::NotJson);
    assert_eq!(errno_of("{}"), Errno::MissingField);
    assert_eq!(errno_of(r#"{"action":"notify"}"#), Errno::MissingField);
    assert_eq!(errno_of(r#"{"action":"query"}"#), Errno::MissingField);
    assert_eq!(errno_of(r#"{"action":"unknown"}"#), Errno::UnknownType);
    assert_eq!(errno_of(r#"{"action":"query","uids":"x"}"#), Errno::InvalidField);
    let too_many = serde_json::to_string(&vec![UID; MAX_BATCH_ITEMS + 1]).unwrap();
    assert_eq!(errno_of(&format!(r#"{{"action":"query","uids":{too_many}}}"#)), Errno::TooLarge);
}

#[test]
fn replies_have_the_documented_format() {
    assert_eq!(auth_ok(None), r#"{"action":"auth","result":"OK"}"#);
    let results = [
        Ok(QueuedNotification { id: NotificationId::from_bits(1), queue_size: 2 }),
        Err(ApiError::from(Errno::UnknownUid)),
    ];
    assert_eq!(
        notify_reply(RequestId::parse("1").as_ref(), &results),
        r#"{"action":"notify","result":"OK","queue_size":2,"failed":1,"results":[{"result":"OK","queue_size":2,"id":"00000000000000000000000000000001"},{"result":"KO","errno":44,"error":"Unknown uid"}],"id":1}"#
    );
    assert_eq!(
        query_ok(None, &[QueryResult::Unknown("x".to_owned())]),
        r#"{"action":"query","result":"OK","presence":[{"uid":"x","result":"KO","errno":44,"error":"Unknown uid"}]}"#
    );
}

#[test]
fn a_notify_of_which_nothing_was_taken_is_an_error_with_results() {
    let slow = |seconds| Err(ApiError::slow_down(seconds));
    let unknown = || Err(ApiError::from(Errno::UnknownUid));
    assert_eq!(
        notify_reply(None, &[slow(0.5), slow(2.0)]),
        r#"{"action":"notify","result":"KO","errno":20,"error":"Slow down","retry_after":2.0,"queue_size":0,"failed":2,"results":[{"result":"KO","errno":20,"error":"Slow down","retry_after":0.5},{"result":"KO","errno":20,"error":"Slow down","retry_after":2.0}]}"#
    );
    let error = |results: &[_]| NotifySummary::new(results).error;
    assert_eq!(error(&[slow(0.5), unknown()]), Some(Errno::SlowDown.into()));
    assert_eq!(error(&[unknown(), slow(0.5)]), Some(Errno::UnknownUid.into()));
    assert_eq!(error(&[]), None);
    let queued = QueuedNotification { id: NotificationId::from_bits(1), queue_size: 3 };
    let summary = NotifySummary::new(&[unknown(), Ok(queued)]);
    assert_eq!(summary, NotifySummary { error: None, queue_size: 3, failed: 1 });
}

#[test]
fn an_empty_snapshot_is_marked_as_a_snapshot() {
    let frame = StreamFrameRef {
        snapshot: true,
        presence: Some(vec![]),
        cursor: Some("c"),
        ..StreamFrameRef::default()
    };
    assert_eq!(frame.to_json(), r#"{"snapshot":true,"presence":[],"cursor":"c"}"#);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*") {
        let _ = parse(&text);
    }

    #[test]
    fn no_object_makes_the_parser_panic(
        key in "(action|notifications|uids|ttl|key|cursor|receipts|target)",
        value in "(null|\"notify\"|\"query\"|-1|1e400|\\[\\[\\],1,\\{\\}\\]|\\{\\}|\"\\\\ud800\")",
    ) {
        let _ = parse(&format!("{{\"action\":\"notify\",\"{key}\":{value}}}"));
        let _ = parse(&format!("{{\"{key}\":{value}}}"));
    }
}
