//! The OpenAPI document says everything of every call: each test walks all of it.

use std::collections::{BTreeMap, BTreeSet};

use presence_protocol::Errno;
use presence_protocol::error::RawReply;
use serde_json::Value;

use crate::http::operation_error::{NoErrors, OperationError, errno_of_key};
use crate::http::{api, document};

/// Calls `see` for every call of the document.
fn walk(mut see: impl FnMut(&str, &Value)) {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let mut seen = 0;
    for (path, calls) in document["paths"].as_object().unwrap() {
        for (method, call) in calls.as_object().unwrap() {
            see(&format!("{method} {path}"), call);
            seen += 1;
        }
    }
    assert!(seen > 25, "where have the calls gone? {seen} are left");
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

#[test]
fn every_call_has_a_description_and_its_security() {
    let mut ids = BTreeSet::new();
    walk(|name, call| {
        assert!(is_text(&call["summary"]), "{name} has no summary");
        assert!(is_text(&call["description"]), "{name} has no description");
        let id = call["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no id"));
        assert!(ids.insert(id.to_owned()), "{name} has the id of another");
        assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}: {id}");
        assert_eq!(call["tags"].as_array().map(Vec::len), Some(1), "{name} has no tag");
        // An empty list says that anybody may.
        assert!(call["security"].is_array(), "{name} does not say who may");
        for parameter in call["parameters"].as_array().into_iter().flatten() {
            assert!(is_text(&parameter["description"]), "{name}: {parameter} is not described");
        }
    });
}

/// Checks that a body has an example. If the body is an object of the API, the example must be one
/// of those.
fn has_example(schemas: &Value, body: &Value, whose: &str) {
    let example = &body["example"];
    assert!(!example.is_null(), "{whose} has no example");
    let Some((_, name)) = body["schema"]["$ref"].as_str().and_then(|path| path.rsplit_once('/'))
    else {
        return;
    };
    let schema = &schemas[name];
    let known = schema["properties"].as_object().unwrap();
    let given = example.as_object().unwrap();
    let strange: Vec<_> = given.keys().filter(|field| !known.contains_key(*field)).collect();
    assert!(strange.is_empty(), "{whose} has an example that is no {name}: {strange:?}");
    for field in schema["required"].as_array().into_iter().flatten() {
        let field = field.as_str().unwrap();
        assert!(given.contains_key(field), "{whose} has an example that is no {name}: no {field}");
    }
}

#[test]
fn every_body_has_an_example() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let schemas = &document["components"]["schemas"];
    walk(|name, call| {
        for (kind, body) in call["requestBody"]["content"].as_object().into_iter().flatten() {
            has_example(schemas, body, &format!("{name} with {kind}"));
        }
        let answers = call["responses"].as_object().unwrap();
        let mut good = answers.iter().filter(|(status, _)| status.starts_with('2')).peekable();
        assert!(good.peek().is_some(), "{name} never succeeds");
        for (status, answer) in good {
            let content = answer["content"].as_object();
            let content = content.unwrap_or_else(|| panic!("{name} {status} has no body"));
            for (kind, body) in content {
                has_example(schemas, body, &format!("{name} {status} with {kind}"));
            }
        }
    });
}

#[test]
fn every_response_is_described_and_every_errno_has_an_example() {
    let known: BTreeMap<&str, Errno> = Errno::ALL.iter().map(|one| (one.name(), *one)).collect();
    walk(|name, call| {
        for (status, answer) in call["responses"].as_object().unwrap() {
            let description = answer["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty(), "{name} {status} is not described");
            if status.starts_with(['2', '3']) {
                continue;
            }
            let body = &answer["content"]["application/json"];
            let refers = body["schema"]["$ref"] == "#/components/schemas/Ko"
                || body["schema"]["oneOf"][1]["$ref"] == "#/components/schemas/Ko";
            assert!(refers, "{name} {status} is not the error object");
            let examples = body["examples"].as_object().unwrap();
            let mut refusals = 0;
            for (errno, example) in examples.iter().filter(|(errno, _)| *errno != "otherwise") {
                let errno = known[errno.as_str()];
                let (number, value) = (errno.number(), &example["value"]);
                assert_eq!(errno.http_status().to_string(), *status, "{name}: {errno:?}");
                assert!(description.contains(&format!("{number} `{}`", errno.name())), "{name}");
                assert!(is_text(&example["summary"]), "{name} {status}");
                let error: RawReply = serde_json::from_value(value.clone()).unwrap();
                assert_eq!(error.into_error().unwrap().errno, errno, "{name} {status}: {value}");
                refusals += 1;
            }
            assert_eq!(description.matches("- ").count(), refusals, "{name} {status}");
        }
    });
}

#[test]
fn every_call_documents_internal_and_method_errors() {
    walk(|name, call| {
        let answers = &call["responses"];
        assert!(answers["405"]["headers"]["Allow"].is_object(), "{name}");
        for (status, errno) in [("500", Errno::Internal), ("503", Errno::ShuttingDown)] {
            let examples = &answers[status]["content"]["application/json"]["examples"];
            assert!(examples[errno.name()].is_object(), "{name} {status}");
        }
    });
}

#[test]
fn every_handler_declares_its_errors_by_its_error_type() {
    let spec: Value = serde_json::from_str(&api::service().spec()).unwrap();
    let paths = spec["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|path| path.as_object().unwrap().values());
    for operation in operations {
        let keys = operation["responses"].as_object().unwrap().keys();
        let declared: Vec<Errno> = keys.filter_map(|key| errno_of_key(key)).collect();
        let id = &operation["operationId"];
        assert!(declared.contains(&Errno::Internal), "{id} has another error type");
    }
}

#[test]
#[should_panic(expected = "is not declared by")]
fn a_handler_cannot_return_an_error_that_it_does_not_declare() {
    let _ = OperationError::<NoErrors>::from(Errno::NotFound);
}
