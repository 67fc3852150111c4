//! The question whether an Application may see whoever looks. The answer goes to the API's own `POST /grant/<appid>`.

use askama::Template;
use poem::http::StatusCode;
use poem::web::{Path, Query};
use poem::{Request, Response, handler};
use presence_core::model::App;
use presence_protocol::{ApiError, AppId, Errno};
use presence_service::grants::RedirectTarget;
use presence_service::rules;
use serde::Deserialize;
use url::Url;

use crate::http::ErrorResponse;
use crate::page::{self, Place, Policy, Shell};

use super::{Visitor, return_path};

/// The most characters of what an Application calls its user.
const ID_CHARS: usize = 200;

/// What the Application's link says.
#[derive(Deserialize)]
struct Asked {
    /// Where the user wants to go afterwards.
    redirect: Option<String>,
    /// What the Application wants to get back untouched.
    state: Option<String>,
    /// What the Application calls the user, for the user to recognise.
    id: Option<String>,
}

#[derive(Template)]
#[template(path = "grant.html")]
struct GrantPage {
    shell: Shell,
    appid: AppId,
    app: App,
    id: Option<String>,
    /// The name under which the Application sees the user already.
    known_as: Option<String>,
    redirect: String,
    state: String,
    /// Where the user is sent afterwards.
    origin: Option<String>,
    /// The path of this very page.
    here: String,
}

#[handler]
pub(super) async fn show(
    request: &Request,
    visitor: Visitor,
    Path(appid): Path<String>,
    Query(asked): Query<Asked>,
) -> poem::Result<Response> {
    let here = request.uri().path_and_query().map_or("/", |path| path.as_str());
    Ok(question(&visitor, &appid, asked, here).await?)
}

/// The link is checked before anybody is asked to sign in, so that a bad one leads nowhere.
async fn question(
    visitor: &Visitor,
    appid: &str,
    asked: Asked,
    here: &str,
) -> Result<Response, ErrorResponse> {
    let presence = visitor.service();
    let appid: AppId = appid.parse().map_err(|_| Errno::UnknownApplication)?;
    let app = presence.grantable_app(appid).await?;
    let Asked { redirect, state, id } = asked;
    let (redirect, id) = (said(redirect), said(id));
    rules::display_text("id", id.as_deref().unwrap_or_default(), ID_CHARS, true)?;
    check_state(state.as_deref().unwrap_or_default())?;
    let target = RedirectTarget { redirect: redirect.clone(), state: None };
    let origin = presence.decline(appid, &target).await?.and_then(|url| origin(&url));
    let Some(caller) = visitor.caller() else {
        return Ok(page::see_other(&return_path::sign_in(here)));
    };
    let grants = presence.grants_of(caller.user).await?;
    let known = grants.into_iter().find(|granted| granted.grant.app == appid);
    let policy = origin.as_deref().map_or_else(Policy::new, Policy::sending_to);
    let page = GrantPage {
        shell: visitor.shell(format!("Let {} see me?", app.name), Place::Elsewhere),
        appid,
        app,
        id,
        known_as: known.map(|granted| granted.grant.puid.to_string()),
        redirect: redirect.unwrap_or_default(),
        state: state.unwrap_or_default(),
        origin,
        here: return_path::sign_in(here),
    };
    Ok(visitor.show_with(&page, StatusCode::OK, &policy))
}

fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// A form would not carry line breaks as they are, and what cannot be handed back untouched is refused.
fn check_state(state: &str) -> Result<(), ApiError> {
    if state.contains(char::is_control) {
        let wanted = "state must be a text without control characters";
        return Err(ApiError::detailed(Errno::InvalidField, wanted));
    }
    Ok(())
}

fn origin(url: &str) -> Option<String> {
    Url::parse(url).ok().map(|url| url.origin().ascii_serialization())
}
