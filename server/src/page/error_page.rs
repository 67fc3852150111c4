//! The page of an error, in words for people who do not know the error registry.

use askama::Template;
use poem::http::StatusCode;
use presence_protocol::{ApiError, Errno};

use super::content_policy::ContentPolicy;
use super::layout::Layout;
use super::response::PageResponse;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    layout: Layout,
    help: &'static str,
    error: &'a ApiError,
}

/// Returns the page of an error.
pub(crate) fn error_page(error: &ApiError) -> PageResponse {
    let (title, help) = user_message(error.errno);
    let status = StatusCode::from_u16(error.errno.http_status());
    let page = ErrorPage { layout: Layout::bare(title), help, error };
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let response = PageResponse::html(&page, status, &ContentPolicy::page());
    match error.retry_after {
        Some(seconds) => response.with_retry_after(seconds),
        None => response,
    }
}

/// Returns a title that says what happened, and a text that says what to do.
fn user_message(errno: Errno) -> (&'static str, &'static str) {
    match errno {
        Errno::UnknownApplication => (
            "This application does not exist",
            "The link that you followed may be old or mistyped. Nothing was shared.",
        ),
        Errno::ApplicationNotActive => (
            "This application is not active",
            "Its developer has not started it, or has stopped it. Nothing was shared.",
        ),
        Errno::RedirectNotAllowed => (
            "This link does not lead back to the application",
            "It would have sent you to a website that does not belong to the application. \
             We did not send you there, and nothing was shared.",
        ),
        Errno::Forbidden => (
            "This request did not come from our page",
            "Another website may have sent it, or you opened the page before you last signed in. \
             Nothing was changed. Go back, reload the page and try again.",
        ),
        Errno::NotAuthenticated | Errno::SessionExpired => {
            ("You are not signed in", "Sign in and try again.")
        }
        Errno::InvalidAssertion | Errno::EmailMismatch | Errno::InvalidApiKey => (
            "You could not be signed in",
            "We could not confirm who you are. Start again from the beginning.",
        ),
        Errno::NotFound | Errno::UnknownUid => {
            ("Page not found", "The page may have moved, or the link may be mistyped.")
        }
        Errno::MethodNotAllowed => {
            ("This is not possible here", "This page does not accept what your browser sent.")
        }
        Errno::SlowDown | Errno::TooManyConnections => {
            ("Too many requests", "Wait a moment, then try again.")
        }
        Errno::IdentityUnavailable => (
            "Your sign-in service cannot be reached",
            "You did nothing wrong. Try again in a minute.",
        ),
        Errno::StorageUnavailable | Errno::ShuttingDown => (
            "Presence is not available at the moment",
            "Nothing was changed. Try again in a minute.",
        ),
        Errno::Internal => {
            ("Something went wrong", "The problem is on our side. Try again in a minute.")
        }
        Errno::DomainNotVerified => (
            "The domain is not verified",
            "The developer of the application has to verify it first.",
        ),
        Errno::NotJson
        | Errno::MissingField
        | Errno::InvalidField
        | Errno::UnknownType
        | Errno::TooLarge
        | Errno::UnsupportedMediaType => (
            "We could not understand this request",
            "Some of the information that was sent is missing or not valid.",
        ),
    }
}
