//! The operations that serve the documents of the API.

mod document;

use std::sync::{LazyLock, OnceLock};

use poem::{FromRequest, Request, RequestBody};
use poem_openapi::OpenApi;
use presence_protocol::Errno;

use crate::compression::{ContentCoding, PublicText};

use super::error_response::ErrorResponse;
use super::operation_error::{NoErrors, OperationError};
use super::tag::ApiTag;

use self::document::{Document, Json, Yaml};

pub(super) struct DocumentsApi;

/// The AsyncAPI document of both channels.
pub(crate) const ASYNCAPI: &str = include_str!("../../../openapi/channels.asyncapi.yaml");

/// The function that makes the OpenAPI document. The routes hand it in, since the document also
/// describes the operations of this module.
#[derive(Clone, Copy)]
pub(super) struct OpenApiText(pub(super) fn() -> String);

impl OpenApiText {
    /// Returns the document. It is made once.
    fn get(self) -> &'static PublicText {
        static TEXT: OnceLock<PublicText> = OnceLock::new();
        TEXT.get_or_init(|| PublicText::new(self.0()))
    }
}

impl<'a> FromRequest<'a> for OpenApiText {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let text = request.data::<Self>().copied();
        text.ok_or_else(|| ErrorResponse::from(Errno::Internal).into())
    }
}

#[OpenApi(tag = "ApiTag::Documents")]
impl DocumentsApi {
    /// Get this document.
    ///
    /// The text is the one that `presence-server openapi` prints. The page `/docs` shows it.
    #[oai(path = "/openapi.json", method = "get", operation_id = "get_openapi")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn openapi(
        &self,
        text: OpenApiText,
        accepted: ContentCoding,
    ) -> Result<Document<Json>, OperationError<NoErrors>> {
        Ok(Document::new(text.get(), accepted))
    }

    /// Get the document of the two WebSocket channels.
    ///
    /// The document is in AsyncAPI. The page `/docs/channels` shows it.
    #[oai(path = "/asyncapi.yaml", method = "get", operation_id = "get_asyncapi")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn asyncapi(
        &self,
        accepted: ContentCoding,
    ) -> Result<Document<Yaml>, OperationError<NoErrors>> {
        static TEXT: LazyLock<PublicText> = LazyLock::new(|| PublicText::new(ASYNCAPI));
        Ok(Document::new(&TEXT, accepted))
    }
}
