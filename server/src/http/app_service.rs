//! The calls of an AppService that need no socket: polling presence, and sending notifications.

mod views;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use presence_protocol::limits::MAX_BATCH_ITEMS;
use presence_protocol::{ApiError, Errno, Puid};
use presence_service::app_services::MAX_POLL_PAGE;

use super::body::JsonBody;
use super::credential::ApiKeyAuth;
use super::operation_error::{DeclaredErrors, NoErrors, OperationError, declared_errors};
use super::tag::ApiTag;
use super::views::Id;

use self::views::{Notified, Notify, PollAnswer, PresenceView};

pub(super) struct AppServiceApi;

declared_errors! {
    /// The errors of polling presence.
    PollErrors: [InvalidField, TooLarge, StorageUnavailable];
}

#[OpenApi(tag = "ApiTag::AppService")]
impl AppServiceApi {
    /// Poll presence.
    ///
    /// With `uid`, returns the current presence of each of these users, in order. An unknown `uid`
    /// is an entry with errno 44. Without `uid`, returns all users who are not offline, in pages:
    /// repeat the call with `after` set to `next` until there is no `next`. While `warming_up` is
    /// true, devices of an earlier run of the server may still reconnect, so a missing user may be
    /// online.
    #[expect(clippy::too_many_arguments, reason = "each is one parameter of the call")]
    #[oai(path = "/apps/:appid/presence", method = "get", operation_id = "poll_presence")]
    async fn poll(
        &self,
        key: ApiKeyAuth,
        #[oai(name = "appid")] _appid: Path<Id>,
        /// The users to return: repeated, or several between commas, at most 500.
        uid: Query<Option<Vec<String>>>,
        /// The `next` of the previous page.
        after: Query<Option<Id>>,
        /// The maximum number of entries in a page, 1 to 500.
        #[oai(validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<PollAnswer>, OperationError<PollErrors>> {
        let app_service = &key.app_service;
        let after = after.0.map(|after| after.parse(Errno::InvalidField)).transpose()?;
        let service = &key.context.service;
        let warming_up = service.is_warming_up().then_some(true);
        if let Some(given) = uid.0 {
            let uids = uids(&given)?;
            let found = service.app_services().query(app_service, uids).await?;
            let presence = found.into_iter().map(PresenceView::from).collect();
            return Ok(Json(PollAnswer { presence, next: None, warming_up }));
        }
        let limit = limit.0.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_POLL_PAGE);
        let page = service.app_services().poll(app_service, after, limit).await?;
        let presence = page.presence.into_iter().map(PresenceView::from).collect();
        Ok(Json(PollAnswer { presence, next: page.next.map(Id::new), warming_up }))
    }

    /// Send notifications.
    ///
    /// As `notify` on the AppService Presence Channel: each item is accepted or rejected by itself,
    /// and an OK means that it is stored. `queue_size` is the largest of the items'. If no item is
    /// accepted, the result is `KO` with the errno of the first item, and the status is 200 all the
    /// same. The body may also be the bare list.
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
    ) -> Result<Json<Notified>, OperationError<NoErrors>> {
        let (app, span) = (key.app_service.app, tracing::Span::current());
        let results =
            key.context.service.notifications().notify(app, body.0.into_items(), &span).await;
        Ok(Json(Notified::of(&results)))
    }
}

fn uids(given: &[String]) -> Result<Vec<Result<Puid, String>>, ApiError> {
    let texts = given.iter().flat_map(|list| list.split(',')).map(str::trim);
    let uids: Vec<_> = texts
        .filter(|text| !text.is_empty())
        .take(MAX_BATCH_ITEMS + 1)
        .map(|text| text.parse().map_err(|_| text.to_owned()))
        .collect();
    if uids.len() > MAX_BATCH_ITEMS {
        let detail = format_args!("uid is given at most {MAX_BATCH_ITEMS} times");
        return Err(ApiError::detailed(Errno::TooLarge, detail));
    }
    Ok(uids)
}
