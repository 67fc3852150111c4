//! The response with the data about a user. The notifications follow in pages while the client
//! reads, so that a response costs little memory however much is stored.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use poem::http::header;
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{MetaResponses, Registry};
use poem_openapi::types::ToJSON;
use presence_core::{Notification, Scope, UserId};
use presence_protocol::ApiError;
use presence_service::PresenceService;
use presence_service::accounts::Export;

use super::views::{AccountView, NotificationView};

/// The number of notifications that are read at once.
const PAGE: usize = 64;
/// The field with the notifications.
const NOTIFICATIONS: &str = "notifications";
/// The end of an account.
const END: &str = "]}";

/// The notifications of a response.
pub(super) struct StoredNotifications {
    service: Arc<PresenceService>,
    caller: (UserId, Scope),
    /// Their `seq` in ascending order.
    seqs: Vec<i64>,
    /// Counts the response among those of the user, until it is written.
    _export: Export,
}

/// The response with the data about a user.
pub(super) struct StreamedAccount {
    /// The account without notifications.
    view: AccountView,
    notifications: StoredNotifications,
}

/// The part of a response that is not written yet.
struct Unwritten {
    notifications: StoredNotifications,
    position: usize,
    has_items: bool,
    is_done: bool,
}

impl StreamedAccount {
    /// Makes the response of an account, to which the notifications are added.
    pub(super) fn new(view: AccountView, notifications: StoredNotifications) -> Self {
        Self { view, notifications }
    }
}

impl IntoResponse for StreamedAccount {
    fn into_response(self) -> Response {
        let mut view = self.view.to_json().unwrap_or_default();
        if let Some(fields) = view.as_object_mut() {
            fields.remove(NOTIFICATIONS);
        }
        let mut start = view.to_string();
        // The notifications become the last field. An account has other ones.
        start.pop();
        start.push_str(",\"");
        start.push_str(NOTIFICATIONS);
        start.push_str("\":[");
        let unwritten = Unwritten {
            notifications: self.notifications,
            position: 0,
            has_items: false,
            is_done: false,
        };
        let pages = stream::once(async move { Ok(Bytes::from(start)) });
        let pages = stream::StreamExt::chain(pages, unwritten.into_stream());
        Response::builder()
            .header(header::CONTENT_TYPE, Json::<AccountView>::CONTENT_TYPE)
            .body(Body::from_bytes_stream(pages))
    }
}

impl ApiResponse for StreamedAccount {
    fn meta() -> MetaResponses {
        Json::<AccountView>::meta()
    }

    fn register(registry: &mut Registry) {
        <Json<AccountView> as ApiResponse>::register(registry);
    }
}

impl Unwritten {
    fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        stream::try_unfold(self, |mut rest| async move {
            let chunk = rest.next_chunk().await?;
            Ok(chunk.map(|chunk| (chunk, rest)))
        })
    }

    /// Returns the next part of the body. An error ends the connection before the end of the body,
    /// so that the client does not take a part for the whole.
    async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        if self.is_done {
            return Ok(None);
        }
        let rest = self.notifications.seqs.get(self.position..).unwrap_or_default();
        let Some(page) = rest.chunks(PAGE).next() else {
            self.is_done = true;
            return Ok(Some(Bytes::from_static(END.as_bytes())));
        };
        self.position += page.len();
        let items = self.notifications.read(page).await.map_err(io::Error::other)?;
        let mut text = String::new();
        for item in items {
            if std::mem::replace(&mut self.has_items, true) {
                text.push(',');
            }
            text.push_str(&NotificationView::from(item).to_json_string());
        }
        Ok(Some(text.into()))
    }
}

impl StoredNotifications {
    /// The notifications with these `seq`, in ascending order, for a session of this scope.
    pub(super) fn new(
        service: Arc<PresenceService>,
        caller: (UserId, Scope),
        seqs: Vec<i64>,
        export: Export,
    ) -> Self {
        Self { service, caller, seqs, _export: export }
    }

    /// Reads a page. A session of the scope `device` gets those that a device gets.
    async fn read(&self, page: &[i64]) -> Result<Vec<Notification>, ApiError> {
        let (user, scope) = self.caller;
        match scope {
            Scope::Account => self.service.accounts().notifications(user, page).await,
            Scope::Device => self.service.devices().load_pending(user, page).await,
        }
    }
}
