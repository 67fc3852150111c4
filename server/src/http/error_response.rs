//! Errors as HTTP responses: every error is sent as the same error object.

use poem::error::{MethodNotAllowedError, NotFoundError, ResponseError};
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Error, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::error::{ParseParamError, ParsePathError};
use poem_openapi::registry::{MetaResponses, Registry};
use presence_protocol::{ApiError, Errno};

use crate::page;

/// An error as a response.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct ErrorResponse(ApiError);

impl ErrorResponse {
    /// Converts an error of the router or of an extractor.
    pub(crate) fn of(error: Error) -> Self {
        match error.downcast::<Self>() {
            Ok(response) => response,
            Err(error) => from_router(&error).into(),
        }
    }

    /// Returns the error.
    pub(crate) fn api_error(&self) -> &ApiError {
        &self.0
    }

    /// Returns the response to a browser that asks for a page.
    pub(super) fn page(&self) -> Response {
        crate::meter::count_error(self.0.errno);
        page::error_page(&self.0).into_response()
    }

    /// Returns the response to a client of the API.
    pub(super) fn response(&self) -> Response {
        let error = &self.0;
        crate::meter::count_error(error.errno);
        let mut response = Response::builder()
            .status(self.status())
            .content_type("application/json; charset=utf-8")
            .body(error.to_json(None));
        if let Some(seconds) = error.retry_after {
            let seconds = format!("{:.0}", seconds.ceil().max(1.0));
            if let Ok(value) = HeaderValue::from_str(&seconds) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
        }
        let help = format!("</docs/errors#errno-{}>; rel=\"help\"", error.errno.number());
        if let Ok(value) = HeaderValue::from_str(&help) {
            response.headers_mut().insert(header::LINK, value);
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<ApiError> for ErrorResponse {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl From<Errno> for ErrorResponse {
    fn from(errno: Errno) -> Self {
        Self(errno.into())
    }
}

impl ResponseError for ErrorResponse {
    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.errno.http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn as_response(&self) -> Response {
        self.response()
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        self.response()
    }
}

impl ApiResponse for ErrorResponse {
    fn meta() -> MetaResponses {
        MetaResponses { responses: Vec::new() }
    }

    fn register(_registry: &mut Registry) {}
}

fn from_router(error: &Error) -> ApiError {
    if let Some(error) = error.downcast_ref::<ParseParamError>() {
        return ApiError::detailed(Errno::InvalidField, error.name);
    }
    if error.is::<NotFoundError>() || error.is::<ParsePathError>() {
        return Errno::NotFound.into();
    }
    if error.is::<MethodNotAllowedError>() {
        return Errno::MethodNotAllowed.into();
    }
    let errno = match error.status().as_u16() {
        400 => Errno::InvalidField,
        401 => Errno::NotAuthenticated,
        403 => Errno::Forbidden,
        404 => Errno::NotFound,
        405 => Errno::MethodNotAllowed,
        413 => Errno::TooLarge,
        415 => Errno::UnsupportedMediaType,
        _ => {
            tracing::error!(%error, "rest.failed");
            Errno::Internal
        }
    };
    errno.into()
}
