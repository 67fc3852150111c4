//! The API documents: the REST API with a form to try each call, both channels, the errors, and
//! quickstarts. All of them come from this server.

mod channels;
mod document_value;
mod field_rows;
mod markdown;
mod operations;
mod quickstarts;

use std::sync::LazyLock;

use askama::Template;

use crate::compression::ContentCoding;
use crate::http;
use crate::page::{Layout, PublicPage, Section};

use self::channels::ChannelsDocument;
use self::operations::RestDocument;
use self::quickstarts::{QUICKSTARTS, Quickstart};
use super::page_routes::PageResult;
use super::visitor::Visitor;

#[derive(Template)]
#[template(path = "docs/rest.html")]
struct RestPage {
    layout: Layout,
    current: DocumentTab,
    document: &'static RestDocument,
}

#[derive(Template)]
#[template(path = "docs/channels.html")]
struct ChannelsPage {
    layout: Layout,
    current: DocumentTab,
    document: &'static ChannelsDocument,
}

#[derive(Template)]
#[template(path = "docs/errors.html")]
struct ErrorsPage {
    layout: Layout,
    current: DocumentTab,
    text: &'static str,
}

#[derive(Template)]
#[template(path = "docs/quickstarts.html")]
struct QuickstartsPage {
    layout: Layout,
    current: DocumentTab,
    quickstarts: &'static [Quickstart],
}

/// A document, as an entry of the tabs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DocumentTab {
    Quickstarts,
    Rest,
    Channels,
    Errors,
}

impl DocumentTab {
    /// All tabs, each with its path and its label.
    const ALL: [(Self, &str, &str); 4] = [
        (Self::Rest, "/docs", "REST API"),
        (Self::Channels, "/docs/channels", "Channels"),
        (Self::Errors, "/docs/errors", "Errors"),
        (Self::Quickstarts, "/docs/quickstarts", "Quickstarts"),
    ];
}

/// Shows the REST API.
pub(super) async fn show_rest(visitor: Visitor, accepted: ContentCoding) -> PageResult {
    static DOCUMENT: LazyLock<RestDocument> = LazyLock::new(RestDocument::read);
    static PAGE: PublicPage = PublicPage::new();
    let layout = visitor.layout("The REST API", Section::Unlisted);
    let page = RestPage { layout, current: DocumentTab::Rest, document: &DOCUMENT };
    Ok(visitor.show_public(&page, &PAGE, accepted))
}

/// Shows both channels.
pub(super) async fn show_channels(visitor: Visitor, accepted: ContentCoding) -> PageResult {
    static DOCUMENT: LazyLock<ChannelsDocument> = LazyLock::new(ChannelsDocument::read);
    static PAGE: PublicPage = PublicPage::new();
    let layout = visitor.layout("The channels", Section::Unlisted);
    let page = ChannelsPage { layout, current: DocumentTab::Channels, document: &DOCUMENT };
    Ok(visitor.show_public(&page, &PAGE, accepted))
}

/// Shows the errors and the close codes.
pub(super) async fn show_errors(visitor: Visitor, accepted: ContentCoding) -> PageResult {
    static TEXT: LazyLock<String> = LazyLock::new(|| markdown::html(&http::errors_markdown()));
    static PAGE: PublicPage = PublicPage::new();
    let layout = visitor.layout("Errors and close codes", Section::Unlisted);
    let page = ErrorsPage { layout, current: DocumentTab::Errors, text: &TEXT };
    Ok(visitor.show_public(&page, &PAGE, accepted))
}

/// Shows a program for each language.
pub(super) async fn show_quickstarts(visitor: Visitor, accepted: ContentCoding) -> PageResult {
    static PAGE: PublicPage = PublicPage::new();
    let layout = visitor.layout("Quickstarts", Section::Unlisted);
    let page =
        QuickstartsPage { layout, current: DocumentTab::Quickstarts, quickstarts: QUICKSTARTS };
    Ok(visitor.show_public(&page, &PAGE, accepted))
}
