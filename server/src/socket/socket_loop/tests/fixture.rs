//! A socket loop with a scripted protocol, over memory.

use std::collections::VecDeque;
use std::sync::{Mutex, Weak};

use futures_util::{FutureExt, SinkExt, StreamExt};
use presence_core::{Clock as _, ManualClock};
use presence_identity::Dispatcher;
use presence_identity::fetch::{GuardOptions, GuardedClient};
use presence_service::{OpenDatabase, PresenceService, ServiceParts};
use tempfile::TempDir;
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::super::*;
use crate::meter::Channel;
use crate::settings::Settings;
use crate::socket::origins::AllowedOrigins;
use crate::socket::protocol_state::EndWork;
use crate::socket::registry::SocketLimits;

pub(super) const FRAME_LIMIT: usize = 256;
/// The number of bytes that wait in memory for a peer that does not read.
pub(super) const MEMORY: usize = 4096;
pub(super) const LIMITS: SocketLimits = SocketLimits {
    device_frame: FRAME_LIMIT,
    app_frame: FRAME_LIMIT,
    authentication: Duration::from_secs(10),
    ping: Duration::from_secs(30),
    write: Duration::from_secs(5),
    frame: Duration::from_mins(5),
};
/// A protocol that answers each text with `reply: TEXT`, and records its calls.
pub(super) struct ScriptedProtocol<const GATHERS: bool> {
    script: Arc<Mutex<Script>>,
    /// The work on a frame, which is dropped with the protocol.
    _work: Arc<()>,
}

pub(super) struct Script {
    pub(super) outgoing: VecDeque<Outgoing>,
    pub(super) authentication: Authentication,
    pub(super) is_busy: bool,
    pub(super) control_frames: usize,
    pub(super) flushes: usize,
    pub(super) cancellations: usize,
    pub(super) ended_clean: Option<bool>,
}

impl<const GATHERS: bool> ScriptedProtocol<GATHERS> {
    pub(super) fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }
}

impl<const GATHERS: bool> ProtocolState for ScriptedProtocol<GATHERS> {
    const CHANNEL: Channel = Channel::Device;
    const GATHERS_NEWS: bool = GATHERS;

    fn can_handle_frame(&self) -> bool {
        !self.script().is_busy
    }

    fn handle_frame(&mut self, text: &str) {
        let reply = Outgoing::Text(format!("reply: {text}").into());
        self.script().outgoing.push_back(reply);
    }

    fn handle_control_frame(&mut self) {
        self.script().control_frames += 1;
    }

    fn handle_wake(&mut self) {}

    fn poll_work(&mut self, _: &mut Context<'_>) {}

    fn cancel_pending(&mut self) {
        self.script().cancellations += 1;
    }

    fn poll_outgoing(&mut self) -> Option<Outgoing> {
        self.script().outgoing.pop_front()
    }

    fn handle_flushed(&mut self) {
        self.script().flushes += 1;
    }

    fn handle_time(&mut self) -> Option<Duration> {
        None
    }

    fn authentication(&self) -> Authentication {
        self.script().authentication
    }

    fn end(self, clean: bool) -> Option<EndWork> {
        self.script().ended_clean = Some(clean);
        None
    }
}

/// A socket loop, and the other end of its stream.
pub(super) struct Fixture<const GATHERS: bool = false> {
    pub(super) socket: SocketLoop<ScriptedProtocol<GATHERS>, DuplexStream>,
    pub(super) peer: WebSocketStream<DuplexStream>,
    pub(super) script: Arc<Mutex<Script>>,
    pub(super) clock: Arc<ManualClock>,
    /// Alive as long as the protocol's work.
    pub(super) work: Weak<()>,
    pub(super) _directory: TempDir,
}

impl Fixture {
    pub(super) async fn new() -> Self {
        Self::with(MEMORY, FRAME_LIMIT).await
    }

    /// Makes a fixture for frames that do not fit into the usual memory.
    pub(super) async fn with_frames_of(bytes: usize) -> Self {
        Self::with(2 * bytes, bytes).await
    }
}

impl<const GATHERS: bool> Fixture<GATHERS> {
    pub(super) async fn with(memory: usize, frame_limit: usize) -> Self {
        let clock = Arc::<ManualClock>::default();
        let (sockets, directory) = registry(Arc::clone(&clock)).await;
        let (stream, peer) = tokio::io::duplex(memory);
        let config = WebSocketConfig::default()
            .max_message_size(Some(frame_limit))
            .max_frame_size(Some(frame_limit));
        let stream = CountedStream::new(stream, UNAUTHENTICATED_BYTES);
        let stream = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        let peer = WebSocketStream::from_raw_socket(peer, Role::Client, None).await;
        let script = Arc::new(Mutex::new(Script {
            outgoing: VecDeque::new(),
            authentication: Authentication::Complete(None),
            is_busy: false,
            control_frames: 0,
            flushes: 0,
            cancellations: 0,
            ended_clean: None,
        }));
        let work = Arc::new(());
        let running_work = Arc::downgrade(&work);
        let protocol = ScriptedProtocol { script: Arc::clone(&script), _work: work };
        let socket = SocketLoop::new(stream, protocol, Arc::default(), sockets, 1);
        Self { socket, peer, script, clock, work: running_work, _directory: directory }
    }

    /// Polls the loop once.
    pub(super) fn poll(&mut self) -> Poll<SocketEnd> {
        self.socket.poll(&mut Context::from_waker(std::task::Waker::noop()))
    }

    pub(super) fn send(&mut self, message: Message) {
        self.peer.send(message).now_or_never().unwrap().unwrap();
    }

    /// Returns the frame that the peer can read, if there is one.
    pub(super) fn received(&mut self) -> Option<Message> {
        self.peer.next().now_or_never().map(|read| read.unwrap().unwrap())
    }

    /// Checks that the peer gets a close frame with a code, and nothing before it.
    pub(super) fn expect_close(&mut self, code: CloseCode) {
        let received = self.received();
        let Some(Message::Close(Some(frame))) = received else { panic!("{received:?}") };
        assert_eq!(u16::from(frame.code), code.number());
        assert_eq!(self.script().cancellations, 1);
    }

    pub(super) fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }
}

async fn registry(clock: Arc<ManualClock>) -> (Arc<SocketRegistry>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings::default();
    let url = format!("sqlite://{}/t.db?mode=rwc", directory.path().display());
    let database = OpenDatabase::open(&url, &settings.service_settings(), clock.now()).await;
    let (service, _) = PresenceService::open(ServiceParts {
        database: database.unwrap(),
        verifier: Arc::new(Dispatcher::new()),
        domain_client: GuardedClient::new(GuardOptions::default()).unwrap(),
        clock,
        settings: settings.service_settings(),
    })
    .await
    .unwrap();
    let origins = AllowedOrigins::new(&[], &settings);
    (Arc::new(SocketRegistry::new(service, LIMITS, origins)), directory)
}
