//! What all sockets share: the service, their limits, the wheel, and the register from which they are drained.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use presence_protocol::CloseCode;
use presence_service::{PresenceService, SocketWaker};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::origins::Origins;
use super::timer_wheel::TimerWheel;
use crate::meter::{Channel, ChannelMeter};

/// How many sockets are told to go at once while draining.
const DRAIN_BATCHES: u32 = 20;

/// The limits of a socket.
#[derive(Debug, Clone, Copy)]
pub struct SocketLimits {
    /// The most bytes of a frame from a device.
    pub device_frame: usize,
    /// The most bytes of a frame from an AppService.
    pub app_frame: usize,
    /// How long a new socket may stay unknown.
    pub hello: Duration,
    /// How often a silent peer is pinged; one silent for two intervals is dead.
    pub ping: Duration,
    /// How long a peer may let what is written to it wait.
    pub write: Duration,
}

/// What all sockets share.
pub struct SocketRegistry {
    pub(crate) service: Arc<PresenceService>,
    pub(crate) limits: SocketLimits,
    pub(crate) origins: Origins,
    pub(crate) wheel: TimerWheel,
    pub(crate) tasks: TaskTracker,
    device_meter: ChannelMeter,
    app_meter: ChannelMeter,
    open: Mutex<HashMap<u64, Weak<SocketWaker>>>,
    turns: AtomicU64,
    /// The code that sockets are told to go with, once the server stops.
    farewell: OnceLock<CloseCode>,
}

/// A socket's entry in the register; dropping it strikes it out.
pub(crate) struct Entry {
    sockets: Arc<SocketRegistry>,
    turn: u64,
}

impl SocketRegistry {
    /// A register without sockets.
    pub fn new(service: Arc<PresenceService>, limits: SocketLimits, origins: Origins) -> Self {
        Self {
            wheel: TimerWheel::new(service.clock()),
            service,
            limits,
            origins,
            tasks: TaskTracker::new(),
            device_meter: ChannelMeter::new(Channel::Device),
            app_meter: ChannelMeter::new(Channel::App),
            open: Mutex::default(),
            turns: AtomicU64::new(0),
            farewell: OnceLock::new(),
        }
    }

    /// Turns the wheel until it is told to stop.
    pub async fn turn(&self, stop: CancellationToken) {
        self.wheel.turn(stop).await;
    }

    /// Whether the server is shutting down.
    pub fn is_draining(&self) -> bool {
        self.farewell.get().is_some()
    }

    /// Closes all sockets, in batches over a time, so that not all come back at once; then waits for them. False where
    /// some had to be left.
    pub async fn drain(&self, farewell: CloseCode, over: Duration, patience: Duration) -> bool {
        let farewell = *self.farewell.get_or_init(|| farewell);
        self.tasks.close();
        let open: Vec<Weak<SocketWaker>> = self.with(|open| open.values().cloned().collect());
        let batch = open.len().div_ceil(DRAIN_BATCHES as usize).max(1);
        for sockets in open.chunks(batch) {
            let bells = sockets.iter().filter_map(Weak::upgrade);
            bells.for_each(|bell| bell.close(farewell));
            tokio::time::sleep(over / DRAIN_BATCHES).await;
        }
        self.with(|open| {
            let late = open.values().filter_map(Weak::upgrade);
            late.for_each(|bell| bell.close(farewell));
        });
        tokio::time::timeout(patience, self.tasks.wait()).await.is_ok()
    }

    /// What is counted of a channel.
    pub(crate) fn meter(&self, channel: Channel) -> &ChannelMeter {
        match channel {
            Channel::Device => &self.device_meter,
            Channel::App => &self.app_meter,
        }
    }

    pub(crate) fn enter(self: &Arc<Self>, bell: &Arc<SocketWaker>) -> Entry {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        self.with(|open| open.insert(turn, Arc::downgrade(bell)));
        if let Some(farewell) = self.farewell.get() {
            bell.close(*farewell);
        }
        Entry { sockets: Arc::clone(self), turn }
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<u64, Weak<SocketWaker>>) -> T) -> T {
        work(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Entry {
    /// The number of the connection.
    pub(crate) fn turn(&self) -> u64 {
        self.turn
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.sockets.with(|open| open.remove(&self.turn));
    }
}
