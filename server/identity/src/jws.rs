//! A strict parser of compact JWS (RFC 7515): each token has exactly one accepted spelling (rules 5
//! to 7).
//!
//! It only splits and decodes: it verifies no signature and judges no claim. All formats that
//! consist of such tokens share it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::identity::Reason;
use crate::strict_json;

/// A parsed token: `header.payload.signature`.
pub(crate) struct Jws {
    /// The whole header.
    pub(crate) header: Map<String, Value>,
    /// The signed text and its signature.
    pub(crate) signed: SignedMessage,
    /// The claims, not verified.
    pub(crate) payload: Map<String, Value>,
}

/// A signed text with its signature and the algorithm that the header names.
pub(crate) struct SignedMessage {
    /// The `alg` of the header. It is compared with the key, and never selects the algorithm.
    pub(crate) alg: String,
    /// The signing input `header.payload`, as received.
    pub(crate) input: String,
    /// The decoded signature.
    pub(crate) signature: Vec<u8>,
}

impl Jws {
    /// Parses `text`, with JSON that is nested at most `depth` levels deep.
    pub(crate) fn parse(text: &str, depth: usize) -> Result<Self, Reason> {
        let mut segments = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(Reason::Malformed);
        };
        let input = format!("{header}.{payload}");
        let header = object(header, depth)?;
        if header.contains_key("crit") {
            return Err(Reason::Malformed);
        }
        let alg = match header.get("alg") {
            Some(Value::String(alg)) => alg.clone(),
            Some(_) => return Err(Reason::Malformed),
            None => return Err(Reason::MissingField),
        };
        let payload = object(payload, depth)?;
        let signature = base64url(signature).ok_or(Reason::Malformed)?;
        Ok(Self { header, signed: SignedMessage { alg, input, signature }, payload })
    }
}

fn object(segment: &str, depth: usize) -> Result<Map<String, Value>, Reason> {
    let text = base64url(segment).ok_or(Reason::Malformed)?;
    strict_json::object(&text, depth).ok_or(Reason::Malformed)
}

/// Decodes non-empty canonical base64url: without padding, with spare bits of zero.
pub(crate) fn base64url(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_parsed_into_its_parts() {
        let token = token(r#"{"alg":"RS256"}"#, r#"{"exp":1}"#);
        let jws = Jws::parse(&token, 128).unwrap();
        assert_eq!(jws.signed.alg, "RS256");
        assert_eq!(jws.signed.signature, b"sig");
        assert_eq!(format!("{}.c2ln", jws.signed.input), token);
        assert_eq!(jws.payload.get("exp"), Some(&Value::from(1)));
    }

    /// Holds rule 7.
    #[test]
    fn a_header_must_name_its_algorithm_and_no_extension() {
        for (header, reason) in [
            ("{}", Reason::MissingField),
            (r#"{"alg":1}"#, Reason::Malformed),
            (r#"{"alg":"RS256","crit":[]}"#, Reason::Malformed),
        ] {
            assert_eq!(Jws::parse(&token(header, "{}"), 128).err(), Some(reason), "{header}");
        }
    }

    /// Holds rule 5.
    #[test]
    fn a_token_has_exactly_three_segments_that_are_not_empty() {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
        for text in [
            "",
            ".",
            "..",
            &format!("{header}.e30"),
            &format!("{header}.e30."),
            &format!("{header}.e30.c2ln.c2ln"),
        ] {
            assert_eq!(Jws::parse(text, 128).err(), Some(Reason::Malformed), "{text}");
        }
    }

    /// Holds rule 5.
    #[test]
    fn only_canonical_base64url_is_decoded() {
        assert_eq!(base64url("c2ln").as_deref(), Some(&b"sig"[..]));
        assert_eq!(base64url("-_8").as_deref(), Some(&[0xfb, 0xff][..]));
        for text in ["", "A", "AB", "AA==", "+/8", "A A", "c2l\n"] {
            assert_eq!(base64url(text), None, "{text:?}");
        }
    }

    fn token(header: &str, payload: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }
}
