//! The API documents: the REST API with a console to try it, both channels, and the errors. All of
//! them come from this server.

mod channels;
mod fields;
mod markdown;
mod yaml;

use std::sync::LazyLock;

use askama::Template;
use bytes::Bytes;
use poem::http::StatusCode;
use poem::web::Path;
use presence_protocol::Errno;

use crate::http;
use crate::page::{Caching, ContentPolicy, Layout, PageResponse, Section};

use self::channels::ChannelsDocument;
use super::page_routes::PageResult;
use super::request_parts::Public;
use super::visitor::Visitor;

#[derive(Template)]
#[template(path = "docs.html")]
struct RestPage {
    layout: Layout,
    current: DocumentTab,
}

#[derive(Template)]
#[template(path = "docs_channels.html")]
struct ChannelsPage {
    layout: Layout,
    current: DocumentTab,
    document: &'static ChannelsDocument,
}

#[derive(Template)]
#[template(path = "docs_errors.html")]
struct ErrorsPage {
    layout: Layout,
    current: DocumentTab,
    text: &'static str,
}

/// A document, as an entry of the tabs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DocumentTab {
    Rest,
    Channels,
    Errors,
}

impl DocumentTab {
    /// All tabs, each with its path and its label.
    const ALL: [(Self, &str, &str); 3] = [
        (Self::Rest, "/docs", "REST API"),
        (Self::Channels, "/docs/channels", "Channels"),
        (Self::Errors, "/docs/errors", "Errors"),
    ];
}

/// Shows the REST API.
pub(super) async fn show_rest(visitor: Visitor) -> PageResult {
    let layout = visitor.layout("The REST API", Section::Unlisted);
    let page = RestPage { layout, current: DocumentTab::Rest };
    Ok(visitor.show_with(&page, StatusCode::OK, &ContentPolicy::api_viewer()))
}

/// Shows both channels.
pub(super) async fn show_channels(visitor: Visitor) -> PageResult {
    static DOCUMENT: LazyLock<ChannelsDocument> = LazyLock::new(ChannelsDocument::read);
    let layout = visitor.layout("The channels", Section::Unlisted);
    let page = ChannelsPage { layout, current: DocumentTab::Channels, document: &DOCUMENT };
    Ok(visitor.show(&page))
}

/// Shows the errors and the close codes.
pub(super) async fn show_errors(visitor: Visitor) -> PageResult {
    static TEXT: LazyLock<String> = LazyLock::new(|| markdown::html(&http::errors_markdown()));
    let layout = visitor.layout("Errors and close codes", Section::Unlisted);
    Ok(visitor.show(&ErrorsPage { layout, current: DocumentTab::Errors, text: &TEXT }))
}

/// The script and the style of the viewer, taken out of the page of poem-openapi, so that neither
/// must be inline.
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

/// Returns a file of the viewer.
pub(super) async fn viewer_file(_: Public, Path(name): Path<String>) -> PageResult {
    let found = VIEWER.iter().find(|(known, ..)| *known == name);
    let (_, media_type, content) = found.ok_or(Errno::NotFound)?;
    Ok(PageResponse::file(media_type, content.clone(), Caching::Hour))
}
