//! The `fxa-*` claims, which Mozilla accounts put into certificates, and their types (rule 31).
//!
//! The server uses only the generation and the verified e-mail. The types of the others are checked
//! for the readers of the claims.

use serde_json::{Map, Value};

use crate::identity::Reason;

/// The claim that grows when the password changes, in milliseconds.
pub(super) const GENERATION: &str = "fxa-generation";
/// The claim with the e-mail address of the account.
pub(super) const VERIFIED_EMAIL: &str = "fxa-verifiedEmail";

/// The greatest integer that a double represents exactly: the issuers use JavaScript.
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// A test for the type of a claim.
type Check = fn(&Value) -> bool;

const CLAIMS: [(&str, Check); 9] = [
    (GENERATION, is_count),
    ("fxa-keysChangedAt", is_count),
    ("fxa-lastAuthAt", is_count),
    ("fxa-profileChangedAt", is_count),
    ("fxa-aal", is_count),
    (VERIFIED_EMAIL, Value::is_string),
    ("fxa-deviceId", Value::is_string),
    ("fxa-tokenVerified", Value::is_boolean),
    ("fxa-amr", is_list_of_strings),
];

/// Checks the types of the claims that are present.
pub(super) fn check(certificate: &Map<String, Value>) -> Result<(), Reason> {
    let fits = CLAIMS.iter().all(|(name, check)| certificate.get(*name).is_none_or(check));
    if fits { Ok(()) } else { Err(Reason::Malformed) }
}

fn is_count(value: &Value) -> bool {
    value.as_u64().is_some_and(|count| count <= MAX_INTEGER)
}

fn is_list_of_strings(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(Value::is_string))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Holds rule 31.
    #[test]
    fn each_fxa_claim_has_its_type() {
        let good = json!({
            "fxa-generation": 1_767_000_000_000_u64,
            "fxa-keysChangedAt": 0,
            "fxa-lastAuthAt": 1_767_000_000,
            "fxa-profileChangedAt": 1_767_000_000_000_u64,
            "fxa-aal": 1,
            "fxa-verifiedEmail": "alice@mail.example",
            "fxa-deviceId": "00ff",
            "fxa-tokenVerified": true,
            "fxa-amr": ["pwd", "email"],
            "fxa-uid": {"unknown": "claims may be anything"},
        });
        let good = good.as_object().unwrap();
        assert_eq!(check(good), Ok(()));
        assert_eq!(check(&Map::new()), Ok(()));
        for (name, _) in CLAIMS {
            for wrong in
                [json!(null), json!(-1), json!(1.5), json!({}), json!([1]), json!(u64::MAX)]
            {
                let mut bad = good.clone();
                bad.insert(name.to_owned(), wrong.clone());
                assert_eq!(check(&bad), Err(Reason::Malformed), "{name}: {wrong}");
            }
        }
    }
}
