//! Changing what an Application is called, what it is, and where it lives.

use askama::Template;
use poem::http::StatusCode;
use poem::{Response, handler};
use presence_service::applications::ApplicationChanges;

use crate::http::ErrorResponse;
use crate::page::{Notice, Place, Policy, Shell};
use crate::web::visitor::see_other;
use crate::web::{SignedForm, SignedIn, Visitor};

use super::Named;
use super::draft::Draft;
use super::view::AppView;

#[derive(Template)]
#[template(path = "developer/change.html")]
struct ChangePage {
    shell: Shell,
    app: AppView,
    draft: Draft,
    development: bool,
}

#[handler]
pub(super) async fn show(signed_in: SignedIn, Named(app): Named) -> poem::Result<Response> {
    let app = signed_in.service().applications().find(signed_in.me(), app).await;
    let app = app.map_err(ErrorResponse::from)?;
    let draft = Draft::of_app(&app);
    Ok(signed_in.show(&page(&signed_in, app.into(), draft)))
}

#[handler]
pub(super) async fn change(
    visitor: Visitor,
    form: SignedForm,
    Named(app): Named,
) -> poem::Result<Response> {
    let before = form.service().applications().find(form.me(), app).await;
    let before = before.map_err(ErrorResponse::from)?;
    let mut draft = Draft::of(&form.fields);
    let Some(wanted) = draft.check(form.service().settings()) else {
        let page = page(&visitor, before.into(), draft);
        return Ok(visitor.show_with(&page, StatusCode::BAD_REQUEST, &Policy::new()));
    };
    let change = ApplicationChanges {
        name: Some(wanted.name),
        domain: Some(wanted.domain),
        description: Some(wanted.description),
    };
    let after = form.service().applications().update(form.me(), before.id, change).await;
    let after = after.map_err(ErrorResponse::from)?;
    let moved = after.domain != before.domain;
    let notice = if moved { Notice::DomainChanged } else { Notice::ApplicationChanged };
    Ok(see_other(&format!("/myapps/{}", after.id), notice))
}

fn page(visitor: &Visitor, app: AppView, draft: Draft) -> ChangePage {
    let development = visitor.service().settings().development;
    let shell = visitor.shell(format!("Change {}", app.name), Place::Developer);
    ChangePage { shell, app, draft, development }
}
