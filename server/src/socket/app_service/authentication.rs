//! The phases of an AppService's socket before it is authenticated.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use presence_core::Steady;
use presence_protocol::app::{self, AppServiceAuth};
use presence_protocol::{ApiError, CloseCode, RequestId};
use presence_service::app_services::{AuthenticatedAppService, SubscribeMode, SubscribeRequest};
use presence_service::hub::Subscription;

use super::authenticated::AppServiceAuthenticated;
use super::replies::{AppServiceChannel, AppServiceReplies};

/// An AppService with its subscription to its stream.
pub(super) struct OpenedAppService {
    pub(super) service: AuthenticatedAppService,
    pub(super) subscription: Subscription,
}

/// The result of an authentication.
type AppServiceOpenResult = Result<OpenedAppService, ApiError>;

/// A socket that has not sent a valid key.
#[derive(Default)]
pub(super) struct AppServiceUnauthenticated {
    has_sent_frame: bool,
}

/// A socket whose key is being checked.
pub(super) struct AppServiceAuthenticating {
    has_sent_frame: bool,
    id: Option<RequestId>,
    opening: Pin<Box<dyn Future<Output = AppServiceOpenResult> + Send>>,
}

impl AppServiceUnauthenticated {
    /// Records that the peer has sent a frame, so that it is not closed as silent.
    pub(super) fn record_frame(&mut self) {
        self.has_sent_frame = true;
    }

    /// Starts to check a key.
    pub(super) fn authenticate(
        self,
        id: Option<RequestId>,
        auth: AppServiceAuth,
        channel: &AppServiceChannel,
    ) -> AppServiceAuthenticating {
        let (service, waker) = (Arc::clone(&channel.service), Arc::clone(&channel.waker));
        let AppServiceChannel { app, is_paged, client, log, .. } = *channel;
        let AppServiceAuth { key, cursor, receipts } = auth;
        let mode =
            if is_paged { SubscribeMode::Paged { cursor, receipts } } else { SubscribeMode::Plain };
        let request = SubscribeRequest { app, key, mode };
        let opening = log.instrument_opening(async move {
            let subscribed = service.app_services().subscribe(request, waker, client).await;
            subscribed.map(|(service, subscription)| OpenedAppService { service, subscription })
        });
        AppServiceAuthenticating {
            has_sent_frame: self.has_sent_frame,
            id,
            opening: Box::pin(opening),
        }
    }

    /// Returns the code that closes the socket if the time for authentication is over.
    pub(super) fn close_code(&self) -> CloseCode {
        close_code(self.has_sent_frame)
    }
}

impl AppServiceAuthenticating {
    /// Polls the check.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<AppServiceOpenResult> {
        self.opening.as_mut().poll(context)
    }

    /// Replies to the key, and returns the next phase.
    pub(super) fn finish(
        self,
        result: AppServiceOpenResult,
        channel: &AppServiceChannel,
        replies: &mut AppServiceReplies,
        now: Steady,
    ) -> Result<AppServiceAuthenticated, AppServiceUnauthenticated> {
        match result {
            Ok(opened) => {
                tracing::debug!(app = %opened.service.app, "app.open");
                replies.text(app::auth_ok(self.id.as_ref()));
                let span = channel.log.span(Some(opened.service.app));
                Ok(AppServiceAuthenticated::new(opened.service, opened.subscription, span))
            }
            Err(error) => {
                replies.auth_error(self.id.as_ref(), &error, now);
                Err(self.cancel())
            }
        }
    }

    /// Drops the check.
    pub(super) fn cancel(self) -> AppServiceUnauthenticated {
        AppServiceUnauthenticated { has_sent_frame: self.has_sent_frame }
    }

    /// Returns the code that closes the socket if the time for authentication is over.
    pub(super) fn close_code(&self) -> CloseCode {
        close_code(self.has_sent_frame)
    }
}

fn close_code(has_sent_frame: bool) -> CloseCode {
    if has_sent_frame { CloseCode::NotAuthorised } else { CloseCode::Silent }
}
