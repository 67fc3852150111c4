//! Finding an Application, and blocking it.

use askama::Template;
use poem::web::{Path, Query};
use presence_protocol::{AppId, Errno};
use presence_service::operator::{ApplicationMatch, MAX_MATCHES};
use serde::Deserialize;

use crate::page::{Layout, LocalPath, Notice, PageResponse, Timestamp};
use crate::web::application_state;
use crate::web::page_routes::PageResult;

use super::session::{Operator, OperatorForm, layout};

/// The query of the page.
#[derive(Deserialize)]
pub(super) struct FindQuery {
    /// An id, or a part of a name or a domain.
    #[serde(default)]
    find: String,
}

/// An Application that was found.
struct FoundRow {
    id: String,
    name: String,
    domain: String,
    /// Its state in a word or two.
    state: &'static str,
    owner: i64,
    sockets: usize,
    created_at: Timestamp,
    blocked_at: Option<Timestamp>,
}

impl From<ApplicationMatch> for FoundRow {
    fn from(found: ApplicationMatch) -> Self {
        let ApplicationMatch { app, sockets } = found;
        Self {
            id: app.id.to_string(),
            name: app.name,
            domain: app.domain,
            state: application_state::label(app.state, app.blocked_at),
            owner: app.owner.0,
            sockets,
            created_at: Timestamp::new(app.created_at),
            blocked_at: app.blocked_at.map(Timestamp::new),
        }
    }
}

#[derive(Template)]
#[template(path = "operator/applications.html")]
struct FindPage {
    layout: Layout,
    csrf_token: String,
    query: String,
    found: Vec<FoundRow>,
    /// Indicates that there may be more matches.
    is_full: bool,
}

/// Shows the Applications that match the query.
pub(super) async fn find(operator: Operator, Query(query): Query<FindQuery>) -> PageResult {
    let Operator { visitor, session } = operator;
    let query = query.find.trim().to_owned();
    let found = session.service().operator().search(&query).await?;
    let found: Vec<FoundRow> = found.into_iter().map(FoundRow::from).collect();
    let is_full = found.len() as u64 >= MAX_MATCHES;
    let layout = layout(&visitor, "Applications");
    let page = FindPage { layout, csrf_token: session.csrf_token(), query, found, is_full };
    Ok(visitor.show(&page))
}

/// Blocks an Application.
pub(super) async fn block(form: OperatorForm, Path(appid): Path<String>) -> PageResult {
    form.session().service().operator().block(parse(&appid)?).await?;
    Ok(redirect(&form, Notice::Blocked))
}

/// Unblocks an Application.
pub(super) async fn unblock(form: OperatorForm, Path(appid): Path<String>) -> PageResult {
    form.session().service().operator().unblock(parse(&appid)?).await?;
    Ok(redirect(&form, Notice::Unblocked))
}

/// Sends the browser back to the query.
fn redirect(form: &OperatorForm, notice: Notice) -> PageResponse {
    let query = form.fields().get("find").unwrap_or_default();
    let path = LocalPath::fixed("/admin/applications").with_query("find", query);
    PageResponse::redirect(&path, notice)
}

fn parse(appid: &str) -> Result<AppId, Errno> {
    appid.parse().map_err(|_| Errno::UnknownApplication)
}
