//! Finding an Application, and blocking it.

use askama::Template;
use poem::web::{Path, Query};
use poem::{Response, handler};
use presence_core::ApplicationState;
use presence_protocol::{AppId, Errno};
use presence_service::operator::{ApplicationMatch, MAX_MATCHES};
use serde::Deserialize;

use crate::http::ErrorResponse;
use crate::page::{Moment, Notice, Shell};
use crate::web::Visitor;
use crate::web::visitor::see_other;

use super::guard::{Operator, OperatorForm, shell};

/// What the page is asked with.
#[derive(Deserialize)]
struct Wish {
    #[serde(default)]
    find: String,
}

struct FoundView {
    id: String,
    name: String,
    domain: String,
    state: &'static str,
    owner: i64,
    sockets: usize,
    created_at: Moment,
    blocked_at: Option<Moment>,
}

impl From<ApplicationMatch> for FoundView {
    fn from(found: ApplicationMatch) -> Self {
        let ApplicationMatch { app, sockets } = found;
        let state = match (app.blocked_at, app.state) {
            (Some(_), _) => "blocked",
            (None, ApplicationState::Registered) => "not verified",
            (None, ApplicationState::Verified) => "verified",
            (None, ApplicationState::Active) => "active",
            (None, ApplicationState::Inactive) => "stopped",
        };
        Self {
            id: app.id.to_string(),
            name: app.name,
            domain: app.domain,
            state,
            owner: app.owner.0,
            sockets,
            created_at: Moment::new(app.created_at),
            blocked_at: app.blocked_at.map(Moment::new),
        }
    }
}

#[derive(Template)]
#[template(path = "operator/applications.html")]
struct FindPage {
    shell: Shell,
    csrf_token: String,
    wanted: String,
    found: Vec<FoundView>,
    /// Whether there may be more.
    full: bool,
}

#[handler]
pub(super) async fn find(
    visitor: Visitor,
    operator: Operator,
    Query(wish): Query<Wish>,
) -> poem::Result<Response> {
    let wanted = wish.find.trim().to_owned();
    let found = operator.service().operator().search(&wanted).await.map_err(ErrorResponse::from)?;
    let found: Vec<FoundView> = found.into_iter().map(FoundView::from).collect();
    let full = found.len() as u64 >= MAX_MATCHES;
    let (shell, csrf_token) = (shell(&visitor, "Applications"), operator.csrf_token());
    Ok(visitor.show(&FindPage { shell, csrf_token, wanted, found, full }))
}

#[handler]
pub(super) async fn block(form: OperatorForm, Path(appid): Path<String>) -> poem::Result<Response> {
    form.operator.service().operator().block(named(&appid)?).await.map_err(ErrorResponse::from)?;
    Ok(back(&form, Notice::Blocked))
}

#[handler]
pub(super) async fn unblock(
    form: OperatorForm,
    Path(appid): Path<String>,
) -> poem::Result<Response> {
    form.operator
        .service()
        .operator()
        .unblock(named(&appid)?)
        .await
        .map_err(ErrorResponse::from)?;
    Ok(back(&form, Notice::Unblocked))
}

/// To what was looked for.
fn back(form: &OperatorForm, notice: Notice) -> Response {
    let wanted = form.fields.get("find").unwrap_or_default();
    let wanted: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    see_other(&format!("/admin/applications?find={wanted}"), notice)
}

fn named(text: &str) -> Result<AppId, ErrorResponse> {
    text.parse().map_err(|_| Errno::UnknownApplication.into())
}
