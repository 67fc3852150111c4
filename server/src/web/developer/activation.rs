//! The steps from a registered to an active Application: verify the domain, activate, deactivate.

use poem::http::StatusCode;
use presence_identity::fetch::FetchError;
use presence_protocol::Errno;
use presence_service::domains::{DomainProofError, VerifyDomainError};
use presence_service::rules;

use crate::page::{LocalPath, Notice, PageResponse};
use crate::web::forms::UserForm;
use crate::web::page_routes::PageResult;
use crate::web::request_parts::AppInPath;

use super::application::{ApplicationPage, FormResult};

/// Verifies the domain.
pub(super) async fn verify(form: UserForm, AppInPath(app): AppInPath) -> PageResult {
    let (status, reason) = match form.service().domains().verify(form.user_id(), app).await {
        Ok(_) => {
            let path = LocalPath::of_application(app);
            return Ok(PageResponse::redirect(&path, Notice::DomainVerified));
        }
        Err(VerifyDomainError::NotProven { reason, .. }) => (StatusCode::CONFLICT, Some(reason)),
        Err(VerifyDomainError::Refused(error)) if error.errno == Errno::SlowDown => {
            (StatusCode::TOO_MANY_REQUESTS, None)
        }
        Err(VerifyDomainError::Refused(error)) => return Err(error.into()),
    };
    let app = form.service().applications().find(form.user_id(), app).await?;
    let problem = reason.map_or_else(
        || "You tried too often. Wait a few seconds.".to_owned(),
        |reason| user_message(reason, rules::is_loopback(&app.domain)),
    );
    let result = FormResult { verification_problem: Some(problem), ..FormResult::default() };
    let page = ApplicationPage::of(form.visitor(), form.user_id(), app, result).await?;
    Ok(page.respond(form.visitor(), status))
}

/// Activates the Application. The first activation creates a key, and shows it.
pub(super) async fn activate(form: UserForm, AppInPath(app): AppInPath) -> PageResult {
    let (app, new_key) = form.service().applications().activate(form.user_id(), app).await?;
    let Some(new_key) = new_key else {
        return Ok(PageResponse::redirect(&LocalPath::of_application(app.id), Notice::Activated));
    };
    let result = FormResult { new_key: Some(new_key.secret), ..FormResult::default() };
    let page = ApplicationPage::of(form.visitor(), form.user_id(), app, result).await?;
    Ok(page.respond(form.visitor(), StatusCode::OK))
}

/// Deactivates the Application.
pub(super) async fn deactivate(form: UserForm, AppInPath(app): AppInPath) -> PageResult {
    let app = form.service().applications().deactivate(form.user_id(), app).await?;
    Ok(PageResponse::redirect(&LocalPath::of_application(app.id), Notice::Deactivated))
}

/// Returns the problem, and what the owner of the domain can do. A domain on this machine, which
/// only development mode allows, has no TLS.
fn user_message(reason: DomainProofError, is_local: bool) -> String {
    let text = match reason {
        DomainProofError::Unreachable(FetchError::NotResolvable) => {
            "The domain was not found. Check the spelling and the DNS entry."
        }
        DomainProofError::Unreachable(FetchError::ForbiddenAddress) => {
            "The domain leads to a private address. The page must be reachable from the internet."
        }
        DomainProofError::Unreachable(FetchError::Timeout) => {
            "The server of the domain did not answer within five seconds."
        }
        DomainProofError::Unreachable(FetchError::Connection) if is_local => {
            "We could not connect: no program of this machine answers at this address. Run the \
             command above, or start your web server."
        }
        DomainProofError::Unreachable(FetchError::Connection) => {
            "We could not connect: no server answers, or its TLS certificate is not valid."
        }
        DomainProofError::Unreachable(FetchError::Redirect) => {
            "The address answers with a redirect, which we do not follow. Show the key at exactly \
             this address."
        }
        DomainProofError::Unreachable(FetchError::Busy) => {
            "Too many domains are checked at the moment. Try again in a few seconds."
        }
        DomainProofError::Unreachable(FetchError::NotAllowed) => "We cannot check this domain.",
        DomainProofError::Unreachable(FetchError::TooLarge)
        | DomainProofError::NotText
        | DomainProofError::OtherText => {
            "The page does not show the key. It must show the key alone, as plain text."
        }
        DomainProofError::Status(404 | 410) => {
            "The page was not found on the server of the domain."
        }
        DomainProofError::Status(401 | 403) => {
            "The server of the domain does not allow us to read the page."
        }
        DomainProofError::Status(status) => {
            return format!("The server of the domain answered with an error (status {status}).");
        }
        DomainProofError::Changed => {
            "The Application was changed in the meantime. Reload this page."
        }
    };
    text.to_owned()
}
