//! HTML pages: nothing runs in them, nothing frames them, and nothing comes from elsewhere.

use poem::http::header;
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::payload::{Html, Payload};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;

/// What a page may load and do.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// An HTML page.
pub(in crate::http) struct Page {
    html: String,
    policy: &'static str,
}

impl Page {
    /// A page; the body is HTML already.
    pub(in crate::http) fn new(title: &str, body: &str) -> Self {
        let title = escape(title);
        let html = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <meta name=\"viewport\" content=\"width=device-width\"><link rel=\"stylesheet\" href=\"/docs/page.css\"></head>\
             <body><h1>{title}</h1>{body}</body></html>\n"
        );
        Self { html, policy: POLICY }
    }

    /// A whole page of one's own, with its policy.
    pub(super) fn with_policy(html: &str, policy: &'static str) -> Self {
        Self { html: html.to_owned(), policy }
    }
}

/// A text as HTML shows it, also in an attribute.
pub(in crate::http) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_become_markup() {
        assert_eq!(
            escape("<b onclick=\"a('&')\">"),
            "&lt;b onclick=&quot;a(&#39;&amp;&#39;)&quot;&gt;"
        );
    }
}
