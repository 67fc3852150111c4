//! The protocol of the AppService Presence Channel.
//!
//! A socket passes through three phases: [`AppServiceUnauthenticated`],
//! [`AppServiceAuthenticating`] and [`AppServiceAuthenticated`]. Each is a type, and the step to
//! the next one consumes it. Only the last one knows an Application, so only there a command can be
//! worked on.

mod authenticated;
mod authentication;

mod replies;

use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use presence_protocol::app::{self, AppServiceAuth, AppServiceCommand, AppServiceRequest};
use presence_protocol::{ApiError, Errno, RequestId};
use presence_service::app_services::RequestedApplication;
use presence_service::{PresenceService, SocketWaker};

use self::authenticated::AppServiceAuthenticated;
use self::authentication::{AppServiceAuthenticating, AppServiceUnauthenticated};
use self::replies::{AppServiceChannel, AppServiceReplies, MAX_REPLIES};
use super::log::SocketLog;
use super::protocol_state::{Authentication, EndWork, Outgoing, ProtocolState};
use crate::meter::Channel;

/// The options of a request that became an AppService's socket.
pub(crate) struct AppServiceUpgrade {
    /// The Application that the path names.
    pub(crate) app: RequestedApplication,
    /// The client speaks the subprotocol `presence.v1`.
    pub(crate) is_paged: bool,
    /// The address of the client.
    pub(crate) client: IpAddr,
    /// The key and the options of a request with a key.
    pub(crate) bearer: Option<AppServiceAuth>,
}

/// The protocol state of one AppService.
pub(crate) struct AppServiceProtocol {
    channel: AppServiceChannel,
    phase: AppServicePhase,
    replies: AppServiceReplies,
}

/// The phase of an AppService's socket.
enum AppServicePhase {
    Unauthenticated(AppServiceUnauthenticated),
    Authenticating(AppServiceAuthenticating),
    Authenticated(Box<AppServiceAuthenticated>),
}

impl AppServiceProtocol {
    /// Starts the protocol, and the authentication if the request had a key.
    pub(crate) fn new(
        service: Arc<PresenceService>,
        waker: Arc<SocketWaker>,
        upgrade: AppServiceUpgrade,
        id: u64,
    ) -> Self {
        let AppServiceUpgrade { app, is_paged, client, bearer } = upgrade;
        let log = SocketLog::new(Channel::App, id);
        let channel = AppServiceChannel { service, waker, app, is_paged, client, log };
        let phase = AppServiceUnauthenticated::default();
        let phase = match bearer {
            Some(auth) => AppServicePhase::Authenticating(phase.authenticate(None, auth, &channel)),
            None => AppServicePhase::Unauthenticated(phase),
        };
        Self { channel, phase, replies: AppServiceReplies::default() }
    }

    fn handle_request(&mut self, request: AppServiceRequest) {
        let AppServiceRequest { id, command } = request;
        match (command, &mut self.phase) {
            (command, AppServicePhase::Authenticated(app)) => {
                app.handle_command(id, command, &self.channel);
            }
            (AppServiceCommand::Auth(auth), AppServicePhase::Unauthenticated(phase)) => {
                let next = std::mem::take(phase).authenticate(id, auth, &self.channel);
                self.phase = AppServicePhase::Authenticating(next);
            }
            (_, AppServicePhase::Unauthenticated(_) | AppServicePhase::Authenticating(_)) => {
                self.refuse(id, Errno::NotAuthenticated.into());
            }
        }
    }

    /// Takes the phase out, so that it can be consumed. The caller puts the next one in.
    fn take_phase(&mut self) -> AppServicePhase {
        let placeholder = AppServicePhase::Unauthenticated(AppServiceUnauthenticated::default());
        std::mem::replace(&mut self.phase, placeholder)
    }

    /// Replies with an error, after the replies to earlier frames.
    fn refuse(&mut self, id: Option<RequestId>, error: ApiError) {
        if let AppServicePhase::Authenticated(app) = &mut self.phase {
            app.refuse(id, error, &self.channel);
        } else {
            let now = self.channel.service.steady();
            self.replies.error(id.as_ref(), &error, now);
            self.replies.record_violation(now);
        }
    }
}

impl ProtocolState for AppServiceProtocol {
    const CHANNEL: Channel = Channel::App;
    /// The statuses of many users become one write.
    const GATHERS_NEWS: bool = true;

    fn can_handle_frame(&self) -> bool {
        let has_room = match &self.phase {
            AppServicePhase::Unauthenticated(_) => true,
            AppServicePhase::Authenticating(_) => false,
            AppServicePhase::Authenticated(app) => app.has_room(),
        };
        has_room && self.replies.len() < MAX_REPLIES
    }

    fn handle_frame(&mut self, text: &str) {
        if let AppServicePhase::Unauthenticated(phase) = &mut self.phase {
            phase.record_frame();
        }
        match app::parse(text) {
            Ok(request) => self.handle_request(request),
            Err((error, id)) => self.refuse(id, error),
        }
    }

    fn handle_control_frame(&mut self) {
        let is_within_rate = match &self.phase {
            AppServicePhase::Authenticated(app) => app.check_free_frame(&self.channel).is_ok(),
            AppServicePhase::Unauthenticated(_) | AppServicePhase::Authenticating(_) => false,
        };
        if !is_within_rate {
            self.replies.record_violation(self.channel.service.steady());
        }
    }

    fn handle_wake(&mut self) {
        if let AppServicePhase::Authenticated(app) = &mut self.phase {
            app.handle_wake();
        }
    }

    fn poll_work(&mut self, context: &mut Context<'_>) {
        if let AppServicePhase::Authenticating(phase) = &mut self.phase {
            let Poll::Ready(result) = phase.poll(context) else { return };
            if let AppServicePhase::Authenticating(phase) = self.take_phase() {
                let now = self.channel.service.steady();
                self.phase = match phase.finish(result, &self.channel, &mut self.replies, now) {
                    Ok(app) => AppServicePhase::Authenticated(Box::new(app)),
                    Err(phase) => AppServicePhase::Unauthenticated(phase),
                };
            }
        }
        if let AppServicePhase::Authenticated(app) = &mut self.phase {
            app.poll_work(context, &self.channel, &mut self.replies);
        }
    }

    fn cancel_pending(&mut self) {
        self.phase = match self.take_phase() {
            AppServicePhase::Authenticating(phase) => {
                AppServicePhase::Unauthenticated(phase.cancel())
            }
            AppServicePhase::Unauthenticated(phase) => AppServicePhase::Unauthenticated(phase),
            AppServicePhase::Authenticated(mut app) => {
                app.cancel_pending();
                AppServicePhase::Authenticated(app)
            }
        };
    }

    fn poll_outgoing(&mut self) -> Option<Outgoing> {
        if let AppServicePhase::Authenticated(app) = &mut self.phase
            && self.replies.is_empty()
        {
            app.read_stream(&self.channel, &mut self.replies);
        }
        self.replies.pop()
    }

    fn handle_flushed(&mut self) {}

    fn handle_time(&mut self) -> Option<Duration> {
        None
    }

    fn authentication(&self) -> Authentication {
        match &self.phase {
            AppServicePhase::Unauthenticated(phase) => Authentication::Missing(phase.close_code()),
            AppServicePhase::Authenticating(phase) => Authentication::Missing(phase.close_code()),
            AppServicePhase::Authenticated(app) => Authentication::Complete(Some(app.app())),
        }
    }

    fn end(self, _clean: bool) -> Option<EndWork> {
        if let AppServicePhase::Authenticated(app) = self.phase {
            tracing::debug!(app = %app.app(), "app.end");
        }
        None
    }
}
