//! The AsyncAPI document says what the protocol crate says: its examples are read by that crate, as the side that hears them.

use std::collections::{BTreeMap, BTreeSet};

use presence_protocol::{CloseCode, Errno, Presence, app, device};
use serde_json::Value;

use crate::http::pages::ASYNCAPI;

/// A message with the channel it is on, and whether the server hears it.
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

/// All messages of both channels, in each direction that the operations use them.
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
fn the_protocol_reads_every_example_as_the_message_it_stands_for() {
    let document = document();
    let messages = messages(&document);
    let mut read = 0;
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
            read += 1;
        }
    }
    assert!(read >= 20, "where have the examples gone? {read} are left");
    let named: BTreeSet<&str> = messages.iter().map(|message| message.name.as_str()).collect();
    let all = document["components"]["messages"].as_object().unwrap();
    assert_eq!(named, all.keys().map(String::as_str).collect(), "a message that nobody says");
}

fn from_device(example: &str) -> &'static str {
    match device::parse(example).unwrap_or_else(|refused| panic!("{example}: {refused:?}")).command
    {
        device::Command::Status(_) => "status",
        device::Command::Visibility(_) => "visibility",
        device::Command::Ack(_) => "ack",
    }
}

fn to_device(example: &str) -> &'static str {
    match device::client::read(example).unwrap() {
        device::client::ToDevice::Ok(_) => "ok",
        device::client::ToDevice::Ko(..) => "ko",
        device::client::ToDevice::Notifications(_) => "notifications",
        device::client::ToDevice::ExpiresIn(_) => "expiring",
        device::client::ToDevice::Unknown => "unknown",
    }
}

fn from_app(example: &str) -> &'static str {
    match app::parse(example).unwrap_or_else(|refused| panic!("{example}: {refused:?}")).command {
        app::Command::Auth(_) => "auth",
        app::Command::Notify(items) => {
            assert!(items.iter().all(Result::is_ok), "{example}");
            "notify"
        }
        app::Command::NotifyOne(_) => "notifyOne",
        app::Command::Query(uids) => {
            assert!(uids.iter().all(Result::is_ok), "{example}");
            "query"
        }
    }
}

fn to_app(example: &str, wanted: &str) -> &'static str {
    // What is told without a subprotocol is for clients of 2013; ours do not read it.
    if wanted == "update" {
        let update: Presence = serde_json::from_str(example).unwrap();
        assert_eq!(app::plain(&update), reordered(example, &app::plain(&update)));
        return "update";
    }
    match app::client::read(example).unwrap() {
        app::client::ToApp::AuthOk => "authOk",
        app::client::ToApp::Notified(..) => "notifyOk",
        app::client::ToApp::Queried(..) => "queryOk",
        app::client::ToApp::Ko(..) => "ko",
        app::client::ToApp::Batch(batch) if !batch.receipts.is_empty() => "receipts",
        app::client::ToApp::Batch(_) => "batch",
        app::client::ToApp::Unknown => "unknown",
    }
}

/// The text that was written, where it holds the same as the example.
fn reordered(example: &str, written: &str) -> String {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(read(example), read(written));
    written.to_owned()
}

/// The rows of a table of the document, by the number in the first column.
fn rows(heading: &str) -> BTreeMap<u16, String> {
    let document = document();
    let text = document["info"]["description"].as_str().unwrap();
    let (_, table) = text.split_once(heading).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = table.lines().map(cells).filter(|cells| cells.len() > 3);
    rows.filter_map(|cells| Some((cells[1].parse().ok()?, cells[2].clone()))).collect()
}

#[test]
fn the_document_names_exactly_the_errors_and_close_codes_of_the_registries() {
    let errors = Errno::ALL.iter().map(|errno| (errno.number(), errno.name().to_owned()));
    assert_eq!(rows("## Errors\n"), errors.collect());
    let codes = CloseCode::ALL.iter().map(|code| (code.number(), code.reason().to_owned()));
    assert_eq!(rows("## Close codes\n"), codes.collect());
}
