//! Assertions of a server in development mode.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::connection::{self, ServerAddress};
use crate::cli::output::{CommandError, failure};

/// The reason why a server makes no assertion.
const NEEDS_DEVELOPMENT: &str = "only a server in development mode (--dev) makes assertions";

/// Asks the development issuer of a server for an assertion. The audience is the server itself, if
/// none is given.
pub(crate) async fn assertion(
    server: &ServerAddress,
    email: &str,
    audience: Option<String>,
) -> Result<SecretString, CommandError> {
    let mut body = json!({ "email": email });
    if let (Some(audience), Some(fields)) = (audience, body.as_object_mut()) {
        fields.insert("audience".to_owned(), audience.into());
    }
    let answer = connection::post(server, "dev/assertion", &body, NEEDS_DEVELOPMENT).await?;
    let assertion = answer.get("assertion").and_then(Value::as_str);
    assertion.map(SecretString::from).ok_or_else(|| failure("the answer has no assertion"))
}
