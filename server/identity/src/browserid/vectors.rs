//! The test vectors of BrowserID, with their results and reasons.
//!
//! They were cross-checked against the two verifiers of 2013. The counts are fixed, so that an
//! empty list cannot pass.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::authority::Authority;
use super::*;

#[derive(Deserialize)]
struct BrowserIdVectorFile {
    default_policy: Value,
    reason_codes: Vec<String>,
    vectors: Vec<AssertionVector>,
    audience_vectors: Vec<AudienceVector>,
    support_document_vectors: Vec<DocumentVector>,
    key_vectors: Vec<KeyVector>,
}

#[derive(Deserialize)]
struct AssertionVector {
    name: String,
    assertion: String,
    audience: String,
    now_ms: UnixMillis,
    claimed_email: Option<String>,
    issuer_keys: Map<String, Value>,
    #[serde(default)]
    trusted_issuers: Vec<String>,
    fallback: Option<String>,
    #[serde(default)]
    policy: PolicyOverlay,
    expected: ExpectedAssertion,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct PolicyOverlay {
    issuer_algs: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedAssertion {
    result: String,
    reason: Option<String>,
    email: Option<String>,
    issuer: Option<String>,
    expires_ms: Option<UnixMillis>,
    idp_claims: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct AudienceVector {
    assertion_aud: String,
    our_audience: String,
    expected: bool,
}

#[derive(Deserialize)]
struct DocumentVector {
    name: String,
    domain: String,
    http: Map<String, Value>,
    expected: String,
}

#[derive(Deserialize)]
struct KeyVector {
    name: String,
    key: Value,
    expected: String,
}

#[tokio::test]
async fn every_assertion_vector_has_its_result_and_reason() {
    let vectors = file().vectors;
    let mut failures = Vec::new();
    for vector in &vectors {
        let outcome = verify_vector(vector).await;
        if let Err(difference) = compare(vector, outcome) {
            failures.push(format!("{}: {difference}", vector.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(vectors.len(), 101);
}

#[test]
fn every_audience_vector_has_its_result() {
    let vectors = file().audience_vectors;
    for vector in &vectors {
        let ours = Audience::parse(&vector.our_audience).unwrap();
        let matches = Audience::parse(&vector.assertion_aud) == Ok(ours);
        assert_eq!(
            matches, vector.expected,
            "{} for {}",
            vector.assertion_aud, vector.our_audience
        );
    }
    assert_eq!(vectors.len(), 17);
}

#[tokio::test]
async fn every_support_document_vector_has_its_result() {
    let vectors = file().support_document_vectors;
    for vector in &vectors {
        let answers =
            vector.http.iter().filter_map(|(host, answer)| Some((host, document(answer)?)));
        let source =
            answers.fold(PinnedKeys::new(), |source, (host, document)| source.with(host, document));
        let policy = Policy::default();
        let search = AuthoritySearch {
            source: &source,
            policy: &policy,
            domain: &vector.domain,
            client: None,
        };
        let document = match search.discover().await.unwrap() {
            Authority::Host { host, keys } => format!("supported:{host}:{}", keys.len()),
            Authority::Disabled => "disabled".to_owned(),
            Authority::Absent => "absent".to_owned(),
        };
        assert_eq!(document, vector.expected, "{}", vector.name);
    }
    assert_eq!(vectors.len(), 22);
}

#[test]
fn every_key_vector_has_its_algorithm() {
    let vectors = file().key_vectors;
    for vector in &vectors {
        let document = PublicKey::parse(&vector.key).map_or("error", |key| key.algorithm().name());
        assert_eq!(document, vector.expected, "{}", vector.name);
    }
    assert_eq!(vectors.len(), 13);
}

/// Holds rules 1 and 27.
#[test]
fn the_default_policy_is_the_one_of_the_vectors() {
    let policy = Policy::default();
    let names = |algorithms: &[BrowserIdAlgorithm]| {
        algorithms.iter().map(|one| one.name()).collect::<Vec<_>>()
    };
    let ours = json!({
        "max_len": policy.max_len,
        "skew_ms": u64::try_from(policy.skew.as_millis()).unwrap(),
        "issuer_algs": names(&policy.issuer_algs),
        "user_algs": names(&policy.user_algs),
        "max_delegations": policy.max_delegations,
        "allow_host_port": policy.allow_host_port,
        "max_json_depth": policy.max_json_depth,
    });
    assert_eq!(ours, file().default_policy);
}

/// Holds rule 32 and threat 4.
#[tokio::test]
async fn two_spellings_of_an_assertion_have_the_same_digest() {
    let mut vector = vector_named("ok-py-rsa-sig-255-bytes");
    let first = verify_vector(&vector).await.unwrap().identity.digest;
    let other = verify_vector(&vector_named("ok-py-rs256-rs256")).await.unwrap().identity.digest;
    assert_ne!(first, other);
    let respelled = with_zero_before_signature(&vector.assertion);
    assert_ne!(respelled, vector.assertion);
    vector.assertion = respelled;
    assert_eq!(verify_vector(&vector).await.unwrap().identity.digest, first);
}

/// Holds rule 30.
#[tokio::test]
async fn the_verified_email_of_an_account_is_used_only_for_trusted_issuers_and_if_set() {
    let vector = vector_named("ok-fxa-style");
    let issuer = "api.accounts.example".to_owned();
    let email = async |trusted: bool, choice: bool| {
        let trusted_issuers = if trusted { vec![issuer.clone()] } else { Vec::new() };
        let policy = Policy { trusted_issuers, fxa_verified_email: choice, ..Policy::default() };
        let verified = verifier(&vector, policy)
            .verify_with_claims(&vector.assertion, vector.now_ms, None)
            .await
            .unwrap();
        assert_eq!(verified.identity.generation, Some(1_767_000_000_000));
        verified.identity.email
    };
    assert_eq!(email(true, true).await, "alice@mail.example");
    for (trusted, choice) in [(true, false), (false, true), (false, false)] {
        assert_eq!(
            email(trusted, choice).await,
            "aaaaaaaa0123456789abcdef01234567@api.accounts.example"
        );
    }
}

/// Holds rule 22.
#[tokio::test]
async fn an_issuer_that_is_not_allowed_is_rejected_even_if_it_is_trusted() {
    let vector = vector_named("ok-py-rs256-rs256");
    for (allowed, expected) in
        [("idp.example", None), ("other.example", Some(Reason::UntrustedIssuer.into()))]
    {
        let policy = Policy {
            allowed_issuers: Some(vec![allowed.to_owned()]),
            trusted_issuers: vec!["idp.example".to_owned()],
            ..Policy::default()
        };
        let outcome = verifier(&vector, policy)
            .verify_with_claims(&vector.assertion, vector.now_ms, None)
            .await;
        assert_eq!(outcome.err(), expected, "{allowed}");
    }
}

#[tokio::test]
async fn a_truncated_assertion_is_rejected() {
    let vector = vector_named("ok-py-rs256-rs256");
    let verifier = verifier(&vector, Policy::default());
    for end in 0..vector.assertion.len() {
        assert!(
            verifier
                .verify_with_claims(&vector.assertion[..end], vector.now_ms, None)
                .await
                .is_err(),
            "{end}"
        );
    }
}

/// Holds rule 29.
#[tokio::test]
async fn an_assertion_with_one_changed_character_is_rejected() {
    let vector = vector_named("ok-py-rs256-rs256");
    let verifier = verifier(&vector, Policy::default());
    for at in 0..vector.assertion.len() {
        let other = if vector.assertion.as_bytes()[at] == b'A' { "B" } else { "A" };
        let mut changed = vector.assertion.clone();
        changed.replace_range(at..=at, other);
        assert!(verifier.verify_with_claims(&changed, vector.now_ms, None).await.is_err(), "{at}");
    }
}

/// Holds rule 25.
#[test]
fn rsa_512_keys_are_rejected_even_if_the_policy_lists_them() {
    let vectors = file().key_vectors;
    let tiny = vectors.iter().find(|vector| vector.name == "key-rs64-decimal").unwrap();
    let signed =
        SignedMessage { alg: "RS64".to_owned(), input: String::new(), signature: vec![0; 64] };
    let keys = [PublicKey::parse(&tiny.key).unwrap()];
    assert_eq!(check_signature(&signed, &keys, &[BrowserIdAlgorithm::Rs64]), Err(Reason::WeakKey));
}

fn file() -> BrowserIdVectorFile {
    serde_json::from_str(include_str!("../../vectors/browserid.json")).unwrap()
}

fn vector_named(name: &str) -> AssertionVector {
    file().vectors.into_iter().find(|vector| vector.name == name).unwrap()
}

async fn verify_vector(vector: &AssertionVector) -> Result<VerifiedAssertion, IdentityError> {
    let mut policy = Policy {
        // The vectors are about the format: one of them ends in centuries.
        max_lifetime: std::time::Duration::from_hours(24 * 365 * 1_000),
        trusted_issuers: vector.trusted_issuers.clone(),
        fallback: vector.fallback.clone(),
        ..Policy::default()
    };
    if let Some(names) = &vector.policy.issuer_algs {
        policy.issuer_algs = names.iter().map(|name| algorithm(name)).collect();
    }
    let verified =
        verifier(vector, policy).verify_with_claims(&vector.assertion, vector.now_ms, None).await?;
    // The caller compares the claimed e-mail (rule 30).
    match &vector.claimed_email {
        Some(claimed) if *claimed != verified.identity.email => Err(Reason::EmailMismatch.into()),
        Some(_) | None => Ok(verified),
    }
}

fn compare(
    vector: &AssertionVector,
    outcome: Result<VerifiedAssertion, IdentityError>,
) -> Result<(), String> {
    let expected = &vector.expected;
    match (expected.result.as_str(), outcome) {
        ("err", Err(IdentityError::Invalid(reason))) => {
            assert!(is_listed(reason));
            if Some(reason.code()) == expected.reason.as_deref() {
                return Ok(());
            }
            Err(format!("rejected as {reason}, not as {:?}", expected.reason))
        }
        ("ok", Ok(VerifiedAssertion { identity, idp_claims, .. })) => {
            let same = expected.email.as_ref() == Some(&identity.email)
                && expected.issuer.as_ref() == Some(&identity.issuer)
                && expected.expires_ms.is_none_or(|time| time == identity.expires_at)
                && expected.idp_claims.as_ref().is_none_or(|claims| *claims == idp_claims);
            if same {
                Ok(())
            } else {
                Err(format!("accepted with other contents: {identity:?} {idp_claims:?}"))
            }
        }
        (_, Ok(_)) => Err("accepted".to_owned()),
        (_, Err(error)) => Err(format!("{error}, expected {}", expected.result)),
    }
}

fn is_listed(reason: Reason) -> bool {
    static CODES: std::sync::LazyLock<Vec<String>> =
        std::sync::LazyLock::new(|| file().reason_codes);
    CODES.iter().any(|code| code == reason.code())
}

fn verifier(vector: &AssertionVector, policy: Policy) -> BrowserId {
    let source = vector.issuer_keys.iter().fold(PinnedKeys::new(), |source, (host, published)| {
        match SupportDocument::parse(published.to_string().as_bytes()) {
            Some(document) => source.with(host, document),
            None => source,
        }
    });
    BrowserId::new(Arc::new(source), vec![Audience::parse(&vector.audience).unwrap()], policy)
}

fn document(answer: &Value) -> Option<SupportDocument> {
    let status = u16::try_from(answer["status"].as_u64()?).ok()?;
    SupportDocument::from_response(
        status,
        answer["headers"]["content-type"].as_str(),
        answer["body"].as_str()?.as_bytes(),
    )
}

fn algorithm(name: &str) -> BrowserIdAlgorithm {
    use BrowserIdAlgorithm::{Ds128, Ds256, Rs64, Rs128, Rs256};
    [Rs64, Rs128, Rs256, Ds128, Ds256]
        .into_iter()
        .find(|algorithm| algorithm.name() == name)
        .unwrap()
}

/// Restores the leading zero byte that the signer dropped from a signature of the assertion.
fn with_zero_before_signature(assertion: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let respell = |token: &str| {
        let (input, signature) = token.rsplit_once('.').unwrap();
        let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        if signature.len() == 255 {
            signature.insert(0, 0);
        }
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    };
    assertion.split('~').map(respell).collect::<Vec<_>>().join("~")
}
