//! The state that all sockets share: the service, the limits, the timers, and the open
//! sockets, from which they are drained.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use presence_protocol::CloseCode;
use presence_service::{PresenceService, SocketWaker};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::origins::AllowedOrigins;
use super::timer_wheel::TimerWheel;
use crate::meter::{Channel, ChannelMeter};

/// The number of batches in which a drain closes all sockets.
const DRAIN_BATCHES: u32 = 20;

/// The limits of a socket.
#[derive(Debug, Clone, Copy)]
pub struct SocketLimits {
    /// The maximum number of bytes of a frame from a device.
    pub device_frame: usize,
    /// The maximum number of bytes of a frame from an AppService.
    pub app_frame: usize,
    /// The time in which a new socket must authenticate.
    pub authentication: Duration,
    /// The silence after which a peer is pinged; after two of them its connection is lost.
    pub ping: Duration,
    /// The time for which a peer may read nothing of what is written to it.
    pub write: Duration,
    /// The longest time that one frame may take while its bytes arrive.
    pub frame: Duration,
}

/// The state that all sockets share.
pub struct SocketRegistry {
    pub(crate) service: Arc<PresenceService>,
    pub(crate) limits: SocketLimits,
    pub(crate) origins: AllowedOrigins,
    pub(crate) timers: TimerWheel,
    pub(crate) tasks: TaskTracker,
    device_meter: ChannelMeter,
    app_meter: ChannelMeter,
    open: Mutex<HashMap<u64, Weak<SocketWaker>>>,
    next_id: AtomicU64,
    /// The code that sockets are closed with, once the server stops.
    drain_code: OnceLock<CloseCode>,
}

/// The registration of an open socket. Dropping it removes the socket.
pub(crate) struct Registration {
    sockets: Arc<SocketRegistry>,
    id: u64,
}

impl SocketRegistry {
    /// Creates the shared state, without open sockets.
    pub fn new(
        service: Arc<PresenceService>,
        limits: SocketLimits,
        origins: AllowedOrigins,
    ) -> Self {
        Self {
            timers: TimerWheel::new(service.clock()),
            service,
            limits,
            origins,
            tasks: TaskTracker::new(),
            device_meter: ChannelMeter::new(Channel::Device),
            app_meter: ChannelMeter::new(Channel::App),
            open: Mutex::default(),
            next_id: AtomicU64::new(0),
            drain_code: OnceLock::new(),
        }
    }

    /// Fires the timers of all sockets, until `stop`.
    pub async fn run_timers(&self, stop: CancellationToken) {
        self.timers.run(stop).await;
    }

    /// Returns true while the server closes its sockets before it stops.
    pub fn is_draining(&self) -> bool {
        self.drain_code.get().is_some()
    }

    /// Closes all sockets with a code, in batches over `duration`, so that not all clients
    /// reconnect at once. Then waits for them, and returns false if some are still open after
    /// `timeout`.
    pub async fn drain(&self, code: CloseCode, duration: Duration, timeout: Duration) -> bool {
        let code = *self.drain_code.get_or_init(|| code);
        self.tasks.close();
        let open: Vec<Weak<SocketWaker>> = self.with_open(|open| open.values().cloned().collect());
        let batch = open.len().div_ceil(DRAIN_BATCHES as usize).max(1);
        for sockets in open.chunks(batch) {
            let wakers = sockets.iter().filter_map(Weak::upgrade);
            wakers.for_each(|waker| waker.close(code));
            tokio::time::sleep(duration / DRAIN_BATCHES).await;
        }
        self.with_open(|open| {
            let rest = open.values().filter_map(Weak::upgrade);
            rest.for_each(|waker| waker.close(code));
        });
        tokio::time::timeout(timeout, self.tasks.wait()).await.is_ok()
    }

    /// Returns the number of open sockets.
    pub(crate) fn count(&self) -> usize {
        self.with_open(|open| open.len())
    }

    /// Returns the metrics of a channel.
    pub(crate) fn meter(&self, channel: Channel) -> &ChannelMeter {
        match channel {
            Channel::Device => &self.device_meter,
            Channel::App => &self.app_meter,
        }
    }

    /// Registers a new socket. During a drain, closes it at once.
    pub(crate) fn register(self: &Arc<Self>, waker: &Arc<SocketWaker>) -> Registration {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.with_open(|open| open.insert(id, Arc::downgrade(waker)));
        if let Some(code) = self.drain_code.get() {
            waker.close(*code);
        }
        Registration { sockets: Arc::clone(self), id }
    }

    fn with_open<T>(&self, work: impl FnOnce(&mut HashMap<u64, Weak<SocketWaker>>) -> T) -> T {
        work(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Registration {
    /// Returns the number of the socket, unique while the server runs.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.sockets.with_open(|open| open.remove(&self.id));
    }
}
