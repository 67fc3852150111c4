//! The consent page, which asks a user if an Application may see the user's status. It sends the
//! decision to the REST API's `POST /grant/<appid>`.

use askama::Template;
use poem::http::StatusCode;
use poem::web::{Path, Query};
use presence_core::model::App;
use presence_protocol::{ApiError, AppId, Errno};
use presence_service::grants::RedirectTarget;
use presence_service::rules;
use serde::Deserialize;
use url::Url;

use crate::page::{ContentPolicy, Layout, LocalPath, PageResponse, Section};

use super::page_routes::PageResult;
use super::request_parts::PathAndQuery;
use super::visitor::Visitor;

/// The maximum number of characters of the name that an Application has for its user.
const MAX_ID_CHARS: usize = 200;

/// The query of the Application's link.
#[derive(Deserialize)]
pub(super) struct GrantQuery {
    /// The URL to redirect to afterwards.
    redirect: Option<String>,
    /// A text that the Application gets back unchanged.
    state: Option<String>,
    /// The name that the Application has for the user, by which the user recognises the account.
    id: Option<String>,
}

#[derive(Template)]
#[template(path = "grant.html")]
struct GrantPage {
    layout: Layout,
    appid: AppId,
    /// The name of the Application, with the old one if it has changed lately.
    name: String,
    app: App,
    id: Option<String>,
    /// The PUID, if the user has given a grant already.
    puid: Option<String>,
    /// The domain that the user agreed to, if the Application has another one now.
    former_domain: Option<String>,
    redirect: String,
    state: String,
    /// The origin to which the form redirects.
    origin: Option<String>,
    /// The path that signs another user in and returns to this page.
    sign_in_path: LocalPath,
}

/// Shows the page. The link is checked first, so that a visitor does not sign in for a link that is
/// not valid.
pub(super) async fn show(
    visitor: Visitor,
    Path(appid): Path<String>,
    Query(query): Query<GrantQuery>,
    PathAndQuery(path): PathAndQuery,
) -> PageResult {
    let service = visitor.service();
    let appid: AppId = appid.parse().map_err(|_| Errno::UnknownApplication)?;
    let app = service.grants().find_application(appid).await?;
    let GrantQuery { redirect, state, id } = query;
    let (redirect, id) = (non_empty(redirect), non_empty(id));
    rules::check_display_text("id", id.as_deref().unwrap_or_default(), MAX_ID_CHARS, true)?;
    check_state(state.as_deref().unwrap_or_default())?;
    let target = RedirectTarget { redirect: redirect.clone(), ..RedirectTarget::default() };
    let origin = service.grants().decline(appid, &target).await?.and_then(|url| origin(&url));
    let Some(caller) = visitor.caller() else {
        return Ok(PageResponse::see_other(&LocalPath::sign_in(&path)));
    };
    let grants = service.grants().list(caller.user).await?;
    let known = grants.into_iter().find(|granted| granted.grant.app == appid);
    let policy = origin.as_deref().map_or_else(ContentPolicy::page, ContentPolicy::redirecting_to);
    let name = app.displayed_name(service.now());
    let page = GrantPage {
        layout: visitor.layout(format!("Allow {name} to see your status?"), Section::Unlisted),
        appid,
        name,
        app,
        id,
        puid: known.as_ref().map(|granted| granted.grant.puid.to_string()),
        former_domain: known
            .filter(|granted| granted.grant.waiting)
            .map(|granted| granted.granted_domain),
        redirect: redirect.unwrap_or_default(),
        state: state.unwrap_or_default(),
        origin,
        sign_in_path: LocalPath::sign_in(&path),
    };
    Ok(visitor.show_with(&page, StatusCode::OK, &policy))
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Checks that a form can carry the state unchanged, which it cannot with line breaks.
fn check_state(state: &str) -> Result<(), ApiError> {
    if state.contains(char::is_control) {
        let expected = "state must be a string without control characters";
        return Err(ApiError::detailed(Errno::InvalidField, expected));
    }
    Ok(())
}

fn origin(url: &str) -> Option<String> {
    Url::parse(url).ok().map(|url| url.origin().ascii_serialization())
}
