//! Which credentials a call takes.

use serde_json::{Value, json};

use super::super::credential::{CSRF_TOKEN, SESSION_COOKIE};

/// Says of a call without credentials that it wants none, and of a write by cookie that it wants a token beside it.
pub(super) fn describe(method: &str, call: &mut Value) {
    let Some(call) = call.as_object_mut() else { return };
    let wanted = call.entry("security").or_insert_with(|| json!([]));
    if method == "get" {
        return;
    }
    for alternative in wanted.as_array_mut().into_iter().flatten() {
        if let Some(schemes) = alternative.as_object_mut()
            && schemes.contains_key(SESSION_COOKIE)
        {
            schemes.insert(CSRF_TOKEN.to_owned(), json!([]));
        }
    }
}
