//! The credentials of the commands that play a client. They are no arguments, since all users of a
//! machine can read arguments.

use std::path::Path;

use secrecy::SecretString;

/// Returns a credential from a file or, without one, from an environment variable.
///
/// # Errors
///
/// One line, if the file cannot be read or is empty.
pub(crate) fn client_secret(
    file: Option<&Path>,
    variable: &str,
) -> Result<Option<SecretString>, String> {
    let Some(file) = file else { return Ok(from_environment(variable)) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    let secret = secret(&text);
    secret.map(Some).ok_or_else(|| format!("{} is empty", file.display()))
}

#[expect(clippy::disallowed_methods, reason = "the settings read the environment")]
fn from_environment(variable: &str) -> Option<SecretString> {
    std::env::var(variable).ok().as_deref().and_then(secret)
}

/// Returns a text without the line break at its end, unless nothing is left.
fn secret(text: &str) -> Option<SecretString> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.into())
}
