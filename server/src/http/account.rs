//! What is connected, and what is held about a user.

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use presence_core::Notification;
use presence_core::roster::DeviceInfo;
use presence_service::Account;

use super::ApiTag;
use super::apps::AppView;
use super::credential::{AccountAuth, SessionAuth};
use super::error_response::ErrorResponse;
use super::grants::GrantView;
use super::session::done_and_forgotten;
use super::views::{Device, Done, Id, StatusName, WithHeaders, example};

pub(super) struct AccountApi;

/// The devices of a user.
#[derive(Object)]
#[oai(example)]
struct DeviceList {
    /// The ones that are connected, or were a moment ago.
    devices: Vec<DeviceView>,
}

impl Example for DeviceList {
    fn example() -> Self {
        Self { devices: vec![DeviceView::example()] }
    }
}

/// A device.
#[derive(Object)]
#[oai(rename = "Device", example, skip_serializing_if_is_none)]
struct DeviceView {
    /// Its name.
    device: String,
    /// What it last reported to all.
    status: StatusName,
    /// The text of that.
    message: Option<String>,
    /// Whether it is connected; if not, its presence is kept for a grace time.
    connected: bool,
    /// When it connected.
    since: u64,
}

impl Example for DeviceView {
    fn example() -> Self {
        Self {
            device: "phone".to_owned(),
            status: StatusName::Unavailable,
            message: Some("At lunch".to_owned()),
            connected: true,
            since: example::BEGINNING,
        }
    }
}

impl From<DeviceInfo> for DeviceView {
    fn from(info: DeviceInfo) -> Self {
        Self {
            device: info.device.to_string(),
            status: info.view.status.into(),
            message: info.view.text.map(String::from),
            connected: info.connected,
            since: info.since.get(),
        }
    }
}

/// Everything that is held about a user.
#[derive(Object)]
#[oai(rename = "Account", example)]
struct AccountView {
    /// The verified e-mail.
    email: String,
    /// When the user was first seen.
    created_at: u64,
    /// How many sessions are held.
    sessions: u64,
    /// Who may see the user.
    grants: Vec<GrantView>,
    /// The user's own Applications.
    apps: Vec<AppView>,
    /// What is connected.
    devices: Vec<DeviceView>,
    /// The notifications that wait.
    notifications: Vec<NotificationView>,
}

impl Example for AccountView {
    fn example() -> Self {
        Self {
            email: example::EMAIL.to_owned(),
            created_at: example::BEGINNING,
            sessions: 1,
            grants: vec![GrantView::example()],
            apps: Vec::new(),
            devices: vec![DeviceView::example()],
            notifications: vec![NotificationView::example()],
        }
    }
}

/// A notification that waits.
#[derive(Object)]
#[oai(rename = "Notification", example)]
struct NotificationView {
    /// Its name.
    id: Id,
    /// The Application.
    appid: Id,
    /// The Application's name.
    source: String,
    /// The text.
    message: String,
    /// Empty, or the URL to open.
    action: String,
    /// When it was accepted.
    sent_at: u64,
    /// When it expires.
    expires_at: u64,
}

impl Example for NotificationView {
    fn example() -> Self {
        Self {
            id: Id::new(example::NOTIFICATION),
            appid: Id::new(example::APPID),
            source: example::NAME.to_owned(),
            message: "Your move".to_owned(),
            action: example::ACTION.to_owned(),
            sent_at: example::BEGINNING,
            expires_at: example::BEGINNING + example::HOUR,
        }
    }
}

impl From<Notification> for NotificationView {
    fn from(notification: Notification) -> Self {
        Self {
            id: Id::new(notification.id),
            appid: Id::new(notification.app),
            source: notification.source.to_string(),
            message: notification.message.into(),
            action: notification.action.into(),
            sent_at: notification.sent_at.get(),
            expires_at: notification.expires_at.get(),
        }
    }
}

#[OpenApi(tag = "ApiTag::Account")]
impl AccountApi {
    /// List what is connected.
    ///
    /// A device whose connection was lost a moment ago is listed until its grace time is over.
    #[oai(path = "/devices", method = "get", operation_id = "list_devices")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn devices(&self, user: SessionAuth) -> Json<DeviceList> {
        Json(DeviceList { devices: devices_of(&user) })
    }

    /// End a device.
    ///
    /// Its socket is closed with 4005, and its presence ends at once.
    #[oai(path = "/devices/:device", method = "delete", operation_id = "end_device")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn end_device(
        &self,
        user: AccountAuth,
        device: Path<Device>,
    ) -> Result<Json<Done>, ErrorResponse> {
        user.service().devices().end(user.caller.user, &device.name()?)?;
        Ok(Done::new())
    }

    /// Show everything that is held about me.
    ///
    /// Beside it there is only what a device reports while it is connected, which is not stored.
    #[oai(path = "/account", method = "get", operation_id = "get_account")]
    async fn show(&self, user: SessionAuth) -> Result<Json<AccountView>, ErrorResponse> {
        let account = user.service().accounts().load(user.caller.user).await?;
        let Account { email, created_at, sessions, grants, apps, notifications, .. } = account;
        Ok(Json(AccountView {
            email: email.as_str().to_owned(),
            created_at: created_at.get(),
            sessions,
            grants: grants.into_iter().map(GrantView::from).collect(),
            apps: apps.into_iter().map(AppView::from).collect(),
            devices: devices_of(&user),
            notifications: notifications.into_iter().map(NotificationView::from).collect(),
        }))
    }

    /// Erase me.
    ///
    /// Everything goes: grants, waiting notifications, sessions, own Applications. All sockets of the user are closed.
    #[oai(path = "/account", method = "delete", operation_id = "delete_account")]
    async fn erase(&self, user: AccountAuth) -> Result<WithHeaders<Done>, ErrorResponse> {
        user.service().accounts().erase(user.caller.user).await?;
        Ok(done_and_forgotten(user.clear_cookie()))
    }
}

fn devices_of(user: &super::credential::AuthenticatedRequest) -> Vec<DeviceView> {
    user.service().devices().list(user.caller.user).into_iter().map(DeviceView::from).collect()
}
