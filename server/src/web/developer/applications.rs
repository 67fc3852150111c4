//! My Applications, and a new one.

use askama::Template;
use poem::http::StatusCode;
use poem::{Response, handler};
use presence_protocol::Errno;

use crate::http::ErrorResponse;
use crate::page::{Notice, Place, Policy, Shell};
use crate::web::visitor::see_other;
use crate::web::{SignedForm, SignedIn, Visitor};

use super::draft::Draft;
use super::view::AppView;

#[derive(Template)]
#[template(path = "developer/applications.html")]
struct ListPage {
    shell: Shell,
    apps: Vec<AppView>,
}

#[derive(Template)]
#[template(path = "developer/new.html")]
struct NewPage {
    shell: Shell,
    draft: Draft,
    development: bool,
}

#[handler]
pub(super) async fn list(signed_in: SignedIn) -> poem::Result<Response> {
    let apps = signed_in
        .service()
        .applications()
        .list(signed_in.me())
        .await
        .map_err(ErrorResponse::from)?;
    let apps = apps.into_iter().map(AppView::from).collect();
    let shell = signed_in.shell("My applications", Place::Developer);
    Ok(signed_in.show(&ListPage { shell, apps }))
}

#[handler]
#[expect(clippy::unused_async, reason = "poem takes async handlers only")]
pub(super) async fn new(signed_in: SignedIn) -> Response {
    signed_in.show(&page(&signed_in, Draft::default()))
}

#[handler]
pub(super) async fn register(visitor: Visitor, form: SignedForm) -> poem::Result<Response> {
    let mut draft = Draft::of(&form.fields);
    let wanted = draft.check(form.service().settings());
    let Some(wanted) = wanted else { return Ok(again(&visitor, draft)) };
    match form.service().applications().register(form.me(), wanted).await {
        Ok(app) => Ok(see_other(&format!("/myapps/{}", app.id), Notice::Registered)),
        Err(ko) if matches!(ko.errno, Errno::TooLarge | Errno::InvalidField) => {
            let problem = Some(ko.text.into_owned());
            Ok(again(&visitor, Draft { problem, ..draft }))
        }
        Err(ko) => Err(ErrorResponse::from(ko).into()),
    }
}

fn again(visitor: &Visitor, draft: Draft) -> Response {
    visitor.show_with(&page(visitor, draft), StatusCode::BAD_REQUEST, &Policy::new())
}

fn page(visitor: &Visitor, draft: Draft) -> NewPage {
    let shell = visitor.shell("Register an application", Place::Developer);
    NewPage { shell, draft, development: visitor.service().settings().development }
}
