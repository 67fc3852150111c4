//! The credentials that an operation requires.

use serde_json::{Value, json};

use crate::http::credential::{CSRF_TOKEN, SESSION_COOKIE};

/// Marks an operation without credentials as public, and adds the CSRF token to a write by cookie.
pub(super) fn describe(method: &str, operation: &mut Value) {
    let Some(operation) = operation.as_object_mut() else { return };
    let security = operation.entry("security").or_insert_with(|| json!([]));
    if method == "get" {
        return;
    }
    for alternative in security.as_array_mut().into_iter().flatten() {
        if let Some(schemes) = alternative.as_object_mut()
            && schemes.contains_key(SESSION_COOKIE)
        {
            schemes.insert(CSRF_TOKEN.to_owned(), json!([]));
        }
    }
}
