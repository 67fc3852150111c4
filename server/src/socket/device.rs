//! The protocol of the Device Presence Channel.
//!
//! A socket passes through three phases: [`DeviceUnauthenticated`], [`DeviceAuthenticating`] and
//! [`DeviceAuthenticated`]. Each is a type, and the step to the next one consumes it. Only the last
//! one has a user, so only there a command can be applied.

mod authenticated;
mod authentication;

mod deliveries;

mod replies;

use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use presence_protocol::device::{self, DeviceRequest};
use presence_protocol::{ApiError, CloseCode, Errno};
use presence_service::{PresenceService, SocketWaker};

use self::authenticated::DeviceAuthenticated;
use self::authentication::{DeviceAuthenticating, DeviceUnauthenticated};
use self::replies::{DeviceChannel, DeviceReplies};
use super::log::SocketLog;
use super::protocol_state::{Authentication, EndWork, Outgoing, ProtocolState};
use crate::meter::Channel;

/// The maximum number of replies that wait to be written before no more frames are read.
const MAX_REPLIES: usize = 64;

/// The protocol state of one device.
pub(crate) struct DeviceProtocol {
    channel: DeviceChannel,
    phase: DevicePhase,
    replies: DeviceReplies,
}

/// The phase of a device's socket.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all connections are authenticated for nearly all of their time"
)]
enum DevicePhase {
    Unauthenticated(DeviceUnauthenticated),
    Authenticating(DeviceAuthenticating),
    Authenticated(DeviceAuthenticated),
}

impl DeviceProtocol {
    pub(crate) fn new(
        service: Arc<PresenceService>,
        waker: Arc<SocketWaker>,
        client: IpAddr,
        id: u64,
    ) -> Self {
        Self {
            channel: DeviceChannel {
                service,
                waker,
                client,
                log: SocketLog::new(Channel::Device, id),
            },
            phase: DevicePhase::Unauthenticated(DeviceUnauthenticated::default()),
            replies: DeviceReplies::default(),
        }
    }

    fn handle_request(&mut self, request: DeviceRequest) -> Result<(), ApiError> {
        if let DevicePhase::Authenticated(device) = &mut self.phase {
            return device.handle_request(request, &self.channel, &mut self.replies);
        }
        match self.take_phase() {
            DevicePhase::Unauthenticated(phase) => {
                let (next, result) = match phase.authenticate(request, &self.channel) {
                    Ok(next) => (DevicePhase::Authenticating(next), Ok(())),
                    Err((same, error)) => (DevicePhase::Unauthenticated(same), Err(error)),
                };
                self.phase = next;
                result
            }
            // The loop passes no frame in this phase.
            same @ (DevicePhase::Authenticating(_) | DevicePhase::Authenticated(_)) => {
                self.phase = same;
                Ok(())
            }
        }
    }

    /// Replies with an error. Wrong frames have a rate: of a user's devices, or of the socket while
    /// its user is unknown.
    fn refuse(&mut self, mut error: ApiError) {
        let now = self.channel.service.steady();
        if let DevicePhase::Authenticated(device) = &self.phase {
            if error.errno != Errno::SlowDown
                && let Err(slow_down) = device.check_free_frame(&self.channel)
            {
                error = slow_down;
            }
            self.replies.error(&error, now);
        } else {
            self.replies.error(&error, now);
            if error.errno != Errno::SlowDown {
                self.replies.record_violation(now);
            }
        }
    }

    /// Takes the phase out, so that it can be consumed. The caller puts the next one in.
    fn take_phase(&mut self) -> DevicePhase {
        std::mem::replace(
            &mut self.phase,
            DevicePhase::Unauthenticated(DeviceUnauthenticated::default()),
        )
    }
}

impl ProtocolState for DeviceProtocol {
    const CHANNEL: Channel = Channel::Device;
    const GATHERS_NEWS: bool = false;

    fn can_handle_frame(&self) -> bool {
        let is_idle = match &self.phase {
            DevicePhase::Unauthenticated(_) => true,
            DevicePhase::Authenticating(_) => false,
            DevicePhase::Authenticated(device) => device.is_idle(),
        };
        is_idle && self.replies.len() < MAX_REPLIES
    }

    fn handle_frame(&mut self, text: &str) {
        if let DevicePhase::Unauthenticated(phase) = &mut self.phase {
            phase.record_frame();
        }
        let result = match device::parse(text) {
            Ok(request) => {
                self.replies.begin(request.id.clone());
                self.handle_request(request)
            }
            Err((error, id)) => {
                self.replies.begin(id);
                Err(error)
            }
        };
        if let Err(error) = result {
            self.refuse(error);
        }
    }

    fn handle_control_frame(&mut self) {
        let is_within_rate = match &self.phase {
            DevicePhase::Authenticated(device) => device.check_free_frame(&self.channel).is_ok(),
            DevicePhase::Unauthenticated(_) | DevicePhase::Authenticating(_) => false,
        };
        if !is_within_rate {
            self.replies.record_violation(self.channel.service.steady());
        }
    }

    fn handle_wake(&mut self) {
        if let DevicePhase::Authenticated(device) = &mut self.phase {
            device.handle_wake();
        }
    }

    fn poll_work(&mut self, context: &mut Context<'_>) {
        if let DevicePhase::Authenticating(phase) = &mut self.phase {
            let Poll::Ready(result) = phase.poll(context) else { return };
            if let DevicePhase::Authenticating(phase) = self.take_phase() {
                let now = self.channel.service.steady();
                self.phase = match phase.finish(result, &mut self.replies, now) {
                    Ok(device) => DevicePhase::Authenticated(device),
                    Err(phase) => DevicePhase::Unauthenticated(phase),
                };
            }
        }
        if let DevicePhase::Authenticated(device) = &mut self.phase {
            device.poll_work(context, &self.channel, &mut self.replies);
            device.poll_deliveries(context, &self.channel, &mut self.replies);
        }
    }

    fn cancel_pending(&mut self) {
        self.phase = match self.take_phase() {
            DevicePhase::Authenticating(phase) => DevicePhase::Unauthenticated(phase.cancel()),
            DevicePhase::Unauthenticated(phase) => DevicePhase::Unauthenticated(phase),
            DevicePhase::Authenticated(mut device) => {
                device.cancel_pending();
                DevicePhase::Authenticated(device)
            }
        };
    }

    fn poll_outgoing(&mut self) -> Option<Outgoing> {
        if let DevicePhase::Authenticated(device) = &mut self.phase
            && self.replies.is_empty()
        {
            device.send_notifications(&self.channel, &mut self.replies);
        }
        self.replies.pop()
    }

    fn handle_flushed(&mut self) {
        if let DevicePhase::Authenticated(device) = &mut self.phase {
            device.handle_flushed(&self.channel);
        }
    }

    fn handle_time(&mut self) -> Option<Duration> {
        match &mut self.phase {
            DevicePhase::Unauthenticated(_) | DevicePhase::Authenticating(_) => None,
            DevicePhase::Authenticated(device) => {
                Some(device.handle_time(&self.channel, &mut self.replies))
            }
        }
    }

    fn authentication(&self) -> Authentication {
        match &self.phase {
            DevicePhase::Unauthenticated(phase) => Authentication::Missing(phase.close_code()),
            // The delay is the fault of the server, not of the peer.
            DevicePhase::Authenticating(_) => Authentication::Missing(CloseCode::TryAgainLater),
            DevicePhase::Authenticated(_) => Authentication::Complete(None),
        }
    }

    fn end(self, clean: bool) -> Option<EndWork> {
        match self.phase {
            DevicePhase::Authenticated(device) => device.end(clean, &self.channel),
            DevicePhase::Unauthenticated(_) | DevicePhase::Authenticating(_) => None,
        }
    }
}
