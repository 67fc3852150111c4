//! Removing an Application, which cannot be undone.

use askama::Template;
use poem::http::StatusCode;
use presence_core::{App, UserId};

use crate::http::ErrorResponse;
use crate::page::{Layout, LocalPath, Notice, PageResponse, Section};
use crate::web::forms::UserForm;
use crate::web::page_routes::PageResult;
use crate::web::request_parts::AppInPath;
use crate::web::visitor::{SignedIn, Visitor};

use super::details::ApplicationDetails;

#[derive(Template)]
#[template(path = "developer/remove.html")]
struct RemovePage {
    layout: Layout,
    app: ApplicationDetails,
    grants: u64,
    typed: String,
    problem: Option<&'static str>,
}

/// Asks for the domain of the Application.
pub(super) async fn show(signed_in: SignedIn, AppInPath(app): AppInPath) -> PageResult {
    let user = signed_in.user_id();
    let app = signed_in.service().applications().find(user, app).await?;
    let page = page(&signed_in, user, app).await?;
    Ok(signed_in.show(&page))
}

/// Removes the Application if its domain was typed.
pub(super) async fn remove(form: UserForm, AppInPath(app): AppInPath) -> PageResult {
    let app = form.service().applications().find(form.user_id(), app).await?;
    let typed = form.fields().get("domain").unwrap_or_default();
    if !typed.eq_ignore_ascii_case(&app.domain) {
        let problem = Some("This is not the domain of the Application. Nothing was removed.");
        let page = page(form.visitor(), form.user_id(), app).await?;
        let page = RemovePage { problem, typed: typed.to_owned(), ..page };
        return Ok(form.visitor().show_problem(&page, StatusCode::BAD_REQUEST));
    }
    form.service().applications().remove(form.user_id(), app.id).await?;
    Ok(PageResponse::redirect(&LocalPath::fixed("/myapps"), Notice::ApplicationRemoved))
}

async fn page(visitor: &Visitor, owner: UserId, app: App) -> Result<RemovePage, ErrorResponse> {
    let grants = visitor.service().applications().count_grants(owner, app.id).await?;
    let layout = visitor.layout(format!("Remove {}", app.name), Section::Developer);
    Ok(RemovePage { layout, app: app.into(), grants, typed: String::new(), problem: None })
}
