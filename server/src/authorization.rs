//! The bearer credential of a request.

use poem::http::{HeaderMap, header};

/// The name of the scheme. Names of schemes are compared without regard to case (RFC 9110, 11.1).
const BEARER: &str = "bearer";

/// Returns the first bearer credential of a request. Credentials of another scheme, such as those
/// of a proxy in front of the server, are ignored.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get_all(header::AUTHORIZATION).iter().find_map(|value| {
        let (scheme, credential) = value.to_str().ok()?.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case(BEARER).then(|| credential.trim())
    })
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn found(values: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        bearer(&headers).map(str::to_owned)
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case_and_no_other() {
        for value in ["Bearer key", "bearer key", "BEARER  key ", " Bearer key"] {
            assert_eq!(found(&[value]).as_deref(), Some("key"), "{value}");
        }
        for value in ["Basic dXNlcjpwYXNz", "key", "Bearer", "Bearerkey", "Token key", ""] {
            assert_eq!(found(&[value]), None, "{value}");
        }
        assert_eq!(found(&["Basic dXNlcjpwYXNz", "bearer key"]).as_deref(), Some("key"));
    }
}
