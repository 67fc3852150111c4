//! The list of a developer's Applications, and the registration of a new one.

use askama::Template;
use poem::http::StatusCode;
use presence_protocol::Errno;

use crate::page::{Layout, LocalPath, Notice, PageResponse, Section};
use crate::web::forms::UserForm;
use crate::web::page_routes::PageResult;
use crate::web::visitor::{SignedIn, Visitor};

use super::details::ApplicationDetails;
use super::draft::Draft;

#[derive(Template)]
#[template(path = "developer/applications.html")]
struct ListPage {
    layout: Layout,
    apps: Vec<ApplicationDetails>,
}

#[derive(Template)]
#[template(path = "developer/new.html")]
struct RegistrationPage {
    layout: Layout,
    draft: Draft,
    development: bool,
}

/// Shows the list.
pub(super) async fn list(signed_in: SignedIn) -> PageResult {
    let apps = signed_in.service().applications().list(signed_in.user_id()).await?;
    let apps = apps.into_iter().map(ApplicationDetails::from).collect();
    let layout = signed_in.layout("My Applications", Section::Developer);
    Ok(signed_in.show(&ListPage { layout, apps }))
}

/// Shows an empty registration form.
pub(super) async fn new(signed_in: SignedIn) -> PageResult {
    Ok(signed_in.show(&page(&signed_in, Draft::default())))
}

/// Registers an Application.
pub(super) async fn register(form: UserForm) -> PageResult {
    let mut draft = Draft::of_form(form.fields());
    let Some(registration) = draft.validate(form.service().settings()) else {
        return Ok(show_again(form.visitor(), draft));
    };
    match form.service().applications().register(form.user_id(), registration).await {
        Ok(app) => {
            Ok(PageResponse::redirect(&LocalPath::of_application(app.id), Notice::Registered))
        }
        Err(error) if error.errno == Errno::TooLarge => {
            let limit = form.service().settings().apps_per_developer;
            let problem = format!("You have {limit} Applications already. Remove one first.");
            Ok(show_again(form.visitor(), Draft { problem: Some(problem), ..draft }))
        }
        Err(error) => Err(error.into()),
    }
}

fn show_again(visitor: &Visitor, draft: Draft) -> PageResponse {
    visitor.show_problem(&page(visitor, draft), StatusCode::BAD_REQUEST)
}

fn page(visitor: &Visitor, draft: Draft) -> RegistrationPage {
    let layout = visitor.layout("Register an Application", Section::Developer);
    RegistrationPage { layout, draft, development: visitor.service().settings().development }
}
