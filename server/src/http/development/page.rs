//! The page of development mode: a form, and lines to paste into a shell.

use presence_identity::DevIssuer;
use serde_json::json;

use crate::http::pages::html::{Page, escape};

/// The empty page.
pub(super) fn form() -> Page {
    page("alice@dev.localhost", "")
}

/// The page with two assertions, since each is good for one thing only.
pub(super) fn filled(email: &str, origin: &str, for_session: &str, for_device: &str) -> Page {
    let session = json!({ "assertion": for_session, "scope": "account" }).to_string();
    let hello = json!({ "email": email, "assertion": for_device, "status": "online" }).to_string();
    let curl = format!(
        "curl -s -H 'Content-Type: application/json' -d {} {origin}/session",
        quoted(&session)
    );
    let socket = origin.replacen("http", "ws", 1);
    let websocat = format!("(echo {}; cat) | websocat {socket}/presence", quoted(&hello));
    let block = |title: &str, text: &str| {
        format!("<h2>{title}</h2><textarea readonly rows=\"6\">{}</textarea>", escape(text))
    };
    let blocks = [
        block("An assertion", for_session),
        block("Open a session with it", &curl),
        block("Be a device that is online", &websocat),
    ];
    page(email, &blocks.concat())
}

fn page(email: &str, rest: &str) -> Page {
    let host = DevIssuer::HOST;
    Page::new(
        "Presence: development",
        &format!(
            "<p>This server is in development mode: anybody may be anybody <code>@{host}</code>.</p>\
             <form method=\"post\" action=\"dev\"><label>E-mail <input name=\"email\" value=\"{}\"></label> \
             <button>Make assertions</button></form>{rest}",
            escape(email)
        ),
    )
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
