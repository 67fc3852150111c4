//! The REST API, read from its OpenAPI document for the page that shows it.

use crate::http;

use super::document_value::DocumentValue;
use super::field_rows::{self, FieldRow};
use super::markdown;

/// The subjects in the order of need: what a new developer calls first comes first.
const SUBJECTS: [&str; 8] = [
    "Applications",
    "Grants",
    "AppService",
    "Session",
    "Account",
    "Operation",
    "Development",
    "Documents",
];
/// The operations that are the first ones of their subject, in this order.
const FIRST_OPERATIONS: [&str; 4] =
    ["register_application", "verify_application", "activate_application", "create_session"];

/// The content of the page.
#[derive(Debug, Default)]
pub(super) struct RestDocument {
    /// The text about all operations, as HTML.
    pub(super) introduction: String,
    /// The operations, by subject.
    pub(super) subjects: Vec<SubjectSection>,
}

/// A subject with its operations.
#[derive(Debug)]
pub(super) struct SubjectSection {
    /// The name, which is also the anchor for links.
    pub(super) name: String,
    /// The description, as HTML.
    pub(super) description: String,
    /// The operations.
    pub(super) operations: Vec<RestOperation>,
}

/// An operation.
#[derive(Debug)]
pub(super) struct RestOperation {
    /// The id in the document, which is also the anchor for links.
    pub(super) id: String,
    /// The title.
    pub(super) title: String,
    /// The method, in capitals.
    pub(super) method: String,
    /// The path, with parameters in braces.
    pub(super) path: String,
    /// The description, as HTML.
    pub(super) description: String,
    /// The credential that it requires.
    pub(super) credential: RequiredCredential,
    /// The parameters in the path and the query.
    pub(super) parameters: Vec<ParameterRow>,
    /// The body, if it takes one.
    pub(super) body: Option<BodySection>,
    /// The responses, except errors.
    pub(super) responses: Vec<ResponseSection>,
    /// The errors.
    pub(super) errors: Vec<ResponseSection>,
}

/// The credential that an operation requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequiredCredential {
    /// None.
    Nothing,
    /// The session of a user.
    Session,
    /// An API key.
    ApiKey,
    /// The token of the operator.
    OperatorToken,
}

/// A parameter.
#[derive(Debug)]
pub(super) struct ParameterRow {
    /// The name, the type and the meaning.
    pub(super) field: FieldRow,
    /// The part of the request: `path` or `query`.
    pub(super) place: String,
    /// An example; empty if there is none.
    pub(super) example: String,
}

/// The body of a request.
#[derive(Debug)]
pub(super) struct BodySection {
    /// The media types, the first of which the page can send.
    pub(super) media_types: Vec<String>,
    /// The fields.
    pub(super) fields: Vec<FieldRow>,
    /// An example in JSON.
    pub(super) example: String,
}

/// A response.
#[derive(Debug)]
pub(super) struct ResponseSection {
    /// The HTTP status.
    pub(super) status: String,
    /// The description, as HTML.
    pub(super) description: String,
    /// The fields of its body.
    pub(super) fields: Vec<FieldRow>,
    /// An example of its body; empty if there is none.
    pub(super) example: String,
}

impl RestDocument {
    /// Reads the document that the server makes.
    pub(super) fn read() -> Self {
        match DocumentValue::parse_json(&http::document()) {
            Ok(document) => Self::of(&document),
            Err(error) => {
                tracing::error!(%error, "docs.failed");
                Self::default()
            }
        }
    }

    fn of(document: &DocumentValue) -> Self {
        let subjects = document.at("tags").list().iter();
        let mut subjects: Vec<_> = subjects.map(|tag| SubjectSection::of(document, tag)).collect();
        subjects.sort_by_key(|subject| place(&SUBJECTS, &subject.name));
        Self {
            introduction: markdown::html(document.at("info").at("description").text()),
            subjects,
        }
    }
}

impl SubjectSection {
    fn of(document: &DocumentValue, tag: &DocumentValue) -> Self {
        let name = tag.at("name").text();
        let mut operations = Vec::new();
        for (path, methods) in document.at("paths").fields() {
            let of_subject = methods.fields().filter(|(_, operation)| {
                operation.at("tags").list().first().is_some_and(|tag| tag.text() == name)
            });
            operations.extend(
                of_subject.map(|(method, operation)| {
                    RestOperation::of(document, path, method, operation)
                }),
            );
        }
        // Calls that delete something come last.
        operations.sort_by_key(|one| (place(&FIRST_OPERATIONS, &one.id), one.method == "DELETE"));
        Self {
            name: name.to_owned(),
            description: markdown::html(tag.at("description").text()),
            operations,
        }
    }
}

/// Returns the place of a name in a list; the end if it is not there.
fn place(list: &[&str], name: &str) -> usize {
    list.iter().position(|one| *one == name).unwrap_or(list.len())
}

impl RestOperation {
    fn of(document: &DocumentValue, path: &str, method: &str, operation: &DocumentValue) -> Self {
        let parameters = operation.at("parameters").list().iter();
        let responses = operation.at("responses").fields();
        let responses =
            responses.map(|(status, response)| ResponseSection::of(document, status, response));
        let (errors, responses) = responses.partition(|response| response.status.as_str() >= "400");
        let body = operation.at("requestBody");
        Self {
            id: operation.at("operationId").text().to_owned(),
            title: operation.at("summary").text().trim_end_matches('.').to_owned(),
            method: method.to_uppercase(),
            path: path.to_owned(),
            description: markdown::html(operation.at("description").text()),
            credential: RequiredCredential::of(operation),
            parameters: parameters.map(|one| ParameterRow::of(document, one)).collect(),
            body: body.is_present().then(|| BodySection::of(document, body)),
            responses,
            errors,
        }
    }

    /// Returns true if the page can make the call and show its result. The page of a grant is for
    /// people, who open it in their browser.
    pub(super) fn can_be_tried(&self) -> bool {
        !self.responses.iter().any(|response| response.status == "303") || self.method != "GET"
    }
}

impl RequiredCredential {
    fn of(operation: &DocumentValue) -> Self {
        let alternatives = operation.at("security").list();
        let has = |name| alternatives.iter().any(|one| one.has(name));
        if has("api_key") {
            Self::ApiKey
        } else if has("operator_token") {
            Self::OperatorToken
        } else if has("session") {
            Self::Session
        } else {
            Self::Nothing
        }
    }

    /// Returns the name for the script of the page.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Session => "session",
            Self::ApiKey => "api-key",
            Self::OperatorToken => "operator-token",
        }
    }

    /// Returns the text that names it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Nothing => "no credential",
            Self::Session => "session",
            Self::ApiKey => "API key",
            Self::OperatorToken => "operator's token",
        }
    }
}

impl ParameterRow {
    fn of(document: &DocumentValue, parameter: &DocumentValue) -> Self {
        let schema = document.resolve(parameter.at("schema"));
        Self {
            field: FieldRow::of_parameter(document, parameter),
            place: parameter.at("in").text().to_owned(),
            example: schema.at("example").text().to_owned(),
        }
    }

    /// Returns true for the id of an Application, which the page offers in a list.
    pub(super) fn is_appid(&self) -> bool {
        self.field.name == "appid"
    }
}

impl BodySection {
    fn of(document: &DocumentValue, body: &DocumentValue) -> Self {
        let mut contents = body.at("content").fields();
        let media_types = contents.by_ref().map(|(media_type, _)| media_type.to_owned()).collect();
        let first = body.at("content").fields().next();
        let first = first.map_or(body, |(_, content)| content);
        Self {
            media_types,
            fields: field_rows::of(document, first.at("schema"), ""),
            example: first.at("example").json(),
        }
    }
}

impl ResponseSection {
    fn of(document: &DocumentValue, status: &str, response: &DocumentValue) -> Self {
        let content = response.at("content").fields().next();
        let content = content.map(|(_, content)| content).filter(|_| status < "400");
        let example = content.map(|content| content.at("example"));
        let example = example.filter(|example| example.is_present());
        Self {
            status: status.to_owned(),
            description: markdown::html(response.at("description").text()),
            fields: content
                .map(|content| field_rows::of(document, content.at("schema"), ""))
                .unwrap_or_default(),
            example: example.map(DocumentValue::display).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation<'a>(page: &'a RestDocument, id: &str) -> &'a RestOperation {
        let mut all = page.subjects.iter().flat_map(|subject| &subject.operations);
        all.find(|operation| operation.id == id).unwrap_or_else(|| panic!("{id} is not shown"))
    }

    #[test]
    fn the_page_shows_every_operation_of_the_document_once() {
        let page = RestDocument::read();
        let shown = page.subjects.iter().flat_map(|subject| &subject.operations);
        let mut shown: Vec<&str> = shown.map(|operation| &*operation.id).collect();
        let text = http::document();
        let mut described: Vec<&str> = text
            .split("\"operationId\": \"")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once('"')?.0))
            .collect();
        shown.sort_unstable();
        described.sort_unstable();
        assert!(described.len() > 30, "{described:?}");
        assert_eq!(shown, described);
    }

    #[test]
    fn the_operations_that_a_new_developer_needs_come_first() {
        let page = RestDocument::read();
        let subjects: Vec<&str> = page.subjects.iter().map(|subject| &*subject.name).collect();
        assert_eq!(subjects, SUBJECTS);
        let operations = page.subjects.iter().flat_map(|subject| &subject.operations);
        let operations: Vec<&str> = operations.map(|operation| &*operation.id).collect();
        assert!(FIRST_OPERATIONS.iter().all(|id| operations.contains(id)), "{operations:?}");
        assert_eq!(operations[..3], FIRST_OPERATIONS[..3]);
        for subject in &page.subjects {
            let is_delete: Vec<bool> =
                subject.operations.iter().map(|operation| operation.method == "DELETE").collect();
            assert!(is_delete.is_sorted(), "{}", subject.name);
        }
    }

    #[test]
    fn an_operation_is_shown_with_its_credential_its_parameters_its_body_and_its_responses() {
        let page = RestDocument::read();
        let send = operation(&page, "send_notifications");
        assert_eq!((&*send.method, &*send.path), ("POST", "/apps/{appid}/notifications"));
        assert_eq!(send.credential, RequiredCredential::ApiKey);
        assert!(send.parameters[0].is_appid() && send.parameters[0].field.required);
        let body = send.body.as_ref().unwrap();
        assert!(body.example.contains("\"message\": \"Your move\""), "{}", body.example);
        assert!(body.fields.iter().any(|field| field.name == "notifications[].uid"), "{body:?}");
        let [response] = &*send.responses else { panic!("{:?}", send.responses) };
        assert!(response.fields.iter().any(|field| field.name == "queue_size"), "{response:?}");
        assert!(send.errors.iter().any(|error| error.status == "429"));
        assert!(send.can_be_tried() && !operation(&page, "show_grant_page").can_be_tried());
        assert_eq!(operation(&page, "list_grants").credential, RequiredCredential::Session);
        assert_eq!(operation(&page, "get_metrics").credential, RequiredCredential::OperatorToken);
        assert_eq!(operation(&page, "version").credential, RequiredCredential::Nothing);
        let limit = &operation(&page, "poll_presence").parameters;
        assert!(limit.iter().any(|row| row.field.kind.contains("from 1, to 500")), "{limit:?}");
    }
}
