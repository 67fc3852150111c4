//! The page of a refusal: what the registry says, in words for people who never heard of it.

use askama::Template;
use poem::Response;
use poem::http::{HeaderValue, StatusCode, header};
use presence_protocol::{ApiError, Errno};

use super::{Policy, Shell};

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage<'a> {
    shell: Shell,
    help: &'static str,
    ko: &'a ApiError,
}

/// The page of a refusal.
pub(crate) fn refusal(ko: &ApiError) -> Response {
    let (title, help) = in_plain_words(ko.errno);
    let status = StatusCode::from_u16(ko.errno.http_status());
    let page = RefusalPage { shell: Shell::bare(title), help, ko };
    let mut response =
        super::show(&page, status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &Policy::new());
    let seconds = ko.retry_after.map(|seconds| format!("{:.0}", seconds.ceil().max(1.0)));
    if let Some(Ok(value)) = seconds.map(|seconds| HeaderValue::from_str(&seconds)) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// What happened, and what to do.
fn in_plain_words(errno: Errno) -> (&'static str, &'static str) {
    match errno {
        Errno::UnknownApplication => (
            "There is no such application",
            "The link that brought you here may be old or mistyped. Nothing was shared.",
        ),
        Errno::ApplicationNotActive => (
            "This application is not active",
            "Its developer has not started it, or has stopped it. Nothing was shared.",
        ),
        Errno::RedirectNotAllowed => (
            "This link does not lead back to the application",
            "It wanted to send you, with your new name in its hands, to a place that is not on the application's own domain. \
             You were not sent there, and nothing was shared.",
        ),
        Errno::Forbidden => (
            "This was not sent from our page",
            "The form came from somewhere else, or from a page that you opened before you last signed in. Nothing was \
             changed. Go back, load the page again and try once more.",
        ),
        Errno::NotAuthenticated | Errno::SessionExpired => {
            ("You are not signed in", "Sign in and try again.")
        }
        Errno::InvalidAssertion | Errno::EmailMismatch | Errno::InvalidApiKey => (
            "You could not be signed in",
            "What should prove who you are does not. Try again from the start.",
        ),
        Errno::NotFound | Errno::UnknownUid => {
            ("There is nothing here", "The page may have moved, or the link is mistyped.")
        }
        Errno::MethodNotAllowed => {
            ("This cannot be done here", "The page does not take what your browser sent.")
        }
        Errno::SlowDown | Errno::TooManyConnections => {
            ("Too fast", "Wait a moment, then try again.")
        }
        Errno::IdentityUnavailable => (
            "Your identity provider cannot be reached",
            "This is not your fault. Try again in a minute.",
        ),
        Errno::StorageUnavailable | Errno::ShuttingDown => {
            ("Presence cannot do this now", "Nothing was changed. Try again in a minute.")
        }
        Errno::Internal => ("Something failed on our side", "Try again in a minute."),
        Errno::DomainNotVerified => {
            ("The domain is not verified", "The application's developer has to verify it first.")
        }
        Errno::NotJson
        | Errno::MissingField
        | Errno::InvalidField
        | Errno::UnknownType
        | Errno::TooLarge
        | Errno::UnsupportedMediaType => {
            ("This could not be understood", "Something in what was sent is not as it must be.")
        }
    }
}
