//! From registered to active: proving the domain, starting, stopping.

use poem::http::StatusCode;
use poem::{Response, handler};
use presence_identity::fetch::FetchError;
use presence_protocol::Errno;
use presence_service::domains::{DomainProofError, VerifyDomainError};

use crate::http::ErrorResponse;
use crate::page::Notice;
use crate::web::visitor::see_other;
use crate::web::{SignedForm, Visitor};

use super::Named;
use super::application::{ApplicationPage, Once};

#[handler]
pub(super) async fn verify(
    visitor: Visitor,
    form: SignedForm,
    Named(app): Named,
) -> poem::Result<Response> {
    let (status, unproven) = match form.service().domains().verify(form.me(), app).await {
        Ok(_) => return Ok(see_other(&format!("/myapps/{app}"), Notice::DomainVerified)),
        Err(VerifyDomainError::NotProven(reason)) => (StatusCode::CONFLICT, advice(reason)),
        Err(VerifyDomainError::Refused(ko)) if ko.errno == Errno::SlowDown => {
            (StatusCode::TOO_MANY_REQUESTS, "You tried very often. Wait a few seconds.".to_owned())
        }
        Err(VerifyDomainError::Refused(ko)) => return Err(ErrorResponse::from(ko).into()),
    };
    let app =
        form.service().applications().find(form.me(), app).await.map_err(ErrorResponse::from)?;
    let once = Once { unproven: Some(unproven), ..Once::default() };
    Ok(ApplicationPage::of(&visitor, form.me(), app, once).await?.answer(&visitor, status))
}

#[handler]
pub(super) async fn activate(
    visitor: Visitor,
    form: SignedForm,
    Named(app): Named,
) -> poem::Result<Response> {
    let activated = form.service().applications().activate(form.me(), app).await;
    let (app, made) = activated.map_err(ErrorResponse::from)?;
    let Some(made) = made else {
        return Ok(see_other(&format!("/myapps/{}", app.id), Notice::Started));
    };
    let once = Once { made: Some(made.secret), ..Once::default() };
    let page = ApplicationPage::of(&visitor, form.me(), app, once).await?;
    Ok(page.answer(&visitor, StatusCode::OK))
}

#[handler]
pub(super) async fn deactivate(form: SignedForm, Named(app): Named) -> poem::Result<Response> {
    let stopped = form.service().applications().deactivate(form.me(), app).await;
    let app = stopped.map_err(ErrorResponse::from)?;
    Ok(see_other(&format!("/myapps/{}", app.id), Notice::Stopped))
}

/// What is the matter, and what its owner can do about it.
fn advice(reason: DomainProofError) -> String {
    let text = match reason {
        DomainProofError::Unreachable(FetchError::NotResolvable) => {
            "The domain has no address. Is it spelt right, and is its DNS entry there?"
        }
        DomainProofError::Unreachable(FetchError::ForbiddenAddress) => {
            "The domain leads to an address that is not public. The page must be reachable from the internet."
        }
        DomainProofError::Unreachable(FetchError::Timeout) => {
            "Too slow: the domain's server did not answer within five seconds."
        }
        DomainProofError::Unreachable(FetchError::Connection) => {
            "Could not connect: nothing answers there, or its TLS certificate is not valid for the domain."
        }
        DomainProofError::Unreachable(FetchError::Redirect) => {
            "The address answers with a redirect, which is not followed. Show the key at exactly this address."
        }
        DomainProofError::Unreachable(FetchError::NotAllowed) => "This domain cannot be asked.",
        DomainProofError::Unreachable(FetchError::TooLarge)
        | DomainProofError::NotText
        | DomainProofError::OtherText => {
            "Wrong content: the page shows something else than the key. It must show the key alone, as plain text."
        }
        DomainProofError::Status(404 | 410) => {
            "Not found: the domain's server says that there is no such page."
        }
        DomainProofError::Status(401 | 403) => "The domain's server does not let us see the page.",
        DomainProofError::Status(status) => {
            return format!("The domain's server answered with an error: status {status}.");
        }
        DomainProofError::Changed => "The application was changed meanwhile. Load this page again.",
    };
    text.to_owned()
}
