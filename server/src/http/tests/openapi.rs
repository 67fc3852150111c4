//! The OpenAPI document describes every operation completely: each test reads all operations.

use std::collections::{BTreeMap, BTreeSet};

use presence_protocol::Errno;
use presence_protocol::error::RawReply;
use serde_json::Value;

use crate::http::operation_error::{NoErrors, OperationError, errno_of_key};
use crate::http::{api, document};

/// Calls a function for every operation of the document.
fn for_each_operation(mut check: impl FnMut(&str, &Value)) {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let mut count = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            check(&format!("{method} {path}"), operation);
            count += 1;
        }
    }
    assert!(count > 25, "only {count} operations were found");
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

#[test]
fn every_operation_has_a_description_and_its_security() {
    let mut ids = BTreeSet::new();
    for_each_operation(|name, operation| {
        assert!(is_text(&operation["summary"]), "{name} has no summary");
        assert!(is_text(&operation["description"]), "{name} has no description");
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no id"));
        assert!(ids.insert(id.to_owned()), "{name} has the id of another operation");
        assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}: {id}");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{name} has no tag");
        // An empty list means that no credential is needed.
        assert!(operation["security"].is_array(), "{name} does not declare its credentials");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(is_text(&parameter["description"]), "{name}: {parameter} is not described");
        }
    });
}

/// Checks that a body has an example. If the body has a schema, the example must match it.
fn has_example(schemas: &Value, body: &Value, body_name: &str) {
    let example = &body["example"];
    assert!(!example.is_null(), "{body_name} has no example");
    let Some((_, name)) = body["schema"]["$ref"].as_str().and_then(|path| path.rsplit_once('/'))
    else {
        return;
    };
    let schema = &schemas[name];
    let known = schema["properties"].as_object().unwrap();
    let given = example.as_object().unwrap();
    let unknown: Vec<_> = given.keys().filter(|field| !known.contains_key(*field)).collect();
    assert!(
        unknown.is_empty(),
        "{body_name} has an example with unknown fields of {name}: {unknown:?}"
    );
    for field in schema["required"].as_array().into_iter().flatten() {
        let field = field.as_str().unwrap();
        assert!(given.contains_key(field), "{body_name} has an example of {name} without {field}");
    }
}

#[test]
fn every_body_has_an_example() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let schemas = &document["components"]["schemas"];
    for_each_operation(|name, operation| {
        for (kind, body) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            has_example(schemas, body, &format!("{name} with {kind}"));
        }
        let responses = operation["responses"].as_object().unwrap();
        let mut successes =
            responses.iter().filter(|(status, _)| status.starts_with('2')).peekable();
        assert!(successes.peek().is_some(), "{name} has no successful response");
        for (status, response) in successes {
            let content = response["content"].as_object();
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
    for_each_operation(|name, operation| {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let description = response["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty(), "{name} {status} is not described");
            if status.starts_with(['2', '3']) {
                continue;
            }
            let body = &response["content"]["application/json"];
            let refers = body["schema"]["$ref"] == "#/components/schemas/Ko"
                || body["schema"]["oneOf"][1]["$ref"] == "#/components/schemas/Ko";
            assert!(refers, "{name} {status} is not the error object");
            let examples = body["examples"].as_object().unwrap();
            let mut errors = 0;
            for (errno, example) in examples.iter().filter(|(errno, _)| *errno != "otherwise") {
                let errno = known[errno.as_str()];
                let (number, value) = (errno.number(), &example["value"]);
                assert_eq!(errno.http_status().to_string(), *status, "{name}: {errno:?}");
                assert!(description.contains(&format!("{number} `{}`", errno.name())), "{name}");
                assert!(is_text(&example["summary"]), "{name} {status}");
                let reply: RawReply = serde_json::from_value(value.clone()).unwrap();
                assert_eq!(reply.into_error().unwrap().errno, errno, "{name} {status}: {value}");
                errors += 1;
            }
            assert_eq!(description.matches("- ").count(), errors, "{name} {status}");
        }
    });
}

#[test]
fn every_operation_documents_internal_and_method_errors() {
    for_each_operation(|name, operation| {
        let responses = &operation["responses"];
        assert!(responses["405"]["headers"]["Allow"].is_object(), "{name}");
        for (status, errno) in [("500", Errno::Internal), ("503", Errno::ShuttingDown)] {
            let examples = &responses[status]["content"]["application/json"]["examples"];
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
