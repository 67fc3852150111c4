//! The operator's way in and out, and the page of figures that it leads to.

use askama::Template;
use poem::http::StatusCode;
use poem::{Request, Response, handler};
use presence_protocol::Errno;

use crate::client_address;
use crate::http::ErrorResponse;
use crate::page::{Notice, Policy, Shell};
use crate::web::visitor::{see_other, set_cookie};
use crate::web::{Form, Visitor};

use super::guard::{Operator, OperatorForm, console, enter_cookie, shell};

#[derive(Template)]
#[template(path = "operator/sign_in.html")]
struct SignInPage {
    shell: Shell,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "operator/figures.html")]
struct FiguresPage {
    shell: Shell,
    csrf_token: String,
}

#[handler]
#[expect(clippy::unused_async, reason = "poem takes async handlers only")]
pub(super) async fn show(request: &Request, visitor: Visitor) -> poem::Result<Response> {
    match Operator::of(request) {
        Ok(operator) => {
            let shell = shell(&visitor, "How it is");
            Ok(visitor.show(&FiguresPage { shell, csrf_token: operator.csrf_token() }))
        }
        Err(refusal) if refusal.ko().errno == Errno::NotAuthenticated => {
            Ok(visitor.show(&SignInPage { shell: shell(&visitor, "Operator"), problem: None }))
        }
        Err(refusal) => Err(refusal.into()),
    }
}

#[handler]
#[expect(clippy::unused_async, reason = "poem takes async handlers only")]
pub(super) async fn sign_in(
    request: &Request,
    visitor: Visitor,
    form: Form,
) -> poem::Result<Response> {
    let console = console(&form.context)?;
    let from = client_address::of(request);
    let token = form.fields.get("token").unwrap_or_default();
    let (status, problem) = match console.access.sign_in(from, token) {
        Ok(Some(session)) => {
            let mut response = see_other("/admin", Notice::OperatorSignedIn);
            set_cookie(&mut response, &enter_cookie(&form.context, console, &session));
            return Ok(response);
        }
        Ok(None) => (StatusCode::UNAUTHORIZED, "This is not the operator's token."),
        Err(ko) if ko.errno == Errno::SlowDown => {
            (StatusCode::TOO_MANY_REQUESTS, "That was tried too often. Wait a few seconds.")
        }
        Err(ko) => return Err(ErrorResponse::from(ko).into()),
    };
    let problem = Some(problem.to_owned());
    let page = SignInPage { shell: shell(&visitor, "Operator"), problem };
    Ok(visitor.show_with(&page, status, &Policy::new()))
}

#[handler]
#[expect(clippy::unused_async, reason = "poem takes async handlers only")]
pub(super) async fn sign_out(form: OperatorForm) -> poem::Result<Response> {
    let clear = form.operator.sign_out()?;
    let mut response = see_other("/admin", Notice::SignedOut);
    set_cookie(&mut response, &clear);
    Ok(response)
}
