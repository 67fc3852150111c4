//! The type of every response of a page handler. It always has the security headers of pages.

use std::hash::{DefaultHasher, Hash, Hasher};

use askama::Template;
use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{Body, IntoResponse, Response};
use presence_protocol::{ApiError, Errno};
use url::Url;

use crate::compression::{ContentCoding, PublicText};
use crate::cookie::{Cookie, SetCookie};

use super::content_policy::ContentPolicy;
use super::local_path::LocalPath;
use super::notice::Notice;

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";
/// The time that a browser has to load the page that shows a notice, in seconds.
const NOTICE_SECONDS: u64 = 60;

/// The time for which browsers may keep a response.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Caching {
    /// No time at all.
    NoStore,
    /// The time until the next request, which asks the server if the content has changed.
    Revalidate,
    /// No limit, since the path changes with the content.
    Immutable,
}

impl Caching {
    fn header(self) -> &'static str {
        match self {
            Self::NoStore => "no-store",
            Self::Revalidate => "no-cache",
            Self::Immutable => "public, max-age=31536000, immutable",
        }
    }
}

/// A response with a content policy, a cache policy, a referrer policy and protection against
/// frames. There is no way to make one without these headers.
pub(crate) struct PageResponse(Response);

impl PageResponse {
    /// Renders a page. It is never cached.
    pub(crate) fn html(
        template: &impl Template,
        status: StatusCode,
        policy: &ContentPolicy,
    ) -> Self {
        match template.render() {
            Ok(html) => Self::new(status, policy, Caching::NoStore).with_body(HTML, html),
            Err(error) => {
                tracing::error!(%error, "page.failed");
                let failed = Self::without_content(StatusCode::INTERNAL_SERVER_ERROR);
                failed.with_body(JSON, ApiError::from(Errno::Internal).to_json(None))
            }
        }
    }

    /// Renders a page, and names its version, which is that of its content. Who knows this version
    /// gets no content.
    pub(crate) fn html_unless_known(
        template: &impl Template,
        policy: &ContentPolicy,
        known: Option<&str>,
    ) -> Self {
        let Ok(html) = template.render() else {
            return Self::html(template, StatusCode::OK, policy);
        };
        let mut hasher = DefaultHasher::new();
        html.hash(&mut hasher);
        let version = format!("\"{:016x}\"", hasher.finish());
        if known == Some(&version) {
            return Self::not_modified(&version);
        }
        let response = Self::new(StatusCode::OK, policy, Caching::NoStore).with_body(HTML, html);
        response.with_version(&version)
    }

    /// Returns JSON for a script of a page. It is never cached.
    pub(crate) fn json(json: String) -> Self {
        Self::without_content(StatusCode::OK).with_body(JSON, json)
    }

    /// Returns a file that pages load, compressed if the client accepts that.
    pub(crate) fn file(
        media_type: &str,
        content: &PublicText,
        accepted: ContentCoding,
        caching: Caching,
    ) -> Self {
        let response = Self::new(StatusCode::OK, &ContentPolicy::nothing(), caching);
        response.with_public_text(media_type, content, accepted)
    }

    /// Returns a page that is the same for every visitor without a session, compressed if the
    /// client accepts that.
    pub(crate) fn public_html(content: &PublicText, accepted: ContentCoding) -> Self {
        let response = Self::new(StatusCode::OK, &ContentPolicy::page(), Caching::NoStore);
        response.with_public_text(HTML, content, accepted)
    }

    /// Sends the browser to another page of this server with a GET request.
    pub(crate) fn see_other(path: &LocalPath) -> Self {
        Self::without_content(StatusCode::SEE_OTHER).with_header(header::LOCATION, path.as_str())
    }

    /// Sends the browser to another page, which shows the result of an action.
    pub(crate) fn redirect(path: &LocalPath, notice: Notice) -> Self {
        let cookie = Cookie::NOTICE.set(false, notice.name(), NOTICE_SECONDS);
        Self::see_other(path).with_cookie(&cookie)
    }

    /// Removes the notice that this page shows, so that the next page does not show it again.
    pub(crate) fn without_notice(self) -> Self {
        self.with_cookie(&Cookie::NOTICE.remove(false))
    }

    /// Sends the browser to a page of an Application. The service has checked the URL.
    pub(crate) fn to_application(url: &str) -> Self {
        Self::without_content(StatusCode::SEE_OTHER)
            .with_header(header::LOCATION, url)
            .without_referrer()
    }

    /// Sends the browser to an identity provider.
    pub(crate) fn to_provider(url: &Url) -> Self {
        Self::without_content(StatusCode::SEE_OTHER).with_header(header::LOCATION, url.as_str())
    }

    /// Says that the version of a page that the client has is still the current one.
    pub(crate) fn not_modified(version: &str) -> Self {
        Self::new(StatusCode::NOT_MODIFIED, &ContentPolicy::page(), Caching::NoStore)
            .with_version(version)
    }

    /// Names the version of a page, with which a script can ask for a newer one.
    pub(crate) fn with_version(self, version: &str) -> Self {
        self.with_header(header::ETAG, version)
    }

    /// Adds a cookie.
    pub(crate) fn with_cookie(mut self, cookie: &SetCookie) -> Self {
        if let Some(value) = cookie.to_header() {
            self.0.headers_mut().append(header::SET_COOKIE, value);
        }
        self
    }

    /// Tells the client to wait a number of seconds.
    pub(crate) fn with_retry_after(self, seconds: f64) -> Self {
        self.with_header(header::RETRY_AFTER, &format!("{:.0}", seconds.ceil().max(1.0)))
    }

    /// Hides the address of this response from every other page, since the address is a secret.
    pub(crate) fn without_referrer(self) -> Self {
        self.with_header(header::REFERRER_POLICY, "no-referrer")
    }

    fn new(status: StatusCode, policy: &ContentPolicy, caching: Caching) -> Self {
        // Without any referrer, browsers would send `Origin: null` with the forms of our pages.
        Self(Response::builder().status(status).finish())
            .with_header(header::CONTENT_SECURITY_POLICY, policy.as_str())
            .with_header(header::CACHE_CONTROL, caching.header())
            .with_header(header::REFERRER_POLICY, "same-origin")
            .with_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .with_header(header::X_FRAME_OPTIONS, "DENY")
    }

    fn without_content(status: StatusCode) -> Self {
        Self::new(status, &ContentPolicy::nothing(), Caching::NoStore)
    }

    fn with_body(mut self, media_type: &str, body: impl Into<Body>) -> Self {
        self.0.set_body(body);
        self.with_header(header::CONTENT_TYPE, media_type)
    }

    fn with_public_text(
        mut self,
        media_type: &str,
        text: &PublicText,
        accepted: ContentCoding,
    ) -> Self {
        text.write_to(&mut self.0, accepted);
        self.with_header(header::CONTENT_TYPE, media_type)
    }

    fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers_mut().insert(name, value);
        }
        self
    }
}

impl IntoResponse for PageResponse {
    fn into_response(self) -> Response {
        self.0
    }
}
