//! A page of the API documents.

use poem::http::header;
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::payload::{Html, Payload};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;

/// An HTML page.
pub(super) struct Page {
    html: String,
    policy: &'static str,
}

impl Page {
    /// A whole page of one's own, with its policy.
    pub(super) fn with_policy(html: &str, policy: &'static str) -> Self {
        Self { html: html.to_owned(), policy }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type(Html::<String>::CONTENT_TYPE)
            .header(header::CONTENT_SECURITY_POLICY, self.policy)
            .body(self.html)
    }
}

impl ApiResponse for Page {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType {
            content_type: Html::<String>::CONTENT_TYPE,
            schema: String::schema_ref(),
        }];
        let page = MetaResponse {
            description: "The page.",
            status: Some(200),
            status_range: None,
            content,
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![page] }
    }

    fn register(_registry: &mut Registry) {}
}
