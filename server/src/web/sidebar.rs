//! The page of a user: the status, the Applications that can see it, the devices, and the account.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use askama::Template;
use presence_core::Scope;
use presence_core::roster::DeviceInfo;
use presence_core::{ApplicationState, UnixMillis};
use presence_protocol::{ApiError, AppId, DeviceName, Errno};
use presence_service::grants::SeenGrant;
use presence_service::hub::PageVersion;
use presence_service::sessions::{AuthenticatedUser, OpenSession};
use presence_service::tickets::TICKET_LIFETIME;
use presence_service::{GrantedApp, PresenceService};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::page::{Layout, LocalPath, Notice, PageResponse, Section, Timestamp};

use super::forms::UserForm;
use super::page_routes::{PageError, PageResult};
use super::request_parts::KnownVersion;
use super::visitor::Visitor;

/// The path of the page.
const PATH: &str = "/sidebar";

#[derive(Template)]
#[template(path = "sidebar.html")]
struct SidebarPage {
    layout: Layout,
    grants: Vec<GrantRow>,
    devices: Vec<DeviceRow>,
    sessions: Vec<SessionRow>,
    /// The best status that an Application sees now.
    visible_status: &'static str,
}

#[derive(Template)]
#[template(path = "sidebar_signed_out.html")]
struct SignedOutPage {
    layout: Layout,
}

/// An Application that sees the user.
struct GrantRow {
    appid: String,
    uid: String,
    name: String,
    /// The beginning of the id, if another Application that sees the user has the same name.
    id_beginning: Option<String>,
    domain: String,
    paused: bool,
    active: bool,
    /// The domain that the user agreed to, if the Application has another one now.
    former_domain: Option<String>,
    /// The status that the Application sees.
    visible_status: &'static str,
    granted_at: Timestamp,
    /// Set while the Application gets each change.
    is_checking: bool,
    last_checked_at: Option<Timestamp>,
}

impl GrantRow {
    fn new(
        granted: GrantedApp,
        (visible_status, is_checking): (&'static str, bool),
        now: UnixMillis,
    ) -> Self {
        let name = granted.displayed_name(now);
        let GrantedApp { grant, domain, granted_domain, state, last_looked_at, .. } = granted;
        Self {
            appid: grant.app.to_string(),
            uid: grant.puid.to_string(),
            name,
            id_beginning: None,
            domain,
            paused: grant.paused,
            former_domain: grant.waiting.then_some(granted_domain),
            active: state == ApplicationState::Active,
            visible_status,
            granted_at: Timestamp::new(grant.granted_at),
            is_checking,
            last_checked_at: last_looked_at.map(Timestamp::new),
        }
    }
}

/// Marks the Applications whose name is that of another one.
fn mark_namesakes(grants: &mut [GrantRow]) {
    let mut count: HashMap<String, usize> = HashMap::new();
    for grant in &*grants {
        *count.entry(grant.name.clone()).or_default() += 1;
    }
    for grant in grants {
        if count.get(&grant.name).is_some_and(|count| *count > 1) {
            grant.id_beginning = Some(grant.appid.chars().take(8).collect());
        }
    }
}

/// A device of the user.
struct DeviceRow {
    name: String,
    status: &'static str,
    text: Option<String>,
    connected: bool,
    since: Timestamp,
}

impl From<DeviceInfo> for DeviceRow {
    fn from(info: DeviceInfo) -> Self {
        Self {
            name: info.device.to_string(),
            status: info.view.status.as_str(),
            text: info.view.text.map(String::from),
            connected: info.connected,
            since: Timestamp::new(info.since),
        }
    }
}

/// A session of the user.
struct SessionRow {
    id: String,
    is_current: bool,
    /// Set if the session may not use this page.
    is_device_only: bool,
    devices: String,
    created_at: Timestamp,
    expires_at: Timestamp,
}

impl From<OpenSession> for SessionRow {
    fn from(session: OpenSession) -> Self {
        let devices: Vec<String> = session.devices.iter().map(ToString::to_string).collect();
        Self {
            id: session.id,
            is_current: session.is_current,
            is_device_only: session.scope == Scope::Device,
            devices: devices.join(", "),
            created_at: Timestamp::new(session.created_at),
            expires_at: Timestamp::new(session.expires_at),
        }
    }
}

/// Shows the page, or says that the version that the script of the page has is the current one.
pub(super) async fn show(visitor: Visitor, KnownVersion(known): KnownVersion) -> PageResult {
    let layout = visitor.layout("My presence", Section::Presence);
    let Some(caller) = visitor.caller() else {
        return Ok(visitor.show(&SignedOutPage { layout }));
    };
    // The version is older than everything that is read for the page, so no change is missed.
    let version = version(visitor.service(), caller);
    if let (Some(known), Some(version)) = (&known, &version)
        && known == version
        && !visitor.has_notice()
    {
        return Ok(PageResponse::not_modified(version));
    }
    let page = read(&visitor, caller, layout).await?;
    Ok(match version {
        Some(version) => visitor.show(&page).with_version(&version),
        None => visitor.show_unless_known(&page, known.as_deref()),
    })
}

/// Returns the version of the page of a session.
fn version(service: &PresenceService, caller: &AuthenticatedUser) -> Option<String> {
    let PageVersion(version) = service.accounts().page_version(caller.user)?;
    let mut hasher = DefaultHasher::new();
    (version, caller.digest).hash(&mut hasher);
    Some(format!("\"{:016x}\"", hasher.finish()))
}

async fn read(
    visitor: &Visitor,
    caller: &AuthenticatedUser,
    layout: Layout,
) -> Result<SidebarPage, PageError> {
    let (service, user) = (visitor.service(), caller.user);
    let sessions = service.sessions().list(caller).await?;
    let seen = service.grants().list_seen(user).await?;
    let expires_at = sessions.iter().map(|session| session.expires_at).min();
    let shown = seen.iter().map(|seen| seen.app.grant).collect();
    service.accounts().note_page(user, shown, expires_at);
    let now = service.now();
    let statuses = seen.iter().map(|seen| seen.visible_status);
    let visible_status = statuses.max().unwrap_or_default().as_str();
    let mut grants: Vec<GrantRow> = seen
        .into_iter()
        .map(|SeenGrant { app, is_checking, visible_status }| {
            GrantRow::new(app, (visible_status.as_str(), is_checking), now)
        })
        .collect();
    mark_namesakes(&mut grants);
    let sessions = sessions.into_iter().map(SessionRow::from).collect();
    let devices: Vec<DeviceRow> =
        service.devices().list(user).await?.into_iter().map(DeviceRow::from).collect();
    Ok(SidebarPage { layout, grants, devices, sessions, visible_status })
}

/// Returns a ticket, with which the script of the page opens its socket.
pub(super) async fn ticket(form: UserForm) -> PageResult {
    let caller = form.visitor().caller().ok_or(Errno::Forbidden)?;
    let ticket = form.service().sessions().issue_ticket(caller).await?;
    let body = json!({ "token": ticket.expose_secret(), "expires_in": TICKET_LIFETIME.as_secs() });
    Ok(PageResponse::json(body.to_string()))
}

/// Pauses or resumes a grant.
pub(super) async fn pause(form: UserForm) -> PageResult {
    let app: AppId = form.parse("appid")?;
    let pause = form.fields().get("paused") == Some("true");
    let done = if pause { Notice::Paused } else { Notice::Resumed };
    let paused = form.service().grants().pause(form.user_id(), app, pause).await;
    redirect(paused.map(drop), Errno::UnknownApplication, (done, Notice::NoSuchGrant))
}

/// Revokes a grant.
pub(super) async fn revoke(form: UserForm) -> PageResult {
    let app: AppId = form.parse("appid")?;
    let revoked = form.service().grants().revoke(form.user_id(), app).await;
    redirect(revoked, Errno::UnknownApplication, (Notice::Revoked, Notice::NoSuchGrant))
}

/// Disconnects a device.
pub(super) async fn end_device(form: UserForm) -> PageResult {
    let device: DeviceName = form.parse("device")?;
    let caller = form.visitor().caller().ok_or(Errno::Forbidden)?;
    let ended = form.service().devices().end(caller, &device).await;
    let keeps_session = ended.as_ref().is_ok_and(|ended| ended.keeps_session);
    let done = if keeps_session { Notice::OwnDeviceEnded } else { Notice::DeviceEnded };
    redirect(ended.map(drop), Errno::NotFound, (done, Notice::NoSuchDevice))
}

/// Ends another session.
pub(super) async fn end_session(form: UserForm) -> PageResult {
    let id: String = form.parse("session")?;
    let caller = form.visitor().caller().ok_or(Errno::Forbidden)?;
    let ended = form.service().sessions().end_other(caller, &id).await;
    redirect(ended, Errno::NotFound, (Notice::SessionEnded, Notice::NoSuchSession))
}

/// Ends all other sessions.
pub(super) async fn end_other_sessions(form: UserForm) -> PageResult {
    let caller = form.visitor().caller().ok_or(Errno::Forbidden)?;
    form.service().sessions().end_others(caller).await?;
    Ok(PageResponse::redirect(&LocalPath::fixed(PATH), Notice::OtherSessionsEnded))
}

/// Sends the browser back to the page with the first notice, or with the second one if the error
/// `missing` says that the grant or the device does not exist any more.
fn redirect(result: Result<(), ApiError>, missing: Errno, notices: (Notice, Notice)) -> PageResult {
    let notice = match result {
        Ok(()) => notices.0,
        Err(error) if error.errno == missing => notices.1,
        Err(error) => return Err(error.into()),
    };
    Ok(PageResponse::redirect(&LocalPath::fixed(PATH), notice))
}
