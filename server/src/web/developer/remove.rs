//! Removing an Application, which cannot be undone.

use askama::Template;
use poem::http::StatusCode;
use poem::{Response, handler};
use presence_core::{App, UserId};

use crate::http::ErrorResponse;
use crate::page::{Notice, Place, Policy, Shell};
use crate::web::visitor::see_other;
use crate::web::{SignedForm, SignedIn, Visitor};

use super::Named;
use super::view::AppView;

#[derive(Template)]
#[template(path = "developer/remove.html")]
struct RemovePage {
    shell: Shell,
    app: AppView,
    grants: u64,
    typed: String,
    problem: Option<&'static str>,
}

#[handler]
pub(super) async fn show(signed_in: SignedIn, Named(app): Named) -> poem::Result<Response> {
    let me = signed_in.me();
    let app =
        signed_in.service().applications().find(me, app).await.map_err(ErrorResponse::from)?;
    let page = page(&signed_in, me, app).await?;
    Ok(signed_in.show(&page))
}

#[handler]
pub(super) async fn remove(
    visitor: Visitor,
    form: SignedForm,
    Named(app): Named,
) -> poem::Result<Response> {
    let app =
        form.service().applications().find(form.me(), app).await.map_err(ErrorResponse::from)?;
    let typed = form.fields.get("domain").unwrap_or_default();
    if !typed.eq_ignore_ascii_case(&app.domain) {
        let problem = Some("This is not its domain. Nothing was removed.");
        let page = page(&visitor, form.me(), app).await?;
        let page = RemovePage { problem, typed: typed.to_owned(), ..page };
        return Ok(visitor.show_with(&page, StatusCode::BAD_REQUEST, &Policy::new()));
    }
    form.service().applications().remove(form.me(), app.id).await.map_err(ErrorResponse::from)?;
    Ok(see_other("/myapps", Notice::ApplicationRemoved))
}

async fn page(visitor: &Visitor, owner: UserId, app: App) -> Result<RemovePage, ErrorResponse> {
    let grants = visitor.service().applications().count_grants(owner, app.id).await?;
    let shell = visitor.shell(format!("Remove {}", app.name), Place::Developer);
    Ok(RemovePage { shell, app: app.into(), grants, typed: String::new(), problem: None })
}
