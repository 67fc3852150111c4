//! The errors of settings, each as one line that names the setting.

use std::path::PathBuf;

/// An error of the settings; the text is one line.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The settings file cannot be read.
    #[error("the settings file {} {}", .0.display(), .1)]
    NoFile(PathBuf, &'static str),
    /// A setting is unknown or has the wrong type.
    #[error("{0}")]
    Unreadable(String),
    /// An OpenID Connect issuer is described wrongly.
    #[error("oidc_issuers: {0}")]
    Issuer(String),
    /// A setting has a value that is not allowed.
    #[error("{name} {problem}")]
    Invalid {
        /// The name of the setting.
        name: &'static str,
        /// The end of the sentence that begins with the name.
        problem: String,
    },
}

/// Makes an error of a value that is not allowed.
pub(super) fn invalid<T>(
    name: &'static str,
    problem: impl Into<String>,
) -> Result<T, SettingsError> {
    Err(SettingsError::Invalid { name, problem: problem.into() })
}
