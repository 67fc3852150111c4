//! Tests with the vectors of ID tokens, and of rules that the vectors do not cover.
//!
//! The vectors were cross-checked against `PyJWT` and `jose`. Their number is fixed so that an
//! empty list fails.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::cached_document::{DocumentError, DocumentSource, FetchedDocument};
use super::issuer::{Issuer, Token};
use super::key_set::KeySet;
use super::test_signer::TestSigner;
use super::*;

#[derive(Deserialize)]
struct VectorFile {
    vectors: Vec<TokenVector>,
}

#[derive(Deserialize)]
struct TokenVector {
    name: String,
    token: String,
    now_s: u64,
    config: VectorConfig,
    jwks: Value,
    expected: ExpectedResult,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VectorConfig {
    issuer: String,
    audiences: Vec<String>,
    algs: Vec<JwsAlgorithm>,
    leeway_s: u64,
    email_domains: Vec<String>,
    require_email_verified: bool,
    allowed_azp: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedResult {
    result: String,
    reason: Option<String>,
    iss: Option<String>,
    sub: Option<String>,
    email: Option<String>,
}

/// A source of constant keys.
struct PinnedKeySet(Value);

#[async_trait]
impl DocumentSource for PinnedKeySet {
    type Document = KeySet;

    async fn fetch(&self, _now: UnixMillis) -> Result<FetchedDocument<KeySet>, DocumentError> {
        let document = KeySet::read(self.0.to_string().as_bytes());
        let document = document.ok_or(DocumentError::Unreadable)?;
        Ok(FetchedDocument { document, max_age: None })
    }
}

#[tokio::test]
async fn every_vector_has_the_expected_result_and_reason() {
    let VectorFile { vectors } =
        serde_json::from_str(include_str!("../../vectors/oidc.json")).unwrap();
    let mut failures = Vec::new();
    for vector in &vectors {
        assert_eq!(vector.config.leeway_s, claims::LEEWAY.as_secs());
        let outcome = verify_vector(vector).await;
        let expected = &vector.expected;
        let as_expected = match (&outcome, expected.result.as_str()) {
            (Ok(identity), "ok") => {
                Some(&identity.issuer) == expected.iss.as_ref()
                    && Some(&identity.subject) == expected.sub.as_ref()
                    && Some(&identity.email) == expected.email.as_ref()
            }
            (Err(IdentityError::Invalid(reason)), "err") => {
                Some(reason.code()) == expected.reason.as_deref()
            }
            _ => false,
        };
        if !as_expected {
            failures.push(format!("{}: {outcome:?}, not {:?}", vector.name, expected.reason));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(vectors.len(), 42);
}

async fn verify_vector(vector: &TokenVector) -> Result<Identity, IdentityError> {
    let config = &vector.config;
    let settings_json = json!({
        "name": "idp",
        "issuer": config.issuer,
        "client_ids": config.audiences,
        "algorithms": config.algs,
        "email_domains": config.email_domains,
        "require_email_verified": config.require_email_verified,
        "authorized_parties": config.allowed_azp,
    });
    verify(&settings_json, &vector.jwks, &vector.token, UnixMillis::from_secs(vector.now_s)).await
}

async fn verify(
    settings_json: &Value,
    jwks: &Value,
    token: &str,
    now: UnixMillis,
) -> Result<Identity, IdentityError> {
    let settings: IssuerSettings = serde_json::from_value(settings_json.clone()).unwrap();
    validate_issuers(std::slice::from_ref(&settings), false).unwrap();
    let issuer = Issuer::with_keys(settings, Arc::new(PinnedKeySet(jwks.clone())));
    Oidc { issuers: Arc::new([Arc::new(issuer)]) }.verify(token, now).await
}

const NOW: UnixMillis = UnixMillis::new(1_767_225_600_000);
const ISSUER: &str = "https://idp.example";

/// Verifies a valid token after changes to its header, its claims, the issuer's settings and the
/// published key.
async fn verify_changed(changes: &Value) -> Result<Identity, IdentityError> {
    let with = |mut value: Value, part: &str| {
        if let Some(changes) = changes[part].as_object() {
            value.as_object_mut().unwrap().extend(changes.clone());
        }
        value.as_object_mut().unwrap().retain(|_, member| !member.is_null());
        value
    };
    let signer = TestSigner::p256("k");
    let seconds = NOW.as_secs();
    let claims = json!({
        "iss": ISSUER, "sub": "24/7", "aud": "me", "iat": seconds, "exp": seconds + 300,
        "email": "alice@mail.example", "email_verified": true,
    });
    let settings = json!({
        "name": "idp", "issuer": ISSUER, "client_ids": ["me"], "algorithms": ["ES256"],
        "email_domains": ["mail.example"],
    });
    let jwks = json!({ "keys": [with(signer.jwk(), "key")] });
    let token = signer.token(&with(json!({ "kid": "k" }), "header"), &with(claims, "claims"));
    verify(&with(settings, "settings"), &jwks, &token, NOW).await
}

async fn assert_reason(changes: Value, reason: Reason) {
    assert_eq!(verify_changed(&changes).await, Err(reason.into()), "{changes}");
}

async fn verified_email(changes: Value) -> String {
    verify_changed(&changes).await.unwrap_or_else(|error| panic!("{changes}: {error}")).email
}

/// Holds rule 39.
#[tokio::test]
async fn an_email_is_accepted_only_if_the_issuer_has_verified_it() {
    assert_eq!(verified_email(json!({})).await, "alice@mail.example");
    let claim = |claim: Value| json!({ "claims": { "email_verified": claim } });
    for claim in [json!(null), json!(false), json!("true"), json!(1)] {
        assert_reason(json!({ "claims": { "email_verified": claim } }), Reason::EmailNotVerified)
            .await;
    }
    let mut as_text = claim(json!("true"));
    as_text["settings"] = json!({ "email_verified_as_text": true });
    assert_eq!(verified_email(as_text).await, "alice@mail.example");
    let mut not_required = claim(json!(null));
    not_required["settings"] = json!({ "require_email_verified": false });
    assert_eq!(verified_email(not_required).await, "alice@mail.example");
}

/// Holds rule 39.
#[tokio::test]
async fn an_issuer_is_trusted_for_its_own_domains_only() {
    let email = |email: &str| json!({ "claims": { "email": email } });
    assert_eq!(verified_email(email("Alice@MAIL.example")).await, "Alice@mail.example");
    for foreign in ["alice@other.example", "alice@sub.mail.example", "alice@xmail.example"] {
        assert_reason(email(foreign), Reason::EmailDomainNotAllowed).await;
    }
    for invalid in ["alice", "@mail.example", "a@b@mail.example", "ä@mail.example", ""] {
        assert_reason(email(invalid), Reason::InvalidEmail).await;
    }
    assert_reason(json!({ "claims": { "email": null } }), Reason::MissingField).await;
    let mut wildcard = email("alice@other.example");
    wildcard["settings"] = json!({ "email_domains": ["*"] });
    assert_eq!(verified_email(wildcard).await, "alice@other.example");
}

/// Holds rule 40.
#[tokio::test]
async fn the_account_is_the_subject_if_a_subject_domain_is_configured() {
    let by_subject = json!({ "email_domains": null, "subject_domain": "accounts.example" });
    let with = |claims: Value| json!({ "settings": by_subject, "claims": claims });
    assert_eq!(verified_email(with(json!({ "email": null }))).await, "24/7@accounts.example");
    // An e-mail in the token is ignored.
    assert_eq!(verified_email(with(json!({ "email": "x" }))).await, "24/7@accounts.example");
    for subject in ["a b", "a@b", "ü", &"x".repeat(65)] {
        assert_reason(with(json!({ "sub": subject })), Reason::InvalidEmail).await;
    }
}

/// Holds rule 37.
#[tokio::test]
async fn another_requesting_client_must_be_an_authorized_party() {
    let azp = |azp: Value, parties: Value| json!({ "claims": { "azp": azp }, "settings": { "authorized_parties": parties } });
    assert_reason(azp(json!("phone"), json!([])), Reason::AzpMismatch).await;
    assert!(verify_changed(&azp(json!("phone"), json!(["phone"]))).await.is_ok());
    assert!(verify_changed(&azp(json!("me"), json!([]))).await.is_ok());
    let two = json!({ "claims": { "aud": ["me", "api"] } });
    assert_reason(two, Reason::AzpMismatch).await;
}

/// Holds rule 33.
#[tokio::test]
async fn only_the_configured_aliases_of_an_issuer_are_accepted() {
    let short = |aliases: Value| json!({ "claims": { "iss": "idp.example" }, "settings": { "issuer_aliases": aliases } });
    assert_reason(short(json!([])), Reason::IssuerMismatch).await;
    let identity = verify_changed(&short(json!(["idp.example"]))).await.unwrap();
    assert_eq!(identity.issuer, ISSUER);
}

/// Holds rule 34.
#[tokio::test]
async fn a_key_is_used_only_for_its_published_purpose() {
    for key in [
        json!({ "use": "enc" }),
        json!({ "key_ops": ["sign"] }),
        json!({ "key_ops": "verify" }),
        json!({ "alg": "ES384" }),
        json!({ "alg": 7 }),
        json!({ "kty": "oct", "k": "AAAA" }),
        json!({ "crv": "P-384" }),
        json!({ "y": "AAAA" }),
    ] {
        assert_reason(json!({ "key": key }), Reason::KeyNotUsable).await;
    }
    for key in
        [json!({ "use": "sig" }), json!({ "key_ops": ["verify"] }), json!({ "alg": "ES256" })]
    {
        assert!(verify_changed(&json!({ "key": key })).await.is_ok(), "{key}");
    }
}

/// Holds rule 34.
#[tokio::test]
async fn a_token_without_a_key_identifier_requires_an_issuer_with_one_key() {
    let without_kid = json!({ "header": { "kid": null } });
    assert!(verify_changed(&without_kid).await.is_ok());
    let (first, second) = (TestSigner::p256("a"), TestSigner::p256("b"));
    let settings = json!({
        "name": "idp", "issuer": ISSUER, "client_ids": ["me"], "algorithms": ["ES256"],
        "email_domains": ["*"], "require_email_verified": false,
    });
    let seconds = NOW.as_secs();
    let claims = json!({ "iss": ISSUER, "sub": "s", "aud": "me", "iat": seconds, "exp": seconds + 9, "email": "a@b.example" });
    let jwks = json!({ "keys": [first.jwk(), second.jwk()] });
    let outcome = verify(&settings, &jwks, &first.token(&json!({}), &claims), NOW).await;
    assert_eq!(outcome, Err(Reason::UnknownKid.into()));
}

/// Holds rule 35.
#[tokio::test]
async fn an_algorithm_is_accepted_only_if_the_issuer_lists_it_and_the_key_permits_it() {
    let both = json!(["ES256", "ES384"]);
    for (header, listed, key, expected) in [
        ("ES256", &both, json!(null), Ok(())),
        ("ES256", &both, json!("ES256"), Ok(())),
        ("ES256", &json!(["ES384"]), json!(null), Err(Reason::AlgNotAllowed)),
        ("HS256", &both, json!(null), Err(Reason::AlgNotAllowed)),
        ("none", &both, json!(null), Err(Reason::AlgNotAllowed)),
        ("ES256", &both, json!("ES384"), Err(Reason::KeyNotUsable)),
    ] {
        let changes = json!({ "header": { "alg": header }, "settings": { "algorithms": listed }, "key": { "alg": key } });
        let outcome = verify_changed(&changes).await.map(drop);
        assert_eq!(outcome, expected.map_err(IdentityError::from), "{changes}");
    }
    // The settings cannot list a symmetric algorithm or `none`.
    for name in ["HS256", "HS384", "HS512", "none"] {
        assert!(serde_json::from_value::<JwsAlgorithm>(json!(name)).is_err(), "{name}");
    }
}

/// Holds rule 36.
#[tokio::test]
async fn a_type_is_accepted_only_if_configured_and_some_types_never() {
    let typ = |typ: &str| json!({ "header": { "typ": typ }, "settings": { "token_types": ["id+jwt", "at+jwt"] } });
    for accepted in ["JWT", "jwt", "ID+JWT"] {
        assert!(verify_changed(&typ(accepted)).await.is_ok(), "{accepted}");
    }
    for wrong in ["at+jwt", "AT+JWT", "dpop+jwt", "secevent+jwt", "x"] {
        assert_reason(typ(wrong), Reason::WrongType).await;
    }
}

#[tokio::test]
async fn the_authentication_time_is_checked_if_a_maximum_age_is_configured() {
    let at = |auth_time: Value| json!({ "claims": { "auth_time": auth_time }, "settings": { "max_age_seconds": 3600 } });
    assert_reason(at(json!(null)), Reason::MissingField).await;
    assert_reason(at(json!(NOW.as_secs() - 3661)), Reason::Expired).await;
    assert!(verify_changed(&at(json!(NOW.as_secs() - 3600))).await.is_ok());
}

/// Holds rule 41.
#[tokio::test]
async fn a_token_for_a_sign_in_must_contain_its_nonce() {
    let signer = TestSigner::p256("k");
    let settings = json!({
        "name": "idp", "issuer": ISSUER, "client_ids": ["me"], "algorithms": ["ES256"],
        "email_domains": ["*"], "require_email_verified": false,
    });
    let settings: IssuerSettings = serde_json::from_value(settings).unwrap();
    let keys = Arc::new(PinnedKeySet(json!({ "keys": [signer.jwk()] })));
    let issuer = Issuer::with_keys(settings, keys);
    let seconds = NOW.as_secs();
    for (nonce, matches) in [(json!("n"), true), (json!("m"), false), (Value::Null, false)] {
        let mut claims = json!({ "iss": ISSUER, "sub": "s", "aud": "me", "iat": seconds, "exp": seconds + 9, "email": "a@b.example", "nonce": nonce });
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let token = Token::read(&signer.token(&json!({ "kid": "k" }), &claims)).unwrap();
        let outcome = issuer.verify(token, Some("n"), NOW).await.map(drop);
        let expected = if matches { Ok(()) } else { Err(Reason::NonceMismatch.into()) };
        assert_eq!(outcome, expected, "{nonce}");
    }
}

#[tokio::test]
async fn a_truncated_or_changed_token_is_rejected() {
    let signer = TestSigner::p256("k");
    let settings = json!({
        "name": "idp", "issuer": ISSUER, "client_ids": ["me"], "algorithms": ["ES256"],
        "email_domains": ["*"], "require_email_verified": false,
    });
    let seconds = NOW.as_secs();
    let claims = json!({ "iss": ISSUER, "sub": "s", "aud": "me", "iat": seconds, "exp": seconds + 9, "email": "a@b.example" });
    let token = signer.token(&json!({ "kid": "k" }), &claims);
    let settings: IssuerSettings = serde_json::from_value(settings).unwrap();
    let keys = Arc::new(PinnedKeySet(json!({ "keys": [signer.jwk()] })));
    let oidc = Oidc { issuers: Arc::new([Arc::new(Issuer::with_keys(settings, keys))]) };
    assert!(oidc.verify(&token, NOW).await.is_ok());
    for end in 0..token.len() {
        assert!(oidc.verify(&token[..end], NOW).await.is_err(), "{end}");
        let other = if token.as_bytes()[end] == b'A' { "B" } else { "A" };
        let mut changed = token.clone();
        changed.replace_range(end..=end, other);
        assert!(oidc.verify(&changed, NOW).await.is_err(), "{end}");
    }
}

#[test]
fn an_invalid_issuer_is_reported_with_the_problem() {
    let settings = |changes: Value| -> IssuerSettings {
        let mut settings = json!({ "name": "idp", "issuer": ISSUER, "client_ids": ["me"], "email_domains": ["a.example"] });
        settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        settings.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        serde_json::from_value(settings).unwrap()
    };
    let valid = settings(json!({}));
    assert_eq!(validate_issuers(std::slice::from_ref(&valid), false), Ok(()));
    for (changes, problem) in [
        (json!({ "name": "My IdP" }), "name must"),
        (json!({ "issuer": "idp.example" }), "issuer must"),
        (json!({ "issuer": "http://idp.example" }), "issuer must"),
        (json!({ "issuer": "http://localhost:1" }), "issuer must"),
        (json!({ "issuer": "https://idp.example/?a" }), "issuer must"),
        (json!({ "issuer": "https://user@idp.example/" }), "issuer must"),
        (json!({ "jwks_uri": "keys" }), "jwks_uri must"),
        (json!({ "client_ids": [] }), "client_ids must"),
        (json!({ "client_ids": [""] }), "client_ids must"),
        (json!({ "algorithms": [] }), "algorithms must"),
        (json!({ "email_domains": [] }), "either"),
        (json!({ "email_domains": ["A.example"] }), "email_domains must"),
        (json!({ "email_domains": ["*.example"] }), "email_domains must"),
        (json!({ "subject_domain": "a.example" }), "either"),
        (json!({ "email_domains": null, "subject_domain": "a@b" }), "subject_domain must"),
    ] {
        let error = validate_issuers(&[settings(changes.clone())], false).unwrap_err();
        assert!(error.contains(problem), "{changes}: {error}");
    }
    assert_eq!(
        validate_issuers(&[settings(json!({ "issuer": "http://localhost:1" }))], true),
        Ok(())
    );
    let twice = [valid.clone(), settings(json!({ "issuer": "https://b.example" }))];
    assert!(validate_issuers(&twice, false).unwrap_err().contains("this name"));
    let twice = [valid.clone(), settings(json!({ "name": "b" }))];
    assert!(validate_issuers(&twice, false).unwrap_err().contains("configured twice"));
    let by_subject = settings(json!({
        "name": "b", "issuer": "https://b.example", "email_domains": null, "subject_domain": "a.example",
    }));
    for both in [[valid.clone(), by_subject.clone()], [by_subject, valid]] {
        assert!(validate_issuers(&both, false).unwrap_err().contains("domain of another"));
    }
}
