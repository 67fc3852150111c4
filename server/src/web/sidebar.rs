//! My presence: status and notifications over a device's socket of the page's own, who sees me, my devices, my account.

pub(super) mod erase;

use std::str::FromStr;

use askama::Template;
use poem::{Response, handler};
use presence_core::roster::DeviceInfo;
use presence_protocol::{ApiError, AppId, DeviceName, Errno, Status};
use presence_service::GrantedApp;
use presence_service::tickets::TICKET_LIFETIME;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::http::ErrorResponse;
use crate::page::{Moment, Notice, Place, Shell};

use super::visitor::see_other;
use super::{SignedForm, Visitor};

/// Where it is.
pub(super) const PATH: &str = "/sidebar";

#[derive(Template)]
#[template(path = "sidebar.html")]
struct Sidebar {
    shell: Shell,
    grants: Vec<GrantRow>,
    devices: Vec<DeviceRow>,
    /// What Applications see where nothing is paused or hidden: the best of the devices.
    best: &'static str,
}

#[derive(Template)]
#[template(path = "sidebar_stranger.html")]
struct ForStrangers {
    shell: Shell,
}

/// An Application that sees the user.
struct GrantRow {
    appid: String,
    uid: String,
    name: String,
    domain: String,
    paused: bool,
    active: bool,
    granted: Moment,
    looked: Option<Moment>,
}

impl From<GrantedApp> for GrantRow {
    fn from(granted: GrantedApp) -> Self {
        let GrantedApp { grant, name, domain, state, last_looked_at } = granted;
        Self {
            appid: grant.app.to_string(),
            uid: grant.puid.to_string(),
            name,
            domain,
            paused: grant.paused,
            active: state == presence_core::ApplicationState::Active,
            granted: Moment::new(grant.granted_at),
            looked: last_looked_at.map(Moment::new),
        }
    }
}

/// A device of the user.
struct DeviceRow {
    name: String,
    status: &'static str,
    message: Option<String>,
    connected: bool,
    since: Moment,
}

impl From<DeviceInfo> for DeviceRow {
    fn from(info: DeviceInfo) -> Self {
        Self {
            name: info.device.to_string(),
            status: word(info.view.status),
            message: info.view.text.map(String::from),
            connected: info.connected,
            since: Moment::new(info.since),
        }
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Online => "online",
        Status::Unavailable => "unavailable",
        Status::Offline => "offline",
    }
}

#[handler]
pub(super) async fn show(visitor: Visitor) -> poem::Result<Response> {
    let shell = visitor.shell("My presence", Place::Presence);
    let Some(me) = visitor.caller().map(|caller| caller.user) else {
        return Ok(visitor.show(&ForStrangers { shell }));
    };
    let presence = visitor.service();
    let grants = presence.grants_of(me).await.map_err(ErrorResponse::from)?;
    let grants = grants.into_iter().map(GrantRow::from).collect();
    let devices: Vec<DeviceRow> =
        presence.devices_of(me).into_iter().map(DeviceRow::from).collect();
    let is_any = |status: &&str| devices.iter().any(|device| device.status == *status);
    let best = ["online", "unavailable"].into_iter().find(is_any).unwrap_or("offline");
    Ok(visitor.show(&Sidebar { shell, grants, devices, best }))
}

/// What the page's script opens its socket with.
#[handler]
#[expect(clippy::unused_async, reason = "poem takes async handlers only")]
pub(super) async fn ticket(form: SignedForm) -> Response {
    let ticket = form.service().ticket(&form.user.caller);
    let body = json!({ "token": ticket.expose_secret(), "expires_in": TICKET_LIFETIME.as_secs() });
    Response::builder().content_type("application/json; charset=utf-8").body(body.to_string())
}

#[handler]
pub(super) async fn pause(form: SignedForm) -> poem::Result<Response> {
    let (app, pause) = (app(&form)?, form.fields.get("paused") == Some("true"));
    let done = if pause { Notice::Paused } else { Notice::Resumed };
    let paused = form.service().pause(form.me(), app, pause).await;
    Ok(told(paused.map(drop), Errno::UnknownApplication, (done, Notice::NoSuchGrant))?)
}

#[handler]
pub(super) async fn revoke(form: SignedForm) -> poem::Result<Response> {
    let revoked = form.service().revoke(form.me(), app(&form)?).await;
    let said = (Notice::Revoked, Notice::NoSuchGrant);
    Ok(told(revoked, Errno::UnknownApplication, said)?)
}

#[handler]
#[expect(clippy::unused_async, reason = "poem takes async handlers only")]
pub(super) async fn end_device(form: SignedForm) -> poem::Result<Response> {
    let device: DeviceName = field(&form, "device")?;
    let ended = form.service().end_device(form.me(), &device);
    Ok(told(ended, Errno::NotFound, (Notice::DeviceEnded, Notice::NoSuchDevice))?)
}

fn app(form: &SignedForm) -> Result<AppId, ErrorResponse> {
    field(form, "appid")
}

fn field<T: FromStr>(form: &SignedForm, name: &str) -> Result<T, ErrorResponse> {
    let text = form.fields.required(name)?;
    text.parse().map_err(|_| ApiError::detailed(Errno::InvalidField, name).into())
}

/// Back to the page, which says what was done, or that the thing was `gone` already.
fn told(
    done: Result<(), ApiError>,
    gone: Errno,
    said: (Notice, Notice),
) -> Result<Response, ErrorResponse> {
    let (good, bad) = said;
    match done {
        Ok(()) => Ok(see_other(PATH, good)),
        Err(ko) if ko.errno == gone => Ok(see_other(PATH, bad)),
        Err(ko) => Err(ko.into()),
    }
}
