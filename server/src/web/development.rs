//! The page of development mode: assertions for anybody, and lines to paste into a shell. In any other mode it is not there.

use askama::Template;
use poem::http::StatusCode;
use poem::{Response, handler};
use presence_identity::DevIssuer;
use presence_protocol::{ApiError, Errno};
use serde_json::json;

use crate::context::ServerContext;
use crate::http::ErrorResponse;
use crate::page::{Place, Policy, Shell};

use super::{Form, Visitor};

/// Something to copy.
struct Block {
    title: &'static str,
    text: String,
}

#[derive(Template)]
#[template(path = "development.html")]
struct DevelopmentPage {
    shell: Shell,
    host: &'static str,
    typed: String,
    problem: Option<String>,
    blocks: Vec<Block>,
}

#[handler]
#[expect(clippy::unused_async, reason = "poem takes async handlers only")]
pub(super) async fn show(visitor: Visitor) -> poem::Result<Response> {
    if visitor.context.dev_issuer.is_none() {
        return Err(ErrorResponse::from(Errno::NotFound).into());
    }
    Ok(visitor.show(&page(&visitor, "alice@dev.localhost")))
}

#[handler]
#[expect(clippy::unused_async, reason = "poem takes async handlers only")]
pub(super) async fn fill(visitor: Visitor, form: Form) -> poem::Result<Response> {
    let email = form.fields.required("email")?;
    let (blocks, problem) = match blocks(&visitor.context, email) {
        Ok(blocks) => (blocks, None),
        Err(ko) if ko.errno == Errno::InvalidField => (Vec::new(), Some(ko.text.into_owned())),
        Err(ko) => return Err(ErrorResponse::from(ko).into()),
    };
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let page = DevelopmentPage { problem, blocks, ..page(&visitor, email) };
    Ok(visitor.show_with(&page, status, &Policy::new()))
}

fn page(visitor: &Visitor, typed: &str) -> DevelopmentPage {
    DevelopmentPage {
        shell: visitor.shell("Development mode", Place::Elsewhere),
        host: DevIssuer::HOST,
        typed: typed.to_owned(),
        problem: None,
        blocks: Vec::new(),
    }
}

/// Two assertions, since each is good for one thing only.
fn blocks(context: &ServerContext, email: &str) -> Result<Vec<Block>, ApiError> {
    let origin = context.origin();
    let for_session = crate::http::dev_assertion(context, email, &origin)?;
    let for_device = crate::http::dev_assertion(context, email, &origin)?;
    let session = json!({ "assertion": for_session, "scope": "account" }).to_string();
    let hello = json!({ "email": email, "assertion": for_device, "status": "online" }).to_string();
    let curl = format!(
        "curl -s -H 'Content-Type: application/json' -d {} {origin}/session",
        quoted(&session)
    );
    let socket = origin.replacen("http", "ws", 1);
    let websocat = format!("(echo {}; cat) | websocat {socket}/presence", quoted(&hello));
    Ok(vec![
        Block { title: "An assertion", text: for_session },
        Block { title: "Open a session with it", text: curl },
        Block { title: "Be a device that is online", text: websocat },
    ])
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_leave_its_word_of_the_shell() {
        assert_eq!(quoted("o'neil"), r"'o'\''neil'");
    }
}
