//! One order: proves each name, and gets the certificate.

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, Identifier, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use super::account;
use super::challenge::CACHED_FOR;
use super::issued::IssuedCertificate;
use super::problem::OrderProblem;
use super::records::{ANSWER_BYTES, SealedRecords};
use super::setup::AcmeSetup;

/// The maximum time in which the authority must have verified all names, and then have issued the
/// certificate.
const POLL_TIMEOUT: Duration = Duration::from_mins(2);
/// The time after which all servers give an answer that was just stored.
const ANSWERS_KNOWN_AFTER: Duration = CACHED_FOR.saturating_add(Duration::from_millis(500));
/// The type of the error of an authority that does not know the account.
const UNKNOWN_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// An answer to the challenge for a name.
type ChallengeAnswer = (String, [u8; ANSWER_BYTES]);

/// Orders a certificate for the names of the settings.
///
/// # Errors
///
/// The reason in one line.
pub(super) async fn run(
    setup: &AcmeSetup,
    records: &SealedRecords,
) -> Result<IssuedCertificate, OrderProblem> {
    let mut order = Box::pin(begin(setup, records)).await?;
    let answers = Box::pin(answers(&mut order, setup)).await?;
    let issued = Box::pin(complete(&mut order, (setup, records), &answers)).await;
    for (domain, _) in &answers {
        // One that stays is forgotten soon.
        records.remove_challenge(domain).await.ok();
    }
    issued
}

/// Begins an order. An account that the authority does not know any more is created again.
async fn begin(setup: &AcmeSetup, records: &SealedRecords) -> Result<Order, OrderProblem> {
    let names: Vec<_> = setup.domains.iter().cloned().map(Identifier::Dns).collect();
    let begin = async |account: Account| account.new_order(&NewOrder::new(&names)).await;
    match begin(account::open(setup, records).await?).await {
        Err(Error::Api(problem)) if problem.r#type.as_deref() == Some(UNKNOWN_ACCOUNT) => {
            records.remove_account().await?;
            Ok(begin(account::open(setup, records).await?).await?)
        }
        result => Ok(result?),
    }
}

/// Returns the answers to the challenges of the names that are not proven yet.
async fn answers(
    order: &mut Order,
    setup: &AcmeSetup,
) -> Result<Vec<ChallengeAnswer>, OrderProblem> {
    let mut answers = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let Identifier::Dns(domain) = authorization.identifier().identifier.clone() else {
            return Err(OrderProblem::new("the authority wants a proof of something else"));
        };
        if !setup.domains.contains(&domain) {
            return Err(OrderProblem::new(&format!(
                "the authority wants a proof of {domain}, which was not ordered"
            )));
        }
        let Some(challenge) = authorization.challenge(ChallengeType::TlsAlpn01) else {
            return Err(OrderProblem::new(&format!(
                "the authority does not offer tls-alpn-01 for {domain}"
            )));
        };
        let answer = challenge.key_authorization().digest().as_ref().try_into();
        let answer = answer.map_err(|_| OrderProblem::new("the answer has another length"))?;
        answers.push((domain, answer));
    }
    Ok(answers)
}

/// Answers the challenges, and gets the certificate.
async fn complete(
    order: &mut Order,
    (setup, records): (&AcmeSetup, &SealedRecords),
    answers: &[ChallengeAnswer],
) -> Result<IssuedCertificate, OrderProblem> {
    for (domain, answer) in answers {
        records.put_challenge(domain, *answer).await?;
    }
    if !answers.is_empty() {
        tokio::time::sleep(ANSWERS_KNOWN_AFTER).await;
        ask_for_validation(order).await?;
    }
    let retries = RetryPolicy::new().timeout(POLL_TIMEOUT);
    match order.poll_ready(&retries).await {
        Ok(OrderStatus::Ready) => {}
        other => return Err(validation_problem(order, other).await),
    }
    let key = KeyPair::generate().map_err(|error| OrderProblem::of(&error))?;
    let request = signing_request(&setup.domains, &key)?;
    order.finalize_csr(&request).await?;
    let chain = order.poll_certificate(&retries).await?;
    let certificate = IssuedCertificate::new(chain, key.serialize_pem().into())
        .map_err(|problem| OrderProblem::new(&problem))?;
    if !certificate.covers(&setup.domains) {
        return Err(OrderProblem::new("the authority issued a certificate for other names"));
    }
    Ok(certificate)
}

/// Lets the authority validate each name that is not proven yet.
async fn ask_for_validation(order: &mut Order) -> Result<(), OrderProblem> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        if let Some(mut challenge) = authorization.challenge(ChallengeType::TlsAlpn01) {
            challenge.set_ready().await?;
        }
    }
    Ok(())
}

/// Returns the reason why an order is not ready: that of the first name that is not proven.
async fn validation_problem(
    order: &mut Order,
    outcome: Result<OrderStatus, Error>,
) -> OrderProblem {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if authorization.refresh().await.is_err() {
            break;
        }
        let name = authorization.identifier().to_string();
        let failed = authorization.challenges.iter().find_map(|it| it.error.as_ref());
        if let Some(problem) = failed {
            return OrderProblem::new(&format!("{name} could not be validated: {problem}"));
        }
    }
    match outcome {
        Ok(status) => OrderProblem::new(&format!("the order is {status:?}")),
        Err(error) => error.into(),
    }
}

/// Returns the request that the authority signs.
fn signing_request(names: &[String], key: &KeyPair) -> Result<Vec<u8>, OrderProblem> {
    let request = CertificateParams::new(names.to_vec()).and_then(|mut params| {
        params.distinguished_name = DistinguishedName::new();
        params.serialize_request(key)
    });
    Ok(request.map_err(|error| OrderProblem::of(&error))?.der().to_vec())
}
