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
    let UserMessage { title, help } = user_message(error.errno);
    let status = StatusCode::from_u16(error.errno.http_status());
    let page = ErrorPage { layout: Layout::bare(title), help, error };
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let response = PageResponse::html(&page, status, &ContentPolicy::page());
    match error.retry_after {
        Some(seconds) => response.with_retry_after(seconds),
        None => response,
    }
}

/// The texts of an error for people.
struct UserMessage {
    /// The title, which says what happened.
    title: &'static str,
    /// The text, which says what to do.
    help: &'static str,
}

const UNKNOWN_APPLICATION: UserMessage = UserMessage {
    title: "This Application does not exist",
    help: "The link that you followed may be old or mistyped. Nothing was shared.",
};
const APPLICATION_NOT_ACTIVE: UserMessage = UserMessage {
    title: "This Application is not active",
    help: "Its developer has not activated it, or has deactivated it. Nothing was shared.",
};
const REDIRECT_NOT_ALLOWED: UserMessage = UserMessage {
    title: "This link does not lead back to the Application",
    help: "It would have sent you to a website that does not belong to the Application. \
           We did not send you there, and nothing was shared.",
};
const FORBIDDEN: UserMessage = UserMessage {
    title: "This request did not come from our page",
    help: "Another website may have sent it, or you opened the page before you last signed in. \
           Nothing was changed. Go back, reload the page and try again.",
};
const NOT_SIGNED_IN: UserMessage =
    UserMessage { title: "You are not signed in", help: "Sign in and try again." };
const SIGN_IN_FAILED: UserMessage = UserMessage {
    title: "You could not be signed in",
    help: "We could not confirm who you are. Start again from the beginning.",
};
const NOT_FOUND: UserMessage = UserMessage {
    title: "Page not found",
    help: "The page may have moved, or the link may be mistyped.",
};
const METHOD_NOT_ALLOWED: UserMessage = UserMessage {
    title: "This is not possible here",
    help: "This page does not accept what your browser sent.",
};
const TOO_MANY_REQUESTS: UserMessage =
    UserMessage { title: "Too many requests", help: "Wait a moment, then try again." };
const SIGN_IN_UNAVAILABLE: UserMessage = UserMessage {
    title: "Your sign-in service cannot be reached",
    help: "You did nothing wrong. Try again in a minute.",
};
const UNAVAILABLE: UserMessage = UserMessage {
    title: "Presence is not available at the moment",
    help: "Nothing was changed. Try again in a minute.",
};
const INTERNAL: UserMessage = UserMessage {
    title: "Something went wrong",
    help: "The problem is on our side. Try again in a minute.",
};
const DOMAIN_NOT_VERIFIED: UserMessage = UserMessage {
    title: "The domain is not verified",
    help: "The developer of the Application has to verify it first.",
};
const INVALID_REQUEST: UserMessage = UserMessage {
    title: "We could not understand this request",
    help: "Some of the information that was sent is missing or not valid.",
};

/// Returns the texts of an error.
fn user_message(errno: Errno) -> UserMessage {
    match errno {
        Errno::UnknownApplication => UNKNOWN_APPLICATION,
        Errno::ApplicationNotActive => APPLICATION_NOT_ACTIVE,
        Errno::RedirectNotAllowed => REDIRECT_NOT_ALLOWED,
        Errno::Forbidden => FORBIDDEN,
        Errno::NotAuthenticated | Errno::SessionExpired => NOT_SIGNED_IN,
        Errno::InvalidAssertion | Errno::EmailMismatch | Errno::InvalidApiKey => SIGN_IN_FAILED,
        Errno::NotFound | Errno::UnknownUid => NOT_FOUND,
        Errno::MethodNotAllowed => METHOD_NOT_ALLOWED,
        Errno::SlowDown | Errno::TooManyConnections => TOO_MANY_REQUESTS,
        Errno::IdentityUnavailable => SIGN_IN_UNAVAILABLE,
        Errno::StorageUnavailable | Errno::ShuttingDown => UNAVAILABLE,
        Errno::Internal | Errno::Unknown(_) => INTERNAL,
        Errno::DomainNotVerified => DOMAIN_NOT_VERIFIED,
        Errno::NotJson
        | Errno::MissingField
        | Errno::InvalidField
        | Errno::UnknownType
        | Errno::TooLarge
        | Errno::UnsupportedMediaType => INVALID_REQUEST,
    }
}
