//! The page that shows the OpenAPI document. Its script and style are those that poem-openapi carries, taken out of its page so
//! that no script need be inline.

use std::sync::LazyLock;

use bytes::Bytes;
use poem::http::header;
use poem::{IntoResponse, Response};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Enum};

use super::html::Page;

/// The viewer sets styles of its own, and shows pictures that it carries.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const PAGE: &str = include_str!("docs.html");
const START: &str = include_str!("docs.js");

/// The script and the style of the viewer.
static VIEWER: LazyLock<(Bytes, Bytes)> = LazyLock::new(|| {
    let html = crate::http::service().swagger_ui_html();
    let part = |tag: &str| {
        let (_, rest) = html.split_once(&format!("<{tag} charset=\"UTF-8\">"))?;
        let (text, _) = rest.split_once(&format!("</{tag}>"))?;
        Some(Bytes::from(text.to_owned()))
    };
    (part("script").unwrap_or_default(), part("style").unwrap_or_default())
});

/// The page.
pub(super) fn page() -> Page {
    Page::with_policy(PAGE, POLICY)
}

/// The files that pages need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum AssetName {
    /// The script of the viewer.
    #[oai(rename = "viewer.js")]
    ViewerScript,
    /// Its style.
    #[oai(rename = "viewer.css")]
    ViewerStyle,
    /// What starts it.
    #[oai(rename = "start.js")]
    Start,
}

/// A file of the page.
pub(super) fn asset(name: AssetName) -> Asset {
    let (media_type, content) = match name {
        AssetName::ViewerScript => ("text/javascript; charset=utf-8", VIEWER.0.clone()),
        AssetName::ViewerStyle => ("text/css; charset=utf-8", VIEWER.1.clone()),
        AssetName::Start => {
            ("text/javascript; charset=utf-8", Bytes::from_static(START.as_bytes()))
        }
    };
    Asset { media_type, content }
}

/// A script or a style.
pub(super) struct Asset {
    media_type: &'static str,
    content: Bytes,
}

impl IntoResponse for Asset {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type(self.media_type)
            .header(header::CACHE_CONTROL, "public, max-age=3600")
            .body(self.content)
    }
}

impl ApiResponse for Asset {
    fn meta() -> MetaResponses {
        let content = ["text/javascript", "text/css"]
            .map(|content_type| MetaMediaType { content_type, schema: String::schema_ref() });
        let file = MetaResponse {
            description: "The file.",
            status: Some(200),
            status_range: None,
            content: content.into(),
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![file] }
    }

    fn register(_registry: &mut Registry) {}
}
