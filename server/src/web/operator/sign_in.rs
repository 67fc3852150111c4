//! Signing in and out as the operator, and the status page that the sign-in leads to.

use askama::Template;
use poem::http::StatusCode;
use presence_protocol::Errno;

use crate::page::{Layout, LocalPath, Notice, PageResponse};
use crate::web::forms::AnonymousForm;
use crate::web::page_routes::PageResult;
use crate::web::request_parts::ClientAddress;

use super::session::{OperatorForm, OperatorVisitor, console, layout, session_cookie};

#[derive(Template)]
#[template(path = "operator/sign_in.html")]
struct OperatorSignInPage {
    layout: Layout,
    problem: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "operator/figures.html")]
struct FiguresPage {
    layout: Layout,
    csrf_token: String,
}

/// Shows the status of the server, or a form to sign in.
pub(super) async fn show(operator: OperatorVisitor) -> PageResult {
    let OperatorVisitor { visitor, session } = operator;
    let Some(session) = session else {
        let page = OperatorSignInPage { layout: layout(&visitor, "Operator"), problem: None };
        return Ok(visitor.show(&page));
    };
    let layout = layout(&visitor, "Status");
    Ok(visitor.show(&FiguresPage { layout, csrf_token: session.csrf_token() }))
}

/// Signs the operator in by the token.
pub(super) async fn sign_in(
    form: AnonymousForm,
    ClientAddress(client): ClientAddress,
) -> PageResult {
    let visitor = form.visitor();
    let access = &console(visitor.context())?.access;
    let token = form.fields().get("token").unwrap_or_default();
    let (status, problem) = match access.sign_in(client, token).await {
        Ok(Some(session)) => {
            let path = LocalPath::fixed("/admin");
            let response = PageResponse::redirect(&path, Notice::OperatorSignedIn);
            return Ok(match session_cookie(visitor.context(), &session) {
                Some(cookie) => response.with_cookie(&cookie),
                None => response,
            });
        }
        Ok(None) => (StatusCode::UNAUTHORIZED, "This is not the operator's token."),
        Err(error) if error.errno == Errno::SlowDown => {
            (StatusCode::TOO_MANY_REQUESTS, "You tried too often. Wait a few seconds.")
        }
        Err(error) => return Err(error.into()),
    };
    let page = OperatorSignInPage { layout: layout(visitor, "Operator"), problem: Some(problem) };
    Ok(visitor.show_problem(&page, status))
}

/// Signs the operator out.
pub(super) async fn sign_out(form: OperatorForm) -> PageResult {
    let cookie = form.session().sign_out().await?;
    let path = LocalPath::fixed("/admin");
    Ok(PageResponse::redirect(&path, Notice::SignedOut).with_cookie(&cookie))
}
