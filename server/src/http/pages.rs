//! Pages and documents.

pub(super) mod html;

mod docs;
mod document;

use std::sync::LazyLock;

use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use super::Subject;
use super::description::document;
use super::site::Site;

use self::docs::{Asset, AssetName};
use self::document::{Document, Json, Yaml};
use self::html::Page;

pub(super) struct PagesApi;

/// The document of both channels.
pub(super) const ASYNCAPI: &str = include_str!("../../../openapi/channels.asyncapi.yaml");

static OPENAPI: LazyLock<String> = LazyLock::new(document);

#[OpenApi(tag = "Subject::Documents")]
impl PagesApi {
    /// What this is.
    #[oai(path = "/", method = "get", operation_id = "show_index")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn index(&self, site: Site) -> Page {
        let development = site.context.dev_issuer.is_some();
        Page::new("Presence", &index(development))
    }

    /// Browse this document.
    ///
    /// Everything that the page needs comes from this server.
    #[oai(path = "/docs", method = "get", operation_id = "show_docs")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn docs(&self) -> Page {
        docs::page()
    }

    /// A part of the page `/docs`.
    #[oai(path = "/docs/:file", method = "get", operation_id = "get_docs_asset")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn asset(&self, file: Path<AssetName>) -> Asset {
        docs::asset(file.0)
    }

    /// This document.
    #[oai(path = "/openapi.json", method = "get", operation_id = "get_openapi")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn openapi(&self) -> Document<Json> {
        Document::new(OPENAPI.clone())
    }

    /// The document of the two WebSocket channels.
    #[oai(path = "/asyncapi.yaml", method = "get", operation_id = "get_asyncapi")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn asyncapi(&self) -> Document<Yaml> {
        Document::new(ASYNCAPI.to_owned())
    }
}

fn index(development: bool) -> String {
    let development = if development {
        "<li><a href=\"dev\">Development mode: make an assertion</a></li>"
    } else {
        ""
    };
    format!(
        "<p>Applications learn whether people can be reached, as far as each person allows it. This is the server: devices \
         report to it, and the servers of Applications read from it.</p>\
         <ul><li><a href=\"docs\">The REST API</a> (<a href=\"openapi.json\">OpenAPI</a>)</li>\
         <li><a href=\"asyncapi.yaml\">The two WebSocket channels</a> (AsyncAPI)</li>\
         <li><a href=\"__heartbeat__\">Health</a>, <a href=\"__version__\">version</a></li>{development}</ul>"
    )
}
