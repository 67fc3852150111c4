//! The phase of an AppService's socket after it is authenticated.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::ready;
use futures_util::stream::{FuturesOrdered, Stream};
use presence_protocol::app::{
    self, AppServiceAuth, AppServiceCommand, NotifyItem, QueuedNotification,
};
use presence_protocol::{ApiError, AppId, Errno, Puid, RequestId};
use presence_service::app_services::{AuthenticatedAppService, RequestedApplication};
use presence_service::hub::Subscription;
use tracing::Span;

use super::replies::{AppServiceChannel, AppServiceReplies};
use crate::meter;
use crate::socket::log::SocketLog;
use crate::socket::protocol_state::Outgoing;

/// The maximum number of frames that are worked on at once. Their replies keep their order.
const MAX_WORK: usize = 64;

/// The work on a frame.
type AppServiceWork = Pin<Box<dyn Future<Output = AppServiceWorkResult> + Send>>;

/// The result of the work on a frame.
enum AppServiceWorkResult {
    Authenticated(Option<RequestId>, Result<(), ApiError>),
    Notified(Option<RequestId>, Vec<Result<QueuedNotification, ApiError>>),
    NotifiedOne(Option<RequestId>, Result<QueuedNotification, ApiError>),
    Queried(Option<RequestId>, Result<String, ApiError>),
    Refused(Option<RequestId>, ApiError),
}

/// A socket whose Application is known.
pub(super) struct AppServiceAuthenticated {
    service: AuthenticatedAppService,
    subscription: Subscription,
    work: FuturesOrdered<AppServiceWork>,
    /// The stream may hold entries.
    has_news: bool,
    span: Span,
}

impl AppServiceAuthenticated {
    pub(super) fn new(
        service: AuthenticatedAppService,
        subscription: Subscription,
        span: Span,
    ) -> Self {
        Self { service, subscription, work: FuturesOrdered::new(), has_news: true, span }
    }

    /// Returns the Application.
    pub(super) fn app(&self) -> AppId {
        self.service.app
    }

    /// Returns true if the work on another frame can start.
    pub(super) fn has_room(&self) -> bool {
        self.work.len() < MAX_WORK
    }

    /// Starts the work on a frame.
    pub(super) fn handle_command(
        &mut self,
        id: Option<RequestId>,
        command: AppServiceCommand,
        channel: &AppServiceChannel,
    ) {
        match command {
            AppServiceCommand::Auth(auth) => self.authenticate_again(id, auth, channel),
            AppServiceCommand::Query(puids) => self.query(id, puids, channel),
            AppServiceCommand::Notify(items) if items.iter().all(Result::is_err) => {
                self.refuse_all(id, items, channel);
            }
            AppServiceCommand::Notify(items) => {
                let reply =
                    channel.service.notifications().notify(self.service.app, items, &self.span);
                self.work.push_back(Box::pin(async move {
                    AppServiceWorkResult::Notified(id, reply.await)
                }));
            }
            AppServiceCommand::NotifyOne(item) => {
                let reply = channel.service.notifications().notify(
                    self.service.app,
                    vec![Ok(item)],
                    &self.span,
                );
                self.work.push_back(Box::pin(async move {
                    let result = reply.await.pop().unwrap_or(Err(Errno::Internal.into()));
                    AppServiceWorkResult::NotifiedOne(id, result)
                }));
            }
        }
    }

    /// Replies to a `notify` without an item that can be taken, which no other rate limits.
    fn refuse_all(
        &mut self,
        id: Option<RequestId>,
        items: Vec<Result<NotifyItem, ApiError>>,
        channel: &AppServiceChannel,
    ) {
        let (service, app) = (Arc::clone(&channel.service), self.service.app);
        self.push_logged(async move {
            service.app_services().wait_for_frame(app).await;
            let errors = items.into_iter().filter_map(Result::err).map(Err);
            AppServiceWorkResult::Notified(id, errors.collect())
        });
    }

    /// Checks a key again, without any effect on the socket if it is valid.
    fn authenticate_again(
        &mut self,
        id: Option<RequestId>,
        auth: AppServiceAuth,
        channel: &AppServiceChannel,
    ) {
        let (service, app) = (Arc::clone(&channel.service), self.service.app);
        let client = channel.client;
        self.push_logged(async move {
            service.app_services().wait_for_frame(app).await;
            let key = auth.key.unwrap_or_default();
            let app = RequestedApplication::Id(app);
            let checked = service.app_services().authenticate(app, &key, client).await;
            AppServiceWorkResult::Authenticated(id, checked.map(drop))
        });
    }

    fn query(
        &mut self,
        id: Option<RequestId>,
        puids: Vec<Result<Puid, String>>,
        channel: &AppServiceChannel,
    ) {
        let (service, app_service) = (Arc::clone(&channel.service), self.service.clone());
        self.push_logged(async move {
            service.app_services().wait_for_frame(app_service.app).await;
            let presence = service.app_services().query(&app_service, puids).await;
            let reply = presence.map(|presence| app::query_ok(id.as_ref(), &presence));
            AppServiceWorkResult::Queried(id, reply)
        });
    }

    fn push_logged(&mut self, work: impl Future<Output = AppServiceWorkResult> + Send + 'static) {
        let work = SocketLog::instrument_in(|| self.span.clone(), work);
        self.work.push_back(Box::pin(work));
    }

    /// Counts a frame that no other rate limits.
    ///
    /// # Errors
    ///
    /// `slow_down`.
    pub(super) fn check_free_frame(&self, channel: &AppServiceChannel) -> Result<(), ApiError> {
        channel.service.app_services().check_frame(self.service.app)
    }

    /// Replies with an error, after the replies to earlier frames. Wrong frames have a rate.
    pub(super) fn refuse(
        &mut self,
        id: Option<RequestId>,
        error: ApiError,
        channel: &AppServiceChannel,
    ) {
        let error = self.check_free_frame(channel).err().unwrap_or(error);
        self.work.push_back(Box::pin(ready(AppServiceWorkResult::Refused(id, error))));
    }

    pub(super) fn poll_work(
        &mut self,
        context: &mut Context<'_>,
        channel: &AppServiceChannel,
        replies: &mut AppServiceReplies,
    ) {
        while let Poll::Ready(Some(result)) = Pin::new(&mut self.work).poll_next(context) {
            reply(result, channel, replies);
        }
    }

    pub(super) fn cancel_pending(&mut self) {
        self.work.clear();
    }

    pub(super) fn handle_wake(&mut self) {
        self.has_news = true;
    }

    /// Sends the next page of the stream, if there is one.
    pub(super) fn read_stream(
        &mut self,
        channel: &AppServiceChannel,
        replies: &mut AppServiceReplies,
    ) {
        if !self.has_news {
            return;
        }
        match self.subscription.next_frames(channel.service.is_warming_up()) {
            Ok(frames) => {
                // Another page may follow.
                self.has_news = !frames.is_empty();
                replies.extend(frames.into_iter().map(Outgoing::Text));
            }
            Err(code) => replies.close(code),
        }
    }
}

fn reply(
    result: AppServiceWorkResult,
    channel: &AppServiceChannel,
    replies: &mut AppServiceReplies,
) {
    let now = || channel.service.steady();
    match result {
        AppServiceWorkResult::Authenticated(id, Ok(())) => replies.text(app::auth_ok(id.as_ref())),
        AppServiceWorkResult::Authenticated(id, Err(error)) => {
            replies.auth_error(id.as_ref(), &error, now());
        }
        AppServiceWorkResult::Notified(id, results) => {
            replies.text(app::notify_reply(id.as_ref(), &results));
            let errors = results.iter().filter_map(|result| result.as_ref().err());
            errors.for_each(|error| meter::count_error(error.errno));
            if results.iter().any(is_too_fast) {
                replies.record_violation(now());
            }
        }
        AppServiceWorkResult::NotifiedOne(id, Ok(queued)) => {
            replies.text(app::notify_reply(id.as_ref(), &[Ok(queued)]));
        }
        AppServiceWorkResult::Queried(_, Ok(text)) => replies.text(text),
        AppServiceWorkResult::NotifiedOne(id, Err(error))
        | AppServiceWorkResult::Queried(id, Err(error))
        | AppServiceWorkResult::Refused(id, error) => replies.error(id.as_ref(), &error, now()),
    }
}

fn is_too_fast(result: &Result<QueuedNotification, ApiError>) -> bool {
    result.as_ref().is_err_and(|error| error.errno == Errno::SlowDown)
}
