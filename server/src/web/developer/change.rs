//! Changing the name, the description and the domain of an Application.

use askama::Template;
use poem::http::StatusCode;
use presence_service::applications::ApplicationChanges;

use crate::page::{Layout, LocalPath, Notice, PageResponse, Section};
use crate::web::forms::UserForm;
use crate::web::page_routes::PageResult;
use crate::web::request_parts::AppInPath;
use crate::web::visitor::{SignedIn, Visitor};

use super::details::ApplicationDetails;
use super::draft::Draft;

#[derive(Template)]
#[template(path = "developer/change.html")]
struct ChangePage {
    layout: Layout,
    app: ApplicationDetails,
    draft: Draft,
    development: bool,
}

/// Shows the form with the current values.
pub(super) async fn show(signed_in: SignedIn, AppInPath(app): AppInPath) -> PageResult {
    let app = signed_in.service().applications().find(signed_in.user_id(), app).await?;
    let draft = Draft::of_app(&app);
    Ok(signed_in.show(&page(&signed_in, app.into(), draft)))
}

/// Saves the changes.
pub(super) async fn change(form: UserForm, AppInPath(app): AppInPath) -> PageResult {
    let before = form.service().applications().find(form.user_id(), app).await?;
    let mut draft = Draft::of_form(form.fields());
    let Some(registration) = draft.validate(form.service().settings()) else {
        let page = page(form.visitor(), before.into(), draft);
        return Ok(form.visitor().show_problem(&page, StatusCode::BAD_REQUEST));
    };
    let change = ApplicationChanges {
        name: Some(registration.name),
        domain: Some(registration.domain),
        description: Some(registration.description),
    };
    let after = form.service().applications().update(form.user_id(), before.id, change).await?;
    let has_moved = after.domain != before.domain;
    let notice = if has_moved { Notice::DomainChanged } else { Notice::ApplicationChanged };
    Ok(PageResponse::redirect(&LocalPath::of_application(after.id), notice))
}

fn page(visitor: &Visitor, app: ApplicationDetails, draft: Draft) -> ChangePage {
    let development = visitor.service().settings().development;
    let layout = visitor.layout(format!("Change {}", app.name), Section::Developer);
    ChangePage { layout, app, draft, development }
}
