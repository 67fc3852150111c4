//! What an AppService does without a socket: poll, and notify.

mod views;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use presence_protocol::limits::BATCH_ITEMS;
use presence_protocol::{ApiError, Errno};
use presence_service::app_services::MAX_POLL_PAGE;

use super::ApiTag;
use super::body::JsonBody;
use super::credential::ApiKeyAuth;
use super::error_response::ErrorResponse;
use super::views::Id;

use self::views::{Notified, Notify, PollAnswer, PresenceView};

pub(super) struct AppServiceApi;

#[OpenApi(tag = "ApiTag::AppService")]
impl AppServiceApi {
    /// Poll presence.
    ///
    /// With `uid`, the present status of each of these users, in order; one that is not known is an entry with errno 44. Without,
    /// everybody who is not offline, in pages: go on with `after` set to `next`, until there is no `next`. While `warming_up` is
    /// there, devices of an earlier run of the server may still be on their way back: do not take anybody for offline yet.
    #[expect(clippy::too_many_arguments, reason = "each is one parameter of the call")]
    #[oai(path = "/apps/:appid/presence", method = "get", operation_id = "poll_presence")]
    async fn poll(
        &self,
        key: ApiKeyAuth,
        #[oai(name = "appid")] _appid: Path<Id>,
        /// Whom to ask for: repeated, or several between commas, at most 500.
        uid: Query<Option<Vec<String>>>,
        /// The `next` of the page before.
        after: Query<Option<Id>>,
        /// The most entries of a page, 1 to 500.
        #[oai(validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<PollAnswer>, ErrorResponse> {
        let service = &key.service;
        let after = after.0.map(|after| after.parse(Errno::InvalidField)).transpose()?;
        let presence = &key.context.service;
        let warming_up = presence.is_warming_up().then_some(true);
        if let Some(given) = uid.0 {
            let uids = uids(&given)?;
            let found = presence.app_services().query(service, uids).await?;
            let presence = found.into_iter().map(PresenceView::from).collect();
            return Ok(Json(PollAnswer { presence, next: None, warming_up }));
        }
        let most =
            limit.0.map_or(MAX_POLL_PAGE, |most| usize::try_from(most).unwrap_or(MAX_POLL_PAGE));
        let page = presence.app_services().poll(service, after, most);
        let presence = page.presence.into_iter().map(PresenceView::from).collect();
        Ok(Json(PollAnswer { presence, next: page.next.map(Id::new), warming_up }))
    }

    /// Send live notifications.
    ///
    /// As `notify` on the AppService Presence Channel: each item is taken or refused by itself, and an OK means that it is
    /// stored. `queue_size` is the largest of the items'.
    #[oai(
        path = "/apps/:appid/notifications",
        method = "post",
        operation_id = "send_notifications"
    )]
    async fn notify(
        &self,
        key: ApiKeyAuth,
        #[oai(name = "appid")] _appid: Path<Id>,
        body: JsonBody<Notify>,
    ) -> Result<Json<Notified>, ErrorResponse> {
        let (app, span) = (key.service.app, tracing::Span::current());
        let results = key.context.service.notifications().notify(app, body.0.into_items(), &span).await;
        Ok(Json(Notified::of(&results)))
    }
}

fn uids(given: &[String]) -> Result<Vec<Result<presence_protocol::Puid, String>>, ErrorResponse> {
    let texts = given.iter().flat_map(|list| list.split(',')).map(str::trim);
    let uids: Vec<_> = texts
        .filter(|text| !text.is_empty())
        .take(BATCH_ITEMS + 1)
        .map(|text| text.parse().map_err(|_| text.to_owned()))
        .collect();
    if uids.len() > BATCH_ITEMS {
        let detail = format_args!("uid is given at most {BATCH_ITEMS} times");
        return Err(ApiError::detailed(Errno::TooLarge, detail).into());
    }
    Ok(uids)
}
