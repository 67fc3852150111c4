//! The page on which a user revokes the grant of one Application. Applications link to it, as they
//! did in 2013; nothing is revoked before the user confirms it.

use askama::Template;
use poem::http::StatusCode;
use poem::web::{Path, Query};
use presence_protocol::{AppId, Errno};
use presence_service::GrantedApp;
use serde::Deserialize;
use url::Url;

use crate::page::{ContentPolicy, Layout, LocalPath, Notice, PageResponse, Section};

use super::forms::UserForm;
use super::page_routes::PageResult;
use super::request_parts::PathAndQuery;
use super::visitor::Visitor;

/// The query of the Application's link.
#[derive(Deserialize)]
pub(super) struct RevokeQuery {
    /// The URL to redirect to afterwards, on the Application's domain.
    redirect: Option<String>,
}

#[derive(Template)]
#[template(path = "revoke.html")]
struct RevokePage {
    layout: Layout,
    appid: AppId,
    /// The name and the domain of the Application, if the user has given it a grant.
    granted: Option<(String, String)>,
    redirect: String,
    /// The origin to which the form redirects.
    origin: Option<String>,
}

/// Shows the page. It asks, and changes nothing.
pub(super) async fn show(
    visitor: Visitor,
    Path(appid): Path<String>,
    Query(query): Query<RevokeQuery>,
    PathAndQuery(path): PathAndQuery,
) -> PageResult {
    let service = visitor.service();
    let appid: AppId = appid.parse().map_err(|_| Errno::UnknownApplication)?;
    let redirect = query.redirect.filter(|url| !url.is_empty());
    let target = service.grants().revoke_redirect(appid, redirect).await?;
    let Some(caller) = visitor.caller() else {
        return Ok(PageResponse::see_other(&LocalPath::sign_in(&path)));
    };
    let grants = service.grants().list(caller.user).await?;
    let granted = grants.into_iter().find(|granted| granted.grant.app == appid);
    let now = service.now();
    let names = |granted: GrantedApp| (granted.displayed_name(now), granted.domain);
    let origin = target.as_deref().and_then(|url| Url::parse(url).ok());
    let origin = origin.map(|url| url.origin().ascii_serialization());
    let policy = origin.as_deref().map_or_else(ContentPolicy::page, ContentPolicy::redirecting_to);
    let page = RevokePage {
        layout: visitor.layout("Revoke a permission", Section::Unlisted),
        appid,
        granted: granted.map(names),
        redirect: target.unwrap_or_default(),
        origin,
    };
    Ok(visitor.show_with(&page, StatusCode::OK, &policy))
}

/// Revokes the grant, and sends the user back to the Application if its link asked for that.
pub(super) async fn revoke(form: UserForm, Path(appid): Path<String>) -> PageResult {
    let appid: AppId = appid.parse().map_err(|_| Errno::UnknownApplication)?;
    let grants = form.service().grants();
    let redirect = form.fields().get("redirect").map(str::to_owned);
    let target = grants.revoke_redirect(appid, redirect).await?;
    let notice = match grants.revoke(form.user_id(), appid).await {
        Ok(()) => Notice::Revoked,
        Err(error) if error.errno == Errno::UnknownApplication => Notice::NoSuchGrant,
        Err(error) => return Err(error.into()),
    };
    Ok(match target {
        Some(url) => PageResponse::to_application(&url),
        None => PageResponse::redirect(&LocalPath::fixed("/sidebar"), notice),
    })
}
