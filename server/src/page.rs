//! How a page looks: the frame that all pages share, the files that it loads, notices, times, and the page of a refusal.
//!
//! Nothing here knows what a page is about: that is `web`.

mod assets;
mod moment;
mod notice;
mod policy;
mod refusal;
mod shell;

pub(crate) use self::assets::find as asset;
pub(crate) use self::moment::Moment;
pub(crate) use self::notice::{NOTICE_COOKIE, Notice};
pub(crate) use self::policy::Policy;
pub(crate) use self::refusal::refusal;
pub(crate) use self::shell::{Place, Shell, Viewer};

use askama::Template;
use poem::Response;
use poem::http::{StatusCode, header};
use presence_protocol::{ApiError, Errno};

/// A page as an answer.
pub(crate) fn show(template: &impl Template, status: StatusCode, policy: &Policy) -> Response {
    match template.render() {
        Ok(html) => Response::builder()
            .status(status)
            .content_type("text/html; charset=utf-8")
            .header(header::CONTENT_SECURITY_POLICY, policy.as_str())
            .body(html),
        Err(error) => {
            tracing::error!(%error, "page.failed");
            Response::builder()
                .status(StatusCode::INTERNAL_SERVER_ERROR)
                .content_type("application/json; charset=utf-8")
                .body(ApiError::from(Errno::Internal).to_json(None))
        }
    }
}

/// An answer that sends the browser to another page of this server.
pub(crate) fn see_other(location: &str) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, location).finish()
}
