//! The AsyncAPI document agrees with the protocol crate, which parses its examples as their
//! receiver.

use std::collections::{BTreeMap, BTreeSet};

use presence_protocol::{Errno, PresenceUpdate, app, device};
use serde_json::Value;

use crate::http::documents::ASYNCAPI;
use crate::http::errors_markdown;

/// A message with its channel and its direction.
struct Message {
    name: String,
    on_device_channel: bool,
    to_server: bool,
    examples: Vec<String>,
}

fn document() -> Value {
    serde_saphyr::from_str(ASYNCAPI).unwrap()
}

fn last(reference: &Value) -> &str {
    reference["$ref"].as_str().unwrap().rsplit('/').next().unwrap()
}

/// Returns all messages of both channels, in each direction in which operations use them.
fn messages(document: &Value) -> Vec<Message> {
    let mut used = BTreeSet::new();
    for operation in document["operations"].as_object().unwrap().values() {
        let on_device_channel = last(&operation["channel"]) == "device";
        let to_server = operation["action"] == "receive";
        for message in operation["messages"].as_array().unwrap() {
            used.insert((last(message), on_device_channel, to_server));
        }
        let reply = &operation["reply"];
        let shared = reply["$ref"].is_string();
        let reply = if shared { &document["components"]["replies"][last(reply)] } else { reply };
        for message in reply["messages"].as_array().into_iter().flatten() {
            used.insert((last(message), on_device_channel, false));
        }
    }
    let message = |(name, on_device_channel, to_server): (&str, bool, bool)| {
        let examples = document["components"]["messages"][name]["examples"].as_array();
        let examples = examples.unwrap_or_else(|| panic!("{name} has no examples")).iter();
        let examples = examples.map(|example| example["payload"].to_string()).collect();
        Message { name: name.to_owned(), on_device_channel, to_server, examples }
    };
    used.into_iter().map(message).collect()
}

#[test]
fn every_example_is_parsed_as_its_own_message() {
    let document = document();
    let messages = messages(&document);
    let mut parsed = 0;
    for message in &messages {
        assert!(!message.examples.is_empty(), "{} has no examples", message.name);
        for example in &message.examples {
            let name = match (message.on_device_channel, message.to_server) {
                (true, true) => from_device(example),
                (true, false) => to_device(example),
                (false, true) => from_app(example),
                (false, false) => to_app(example, &message.name),
            };
            assert_eq!(name, message.name, "{example}");
            parsed += 1;
        }
    }
    assert!(parsed >= 20, "only {parsed} examples were found");
    let named: BTreeSet<&str> = messages.iter().map(|message| message.name.as_str()).collect();
    let all = document["components"]["messages"].as_object().unwrap();
    assert_eq!(named, all.keys().map(String::as_str).collect(), "a message that no operation uses");
}

fn from_device(example: &str) -> &'static str {
    match device::parse(example).unwrap_or_else(|error| panic!("{example}: {error:?}")).command {
        device::DeviceCommand::Status(_) => "status",
        device::DeviceCommand::Visibility(_) => "visibility",
        device::DeviceCommand::Ack(_) => "ack",
    }
}

fn to_device(example: &str) -> &'static str {
    match device::client::parse_frame(example).unwrap() {
        device::client::ServerToDevice::Ok(_) => "ok",
        device::client::ServerToDevice::Error(..) => "ko",
        device::client::ServerToDevice::Notifications(_) => "notifications",
        device::client::ServerToDevice::ExpiresIn(_) => "expiring",
        device::client::ServerToDevice::Unknown => "unknown",
    }
}

fn from_app(example: &str) -> &'static str {
    match app::parse(example).unwrap_or_else(|error| panic!("{example}: {error:?}")).command {
        app::AppServiceCommand::Auth(_) => "auth",
        app::AppServiceCommand::Notify(items) => {
            assert!(items.iter().all(Result::is_ok), "{example}");
            "notify"
        }
        app::AppServiceCommand::NotifyOne(_) => "notifyOne",
        app::AppServiceCommand::Query(uids) => {
            assert!(uids.iter().all(Result::is_ok), "{example}");
            "query"
        }
    }
}

fn to_app(example: &str, expected: &str) -> &'static str {
    // Messages without a subprotocol are for clients of 2013; the SDK does not read them.
    if expected == "update" {
        let update: PresenceUpdate = serde_json::from_str(example).unwrap();
        assert_eq!(app::single_update(&update), reordered(example, &app::single_update(&update)));
        return "update";
    }
    match app::client::parse_frame(example).unwrap() {
        app::client::ServerToAppService::AuthOk => "authOk",
        app::client::ServerToAppService::Notified(..) => "notifyOk",
        app::client::ServerToAppService::Queried(..) => "queryOk",
        app::client::ServerToAppService::Error(..) => "ko",
        app::client::ServerToAppService::Stream(batch) if !batch.receipts.items.is_empty() => {
            "receipts"
        }
        app::client::ServerToAppService::Stream(_) => "batch",
        app::client::ServerToAppService::Stale(is_stale) => {
            assert_eq!(app::stale(is_stale), reordered(example, &app::stale(is_stale)));
            "stale"
        }
        app::client::ServerToAppService::Unknown => "unknown",
    }
}

/// Returns the written text, and checks that it has the same content as the example.
fn reordered(example: &str, written: &str) -> String {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(read(example), read(written));
    written.to_owned()
}

#[test]
fn examples_have_only_fields_of_their_schema() {
    let document = document();
    for (name, message) in document["components"]["messages"].as_object().unwrap() {
        for example in message["examples"].as_array().unwrap() {
            check_fields(&document, &[&message["payload"]], &example["payload"], name);
        }
    }
}

/// Checks that one of the schemas has each field of a value, and of the values in it.
fn check_fields(document: &Value, schemas: &[&Value], value: &Value, message: &str) {
    let schemas: Vec<&Value> =
        schemas.iter().flat_map(|schema| alternatives(document, schema)).collect();
    for (field, value) in value.as_object().into_iter().flatten() {
        let properties = schemas.iter().map(|schema| &schema["properties"][field]);
        let known: Vec<&Value> = properties.filter(|schema| !schema.is_null()).collect();
        assert!(!known.is_empty(), "{message}: {field} is not known");
        check_fields(document, &known, value, message);
    }
    let items: Vec<&Value> = schemas.iter().map(|schema| &schema["items"]).collect();
    for item in value.as_array().into_iter().flatten() {
        check_fields(document, &items, item, message);
    }
}

/// Returns a schema with all schemas that it refers to or consists of.
fn alternatives<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    if schema["$ref"].is_string() {
        return alternatives(document, &document["components"]["schemas"][last(schema)]);
    }
    let parts = ["allOf", "oneOf"].into_iter().filter_map(|name| schema[name].as_array());
    let parts = parts.flatten().flat_map(|part| alternatives(document, part));
    std::iter::once(schema).chain(parts).collect()
}

#[test]
fn error_examples_have_the_texts_of_the_registry() {
    fn check_errors(value: &Value) -> usize {
        let errno = value["errno"].as_u64().map(|number| {
            let errno = u16::try_from(number).ok().and_then(Errno::from_number);
            let errno =
                errno.unwrap_or_else(|| panic!("the registry does not have this error: {value}"));
            assert_eq!(value["error"], errno.text(), "{value}");
        });
        let inside = value.as_object().into_iter().flat_map(|fields| fields.values());
        let inside = inside.chain(value.as_array().into_iter().flatten());
        usize::from(errno.is_some()) + inside.map(check_errors).sum::<usize>()
    }
    assert!(check_errors(&document()["components"]["messages"]) >= 4);
}

/// Returns the cells of a table's rows, by the number in the first column.
fn rows(text: &str, heading: &str) -> BTreeMap<u16, Vec<String>> {
    let (_, table) = text.split_once(heading).unwrap();
    let table = table.split("\n## ").next().unwrap();
    // A cell may begin with the anchor of its row.
    let cell = |cell: &str| {
        let text = cell.rsplit("</a>").next().unwrap_or_default();
        text.trim().trim_matches('`').to_owned()
    };
    let cells = |line: &str| line.split('|').skip(1).map(cell).collect::<Vec<_>>();
    let rows = table.lines().map(cells).filter(|cells| cells.len() > 3);
    rows.filter_map(|cells| Some((cells[0].parse().ok()?, cells))).collect()
}

#[test]
fn the_tables_of_errors_and_close_codes_match_the_registries() {
    /// The errors that only REST uses.
    const REST_ONLY: [Errno; 4] = [
        Errno::UnsupportedMediaType,
        Errno::UnknownApplication,
        Errno::DomainNotVerified,
        Errno::RedirectNotAllowed,
    ];
    let (document, page) = (document(), errors_markdown());
    let text = document["info"]["description"].as_str().unwrap();
    let errors = rows(text, "## Errors\n");
    assert!(errors.keys().copied().eq(Errno::ALL.iter().map(|errno| errno.number())));
    for errno in Errno::ALL {
        let [_, name, meaning, ..] = errors[&errno.number()].as_slice() else {
            panic!("{errno:?}")
        };
        assert_eq!(name, errno.name());
        let rest_only = REST_ONLY.contains(errno);
        // The document may add details to the sentence of the registry.
        let expected = errno.meaning().trim().trim_end_matches('.');
        assert!(meaning.starts_with(if rest_only { "REST only" } else { expected }), "{meaning}");
    }
    let of_page = rows(&page, "## Close codes\n");
    let swapped = |cells: Vec<String>| [0, 1, 3, 2].map(|place| cells[place].clone());
    let codes = rows(text, "## Close codes\n").into_iter().map(|(code, row)| (code, swapped(row)));
    let of_page =
        of_page.into_iter().map(|(code, row)| (code, [0, 1, 2, 3].map(|n| row[n].clone())));
    assert_eq!(codes.collect::<BTreeMap<_, _>>(), of_page.collect());
}
