use proptest::prelude::*;

use super::*;
use crate::limits::{MAX_NOTIFICATION_CHARS, MAX_SOURCE_CHARS};

fn errno_of(text: &str) -> Errno {
    parse(text).unwrap_err().0.errno
}

#[test]
fn the_status_frame_of_2013_is_parsed() {
    let request = parse(r#"{"email":"a@b.example","assertion":"x~y","status":"online"}"#).unwrap();
    assert_eq!(request.auth.email.as_deref(), Some("a@b.example"));
    assert!(request.auth.proof == Some(Proof::Assertion("x~y".to_owned())));
    assert_eq!(
        request.command,
        DeviceCommand::Status(StatusReport {
            status: Status::Online,
            message: None,
            application_ids: None
        })
    );
}

#[test]
fn fields_of_2013_and_unknown_fields_are_ignored() {
    let request = parse(
        r#"{"type":"status","status":"offline","assertion":"x","token":9,"source":[],"appid":{},"new":1}"#,
    )
    .unwrap();
    assert!(request.auth.proof == Some(Proof::Assertion("x".to_owned())));
}

#[test]
fn a_bearer_token_can_replace_the_assertion() {
    let request = parse(r#"{"status":"online","token":"t"}"#).unwrap();
    assert!(request.auth.proof == Some(Proof::Token("t".to_owned())));
}

#[test]
fn visibility_and_ack_are_parsed_and_invalid_ids_are_left_out() {
    let app = AppId::from_bits(5);
    for list in [format!(r#"["{app}","no"]"#), format!(r#"[421,-1,"{app}",9592]"#)] {
        let text = format!(r#"{{"type":"visibility","application_ids":{list}}}"#);
        let request = parse(&text).unwrap();
        assert_eq!(request.command, DeviceCommand::Visibility(vec![app]), "{text}");
    }
    assert_eq!(errno_of(r#"{"type":"visibility","application_ids":[[]]}"#), Errno::InvalidField);
    let request = parse(r#"{"type":"ack","ids":[]}"#).unwrap();
    assert_eq!(request.command, DeviceCommand::Ack(vec![]));
}

#[test]
fn each_error_has_its_errno() {
    assert_eq!(errno_of(""), Errno::NotJson);
    assert_eq!(errno_of("[]"), Errno::NotJson);
    assert_eq!(errno_of("{\"status\":"), Errno::NotJson);
    assert_eq!(errno_of("{}"), Errno::MissingField);
    assert_eq!(errno_of(r#"{"type":"visibility"}"#), Errno::MissingField);
    assert_eq!(errno_of(r#"{"type":"ack"}"#), Errno::MissingField);
    assert_eq!(errno_of(r#"{"status":"busy"}"#), Errno::InvalidField);
    assert_eq!(errno_of(r#"{"status":"online","status":"online"}"#), Errno::InvalidField);
    assert_eq!(errno_of(r#"{"status":"online","device":"a b"}"#), Errno::InvalidField);
    assert_eq!(errno_of(r#"{"status":"online","id":{}}"#), Errno::InvalidField);
    assert_eq!(errno_of(r#"{"status":"online","acks":"yes"}"#), Errno::InvalidField);
    assert_eq!(errno_of(r#"{"type":"unknown"}"#), Errno::UnknownType);
    let too_many = serde_json::to_string(&vec!["x"; MAX_ACK_IDS + 1]).unwrap();
    assert_eq!(errno_of(&format!(r#"{{"type":"ack","ids":{too_many}}}"#)), Errno::TooLarge);
}

#[test]
fn a_rejected_request_has_its_id_if_that_could_be_read() {
    let (_, id) = parse(r#"{"id":"q","type":"unknown"}"#).unwrap_err();
    assert_eq!(id, RequestId::parse("\"q\""));
}

#[test]
fn replies_have_the_format_of_2013() {
    assert_eq!(ok(None), r#"{"result":"OK"}"#);
    assert_eq!(ok(RequestId::parse("3").as_ref()), r#"{"result":"OK","id":3}"#);
    let item = LiveNotification {
        source: "bob@chat.example".to_owned(),
        application: "Chat".to_owned(),
        domain: "chat.example".to_owned(),
        message: "hi".to_owned(),
        action: String::new(),
        appid: AppId::from_bits(1),
        id: NotificationId::from_bits(2),
        sent_at: UnixMillis::new(3),
    };
    let mut batch = NotificationBatch::new();
    assert!(batch.is_empty() && batch.add(&item));
    assert_eq!(
        batch.into_frame(),
        r#"{"notifications":[{"source":"bob@chat.example","application":"Chat","domain":"chat.example","message":"hi","action":"","appid":"00000000000000000000000000000001","id":"00000000000000000000000000000002","sent_at":3}]}"#
    );
}

#[test]
fn a_frame_takes_notifications_up_to_its_limit_and_keeps_their_order() {
    let item = LiveNotification {
        source: "bob@chat.example".to_owned(),
        application: "Chat".to_owned(),
        domain: "chat.example".to_owned(),
        message: "m".repeat(MAX_NOTIFICATION_CHARS),
        action: String::new(),
        appid: AppId::from_bits(1),
        id: NotificationId::from_bits(2),
        sent_at: UnixMillis::new(3),
    };
    let mut batch = NotificationBatch::new();
    let added = (0..1_000).take_while(|_| batch.add(&item)).count();
    let frame = batch.into_frame();
    let one_more = serde_json::to_string(&item).unwrap().len() + 1;
    assert!(frame.len() <= MAX_NOTIFICATIONS_BYTES, "{}", frame.len());
    assert!(frame.len() + one_more > MAX_NOTIFICATIONS_BYTES, "{}", frame.len());
    let parsed: serde_json::Value = serde_json::from_str(&frame).unwrap();
    assert_eq!(parsed["notifications"].as_array().unwrap().len(), added);
}

/// One character is at most six bytes of JSON. A name has at most 200 characters, and for some time
/// after a change the old one follows it: this is `application`, and `source` if none was given. A
/// domain has 253. `actions` may stand beside `action`: four of them, with titles of 64 characters.
#[test]
fn the_longest_notification_fits_into_a_frame() {
    const BYTES_PER_CHAR: usize = 6;
    let name = 2 * MAX_SOURCE_CHARS + " (before: )".len();
    let texts = 2 * MAX_NOTIFICATION_CHARS + 2 * name + 253;
    let actions = 4 * (MAX_NOTIFICATION_CHARS + 64);
    let names_ids_and_times = 1024;
    let longest = BYTES_PER_CHAR * (texts + actions) + names_ids_and_times;
    assert!(longest < MAX_NOTIFICATIONS_BYTES, "{longest}");
}

#[test]
fn proofs_and_e_mail_addresses_are_not_in_debug_output() {
    let request =
        parse(r#"{"email":"secret@b.example","assertion":"secret","status":"online"}"#).unwrap();
    assert!(!format!("{request:?}").contains("secret"));
}

/// The values of the fields of a plain status, valid and invalid.
const VALUES: &str = r#"(null|true|7|"online"|"offline"|"busy"|""|"a\\n"|"on the train"|"\\u00e9\\u0000"|\{\}|\["online"\])"#;

proptest! {
    #[test]
    fn a_frame_parsed_in_one_step_equals_one_parsed_field_by_field(
        fields in prop::collection::vec(("(id|status|message|type|email)", VALUES), 0..4),
        (before, after) in ("[ \n\\[]{0,2}", "[ \n}]{0,2}"),
    ) {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let text = format!("{before}{{{}}}{after}", fields.join(","));
        prop_assert_eq!(parse(&text), parse_fields(&text));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*") {
        let _ = parse(&text);
    }

    #[test]
    fn no_object_makes_the_parser_panic(
        key in "(id|type|status|message|ids|application_ids|device|acks|token)",
        value in "(null|true|-1|1e400|\"[a-z]{0,9}\"|\\[\"a\",1\\]|\\{\\}|\"\\\\ud800\")",
    ) {
        let _ = parse(&format!("{{\"{key}\":{value}}}"));
    }
}
