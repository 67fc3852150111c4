//! The page of development mode: assertions for any name, and commands for a shell. It does not
//! exist in any other mode.

use askama::Template;
use poem::http::StatusCode;
use presence_identity::DevIssuer;
use presence_protocol::{ApiError, Errno};
use serde_json::json;

use crate::context::ServerContext;
use crate::page::{Layout, Section};

use super::forms::AnonymousForm;
use super::page_routes::PageResult;
use super::visitor::Visitor;

/// A text to copy.
struct Snippet {
    title: &'static str,
    text: String,
}

#[derive(Template)]
#[template(path = "development.html")]
struct DevelopmentPage {
    layout: Layout,
    host: &'static str,
    email: String,
    problem: Option<String>,
    snippets: Vec<Snippet>,
}

/// Shows the page.
pub(super) async fn show(visitor: Visitor) -> PageResult {
    if visitor.context().dev_issuer.is_none() {
        return Err(Errno::NotFound.into());
    }
    Ok(visitor.show(&page(&visitor, "alice@dev.localhost")))
}

/// Makes assertions for an e-mail address.
pub(super) async fn make_assertions(form: AnonymousForm) -> PageResult {
    let visitor = form.visitor();
    let email = form.fields().required("email")?;
    let (snippets, problem) = match snippets(visitor.context(), email) {
        Ok(snippets) => (snippets, None),
        Err(error) if error.errno == Errno::InvalidField => {
            (Vec::new(), Some(format!("Enter a name of your choice, then @{}.", DevIssuer::HOST)))
        }
        Err(error) => return Err(error.into()),
    };
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let page = DevelopmentPage { problem, snippets, ..page(visitor, email) };
    Ok(visitor.show_problem(&page, status))
}

fn page(visitor: &Visitor, email: &str) -> DevelopmentPage {
    DevelopmentPage {
        layout: visitor.layout("Development mode", Section::Unlisted),
        host: DevIssuer::HOST,
        email: email.to_owned(),
        problem: None,
        snippets: Vec::new(),
    }
}

/// Makes an assertion, and another one for the session, since each can be used only once.
fn snippets(context: &ServerContext, email: &str) -> Result<Vec<Snippet>, ApiError> {
    let origin = context.origin();
    let assertion = crate::http::dev_assertion(context, email, &origin)?;
    let for_session = crate::http::dev_assertion(context, email, &origin)?;
    let session = json!({ "assertion": for_session, "scope": "account" }).to_string();
    let curl = format!(
        "curl -s -H 'Content-Type: application/json' -d {} {origin}/session",
        shell_word(&session)
    );
    let device = format!("presence-server device --server {origin} --email {}", shell_word(email));
    Ok(vec![
        Snippet { title: "Assertion", text: assertion },
        Snippet { title: "Command that opens a session", text: curl },
        Snippet { title: "Command that connects an online device", text: device },
    ])
}

/// Quotes a text as one word of a shell.
fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_one_word_of_the_shell() {
        assert_eq!(shell_word("o'neil"), r"'o'\''neil'");
    }
}
