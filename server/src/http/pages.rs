//! Pages and documents.

mod docs;
mod document;
mod html;

use std::sync::LazyLock;

use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use super::Subject;
use super::description::document;

use self::docs::{Asset, AssetName};
use self::document::{Document, Json, Yaml};
use self::html::Page;

pub(super) struct PagesApi;

/// The document of both channels.
pub(super) const ASYNCAPI: &str = include_str!("../../../openapi/channels.asyncapi.yaml");

static OPENAPI: LazyLock<String> = LazyLock::new(document);

#[OpenApi(tag = "Subject::Documents")]
impl PagesApi {
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
