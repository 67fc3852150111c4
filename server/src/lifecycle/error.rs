//! The reasons why the server cannot start, as one line of text.

use std::error::Error;
use std::fmt::Display;
use std::iter;

use presence_service::StoreError;

/// The reason why the server could not start; the text is one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub(super) String);

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self(with_causes(&error))
    }
}

/// Makes a start error of any other error, without its causes.
pub(super) fn start_error(error: impl Display) -> StartError {
    StartError(error.to_string())
}

/// Returns the text of an error with those of its causes: "cannot open: disk full".
pub(crate) fn with_causes(error: &dyn Error) -> String {
    iter::successors(Some(error), |&error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
