//! The error types of the operations. Each declares the errors that its handler returns, and the
//! OpenAPI document is made from these declarations.

use std::marker::PhantomData;

use poem::Error;
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaResponse, MetaResponses, Registry};
use presence_protocol::{ApiError, Errno};

use super::error_response::ErrorResponse;

/// The errors that every operation can answer with: those of the router and of the server.
const COMMON: [Errno; 3] = [Errno::MethodNotAllowed, Errno::Internal, Errno::ShuttingDown];
/// The prefix of the response keys under which the declared errors reach the document.
const KEY_PREFIX: &str = "errno-";

/// The errors that a handler returns, beside those of its extractors.
pub(super) trait DeclaredErrors: Send + Sync + 'static {
    /// The entries of the registry, without the ones that every operation has.
    const ERRNOS: &'static [Errno];
}

/// Defines a type for each list of declared errors. The caller imports [`DeclaredErrors`] too.
macro_rules! declared_errors {
    ($($(#[$attribute:meta])* $visibility:vis $name:ident: [$($errno:ident),* $(,)?];)+) => {$(
        $(#[$attribute])*
        $visibility enum $name {}

        impl DeclaredErrors for $name {
            const ERRNOS: &'static [presence_protocol::Errno] =
                &[$(presence_protocol::Errno::$errno),*];
        }
    )+};
}

pub(super) use declared_errors;

declared_errors! {
    /// The errors of a handler that cannot fail by itself.
    pub(super) NoErrors: [];
    /// The errors of a handler that only reads or writes the database.
    pub(super) StorageErrors: [StorageUnavailable];
    /// The errors of a handler that works on one Application.
    pub(super) ApplicationErrors: [UnknownApplication, StorageUnavailable];
}

/// An error of a handler, which is one of those that `D` declares.
///
/// A handler whose result has another error type adds no errors to the document, and a test fails
/// for such an operation.
pub(super) struct OperationError<D> {
    response: ErrorResponse,
    declared: PhantomData<fn() -> D>,
}

impl<D: DeclaredErrors> From<ApiError> for OperationError<D> {
    fn from(error: ApiError) -> Self {
        debug_assert!(
            COMMON.contains(&error.errno) || D::ERRNOS.contains(&error.errno),
            "{} is not declared by {}",
            error.errno,
            std::any::type_name::<D>(),
        );
        Self { response: error.into(), declared: PhantomData }
    }
}

impl<D: DeclaredErrors> From<Errno> for OperationError<D> {
    fn from(errno: Errno) -> Self {
        ApiError::from(errno).into()
    }
}

impl<D> From<OperationError<D>> for Error {
    fn from(error: OperationError<D>) -> Self {
        error.response.into()
    }
}

impl<D: DeclaredErrors> ApiResponse for OperationError<D> {
    fn meta() -> MetaResponses {
        let response = |key| MetaResponse {
            description: "",
            status: None,
            status_range: Some(key),
            content: Vec::new(),
            headers: Vec::new(),
        };
        MetaResponses { responses: response_keys::<D>().map(response).collect() }
    }

    fn register(_registry: &mut Registry) {}
}

/// Returns the keys that stand for the errors of an operation among its responses.
pub(super) fn response_keys<D: DeclaredErrors>() -> impl Iterator<Item = String> {
    D::ERRNOS.iter().chain(&COMMON).map(|errno| format!("{KEY_PREFIX}{}", errno.number()))
}

/// Returns the error that a key stands for, or `None` for the key of another response.
pub(super) fn errno_of_key(key: &str) -> Option<Errno> {
    key.strip_prefix(KEY_PREFIX)?.parse().ok().and_then(Errno::from_number)
}
