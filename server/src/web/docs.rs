//! The API documents to read: the REST API with a console to try it, both channels, the errors. Everything comes from this server.

mod channels;
mod document;
mod fields;
mod markdown;

use std::sync::LazyLock;

use askama::Template;
use bytes::Bytes;
use poem::http::{StatusCode, header};
use poem::web::Path;
use poem::{Response, handler};
use presence_protocol::Errno;

use crate::http::{self, ErrorResponse};
use crate::page::{Place, Policy, Shell};

use self::channels::Channels;
use super::Visitor;

#[derive(Template)]
#[template(path = "docs.html")]
struct RestPage {
    shell: Shell,
    here: Part,
}

#[derive(Template)]
#[template(path = "docs_channels.html")]
struct ChannelsPage {
    shell: Shell,
    here: Part,
    document: &'static Channels,
}

#[derive(Template)]
#[template(path = "docs_errors.html")]
struct ErrorsPage {
    shell: Shell,
    here: Part,
    text: &'static str,
}

/// A part of the documents.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Rest,
    Channels,
    Errors,
}

impl Part {
    /// All parts, each with where it is and what it is called.
    const ALL: [(Self, &str, &str); 3] = [
        (Self::Rest, "/docs", "REST API"),
        (Self::Channels, "/docs/channels", "Channels"),
        (Self::Errors, "/docs/errors", "Errors"),
    ];
}

#[handler]
#[expect(clippy::unused_async, reason = "poem takes async handlers only")]
pub(super) async fn show_rest(visitor: Visitor) -> Response {
    let shell = visitor.shell("The REST API", Place::Elsewhere);
    let page = RestPage { shell, here: Part::Rest };
    visitor.show_with(&page, StatusCode::OK, &Policy::of_viewer())
}

#[handler]
#[expect(clippy::unused_async, reason = "poem takes async handlers only")]
pub(super) async fn show_channels(visitor: Visitor) -> Response {
    static DOCUMENT: LazyLock<Channels> = LazyLock::new(Channels::read);
    let shell = visitor.shell("The channels", Place::Elsewhere);
    visitor.show(&ChannelsPage { shell, here: Part::Channels, document: &DOCUMENT })
}

#[handler]
#[expect(clippy::unused_async, reason = "poem takes async handlers only")]
pub(super) async fn show_errors(visitor: Visitor) -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| markdown::html(&http::errors_markdown()));
    let shell = visitor.shell("Errors and close codes", Place::Elsewhere);
    visitor.show(&ErrorsPage { shell, here: Part::Errors, text: &TEXT })
}

/// The script and the style of the viewer. They are those that poem-openapi carries, taken out of its page so that none need be
/// inline.
static VIEWER: LazyLock<[(&str, &str, Bytes); 2]> = LazyLock::new(|| {
    let html = http::swagger_ui_page();
    let part = |tag: &str| {
        let (_, rest) = html.split_once(&format!("<{tag} charset=\"UTF-8\">"))?;
        let (text, _) = rest.split_once(&format!("</{tag}>"))?;
        Some(Bytes::from(text.to_owned()))
    };
    [
        ("viewer.js", "text/javascript; charset=utf-8", part("script").unwrap_or_default()),
        ("viewer.css", "text/css; charset=utf-8", part("style").unwrap_or_default()),
    ]
});

#[handler]
#[expect(clippy::unused_async, reason = "poem takes async handlers only")]
pub(super) async fn viewer_file(Path(name): Path<String>) -> poem::Result<Response> {
    let found = VIEWER.iter().find(|(known, ..)| *known == name);
    let (_, media_type, content) = found.ok_or(ErrorResponse::from(Errno::NotFound))?;
    Ok(Response::builder()
        .content_type(media_type)
        .header(header::CACHE_CONTROL, "public, max-age=3600")
        .body(content.clone()))
}
