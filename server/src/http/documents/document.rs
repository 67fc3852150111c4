//! The responses that serve documents, each with its own media type.

use std::marker::PhantomData;

use poem::http::header;
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{
    MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};

use crate::compression::{ContentCoding, PublicText};

/// The format of a document.
pub(super) trait DocumentFormat: Send {
    /// The media type.
    const MEDIA_TYPE: &'static str;
}

/// The format JSON.
pub(super) struct Json;
/// The format YAML.
pub(super) struct Yaml;

impl DocumentFormat for Json {
    const MEDIA_TYPE: &'static str = "application/json; charset=utf-8";
}

impl DocumentFormat for Yaml {
    const MEDIA_TYPE: &'static str = "application/yaml; charset=utf-8";
}

/// The response that serves a document, compressed if the client accepts that.
pub(super) struct Document<N> {
    text: &'static PublicText,
    accepted: ContentCoding,
    format: PhantomData<N>,
}

impl<N> Document<N> {
    pub(super) fn new(text: &'static PublicText, accepted: ContentCoding) -> Self {
        Self { text, accepted, format: PhantomData }
    }
}

impl<N: DocumentFormat> IntoResponse for Document<N> {
    fn into_response(self) -> Response {
        let response = Response::builder().content_type(N::MEDIA_TYPE);
        let mut response = response.header(header::CACHE_CONTROL, "no-cache").finish();
        self.text.write_to(&mut response, self.accepted);
        response
    }
}

impl<N: DocumentFormat> ApiResponse for Document<N> {
    fn meta() -> MetaResponses {
        let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new("object")));
        let document = MetaResponse {
            description: "The document.",
            status: Some(200),
            status_range: None,
            content: vec![MetaMediaType { content_type: N::MEDIA_TYPE, schema }],
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![document] }
    }

    fn register(_registry: &mut Registry) {}
}
