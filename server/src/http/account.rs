//! The devices of a user, and the stored data about the user.

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use presence_core::Notification;
use presence_core::roster::DeviceInfo;
use presence_service::Account;

use super::apps::AppView;
use super::credential::{AccountAuth, AuthenticatedRequest, SessionAuth};
use super::grants::GrantView;
use super::operation_error::{
    DeclaredErrors, NoErrors, OperationError, StorageErrors, declared_errors,
};
use super::session::done_without_cookie;
use super::tag::ApiTag;
use super::views::{DeviceParam, Done, Id, StatusName, WithHeaders, example};

pub(super) struct AccountApi;

declared_errors! {
    /// The errors of ending a device.
    EndDeviceErrors: [NotFound, StorageUnavailable];
    /// The errors of reading the account.
    AccountErrors: [SessionExpired, StorageUnavailable];
}

/// The devices of a user.
#[derive(Object)]
#[oai(example)]
struct DeviceList {
    /// The devices that are connected, or whose presence is kept for a grace time.
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
    /// The name of the device.
    device: String,
    /// The last status that the device reported to all Applications.
    status: StatusName,
    /// The status text.
    message: Option<String>,
    /// Indicates whether the device is connected. If not, its presence is kept for a grace time.
    connected: bool,
    /// The time at which the device connected.
    since: u64,
}

impl Example for DeviceView {
    fn example() -> Self {
        Self {
            device: "phone".to_owned(),
            status: StatusName::Unavailable,
            message: Some("At lunch".to_owned()),
            connected: true,
            since: example::START_TIME,
        }
    }
}

/// The end of a device.
#[derive(Object)]
#[oai(example)]
struct DeviceEnded {
    /// `OK`.
    result: String,
    /// Indicates whether the session of the call had let the device in. It did not end.
    session_kept: bool,
}

impl Example for DeviceEnded {
    fn example() -> Self {
        Self { result: "OK".to_owned(), session_kept: false }
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

/// The stored data about a user.
#[derive(Object)]
#[oai(rename = "Account", example)]
struct AccountView {
    /// The verified e-mail.
    email: String,
    /// The time at which the user first signed in.
    created_at: u64,
    /// The number of sessions.
    sessions: u64,
    /// The grants: which Applications may see the user.
    grants: Vec<GrantView>,
    /// The user's own Applications.
    apps: Vec<AppView>,
    /// The devices that are connected, or in their grace time.
    devices: Vec<DeviceView>,
    /// The notifications that wait for delivery.
    notifications: Vec<NotificationView>,
}

impl Example for AccountView {
    fn example() -> Self {
        Self {
            email: example::EMAIL.to_owned(),
            created_at: example::START_TIME,
            sessions: 1,
            grants: vec![GrantView::example()],
            apps: Vec::new(),
            devices: vec![DeviceView::example()],
            notifications: vec![NotificationView::example()],
        }
    }
}

/// A notification that waits for delivery.
#[derive(Object)]
#[oai(rename = "Notification", example)]
struct NotificationView {
    /// The id of the notification.
    id: Id,
    /// The Application.
    appid: Id,
    /// The sender as the AppService names it, or the Application's name.
    source: String,
    /// The Application's name.
    application: String,
    /// The Application's verified domain.
    domain: String,
    /// The text.
    message: String,
    /// Empty, or the URL to open.
    action: String,
    /// The time at which the server accepted the notification.
    sent_at: u64,
    /// The time at which the notification expires.
    expires_at: u64,
}

impl Example for NotificationView {
    fn example() -> Self {
        Self {
            id: Id::new(example::NOTIFICATION),
            appid: Id::new(example::APPID),
            source: example::SOURCE.to_owned(),
            application: example::NAME.to_owned(),
            domain: example::DOMAIN.to_owned(),
            message: "Your move".to_owned(),
            action: example::ACTION.to_owned(),
            sent_at: example::START_TIME,
            expires_at: example::START_TIME + example::HOUR,
        }
    }
}

impl From<Notification> for NotificationView {
    fn from(notification: Notification) -> Self {
        Self {
            id: Id::new(notification.id),
            appid: Id::new(notification.app),
            source: notification.source.to_string(),
            application: notification.application.to_string(),
            domain: notification.domain.to_string(),
            message: notification.message.into(),
            action: notification.action.into(),
            sent_at: notification.sent_at.get(),
            expires_at: notification.expires_at.get(),
        }
    }
}

#[OpenApi(tag = "ApiTag::Account")]
impl AccountApi {
    /// List my devices.
    ///
    /// A device whose connection was lost is listed until its grace time is over.
    #[oai(path = "/devices", method = "get", operation_id = "list_devices")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn devices(
        &self,
        auth: SessionAuth,
    ) -> Result<Json<DeviceList>, OperationError<NoErrors>> {
        Ok(Json(DeviceList { devices: devices_of(&auth) }))
    }

    /// End a device.
    ///
    /// The server closes its socket with 4005, and its presence ends at once. The sessions and
    /// assertions that let it in end too, and the name of the device opens again after a new
    /// sign-in only. If the session of this call is one of them, it stays, and may open the device
    /// again.
    #[oai(path = "/devices/:device", method = "delete", operation_id = "end_device")]
    async fn end_device(
        &self,
        auth: AccountAuth,
        device: Path<DeviceParam>,
    ) -> Result<Json<DeviceEnded>, OperationError<EndDeviceErrors>> {
        let ended = auth.service().devices().end(&auth.caller, &device.name()?).await?;
        Ok(Json(DeviceEnded { session_kept: ended.keeps_session, ..DeviceEnded::example() }))
    }

    /// Show all stored data about me.
    ///
    /// The statuses that a device reports while it is connected are not stored.
    #[oai(path = "/account", method = "get", operation_id = "get_account")]
    async fn show(
        &self,
        auth: SessionAuth,
    ) -> Result<Json<AccountView>, OperationError<AccountErrors>> {
        let account = auth.service().accounts().load(auth.caller.user).await?;
        let Account { email, created_at, sessions, grants, apps, notifications, .. } = account;
        Ok(Json(AccountView {
            email: email.as_str().to_owned(),
            created_at: created_at.get(),
            sessions,
            grants: grants.into_iter().map(GrantView::from).collect(),
            apps: apps.into_iter().map(AppView::from).collect(),
            devices: devices_of(&auth),
            notifications: notifications.into_iter().map(NotificationView::from).collect(),
        }))
    }

    /// Erase my account.
    ///
    /// This removes the grants, waiting notifications, sessions and Applications of the user, and
    /// closes all sockets of the user.
    #[oai(path = "/account", method = "delete", operation_id = "delete_account")]
    async fn erase(
        &self,
        auth: AccountAuth,
    ) -> Result<WithHeaders<Done>, OperationError<StorageErrors>> {
        auth.service().accounts().erase(auth.caller.user).await?;
        Ok(done_without_cookie(auth.clear_cookie()))
    }
}

fn devices_of(auth: &AuthenticatedRequest) -> Vec<DeviceView> {
    auth.service().devices().list(auth.caller.user).into_iter().map(DeviceView::from).collect()
}
