//! The documents of the API.

mod document;

use std::sync::LazyLock;

use poem_openapi::OpenApi;

use super::ApiTag;
use super::description::document;

use self::document::{Document, Json, Yaml};

pub(super) struct DocumentsApi;

/// The document of both channels.
pub(crate) const ASYNCAPI: &str = include_str!("../../../openapi/channels.asyncapi.yaml");

static OPENAPI: LazyLock<String> = LazyLock::new(document);

#[OpenApi(tag = "ApiTag::Documents")]
impl DocumentsApi {
    /// This document.
    ///
    /// As `presence-server openapi` prints it. The page `/docs` shows it.
    #[oai(path = "/openapi.json", method = "get", operation_id = "get_openapi")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn openapi(&self) -> Document<Json> {
        Document::new(OPENAPI.clone())
    }

    /// The document of the two WebSocket channels.
    ///
    /// In AsyncAPI. The page `/docs/channels` shows it.
    #[oai(path = "/asyncapi.yaml", method = "get", operation_id = "get_asyncapi")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn asyncapi(&self) -> Document<Yaml> {
        Document::new(ASYNCAPI.to_owned())
    }
}
