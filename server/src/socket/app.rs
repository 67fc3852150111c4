//! The conversation on the AppService Presence Channel.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::ready;
use futures_util::stream::{FuturesOrdered, Stream};
use presence_core::violation_window::ViolationWindow;
use presence_protocol::app::{
    self, AppServiceAuth, AppServiceCommand, AppServiceRequest, QueuedNotification,
};
use presence_protocol::{ApiError, AppId, CloseCode, Errno, RequestId};
use presence_service::app_services::{
    AuthenticatedAppService, RequestedApplication, SubscribeMode, SubscribeRequest,
};
use presence_service::hub::Subscription;
use presence_service::{PresenceService, SocketWaker};
use tracing::Span;

use super::socket_loop::{Outgoing, ProtocolState};
use crate::meter::{self, Channel};

/// How many frames may be worked on at once; their replies keep their order.
const AT_WORK: usize = 64;

type Work = Pin<Box<dyn Future<Output = Event> + Send>>;

/// What became of a frame.
enum Event {
    Known(Option<RequestId>, Result<Box<Guest>, ApiError>),
    Again(Option<RequestId>, Result<(), ApiError>),
    Notified(Option<RequestId>, Vec<Result<QueuedNotification, ApiError>>),
    NotifiedOne(Option<RequestId>, Result<QueuedNotification, ApiError>),
    Answered(Option<RequestId>, Result<String, ApiError>),
    Refused(Option<RequestId>, ApiError),
}

/// An AppService whose key was checked, with its way through the stream.
struct Guest {
    service: AuthenticatedAppService,
    subscription: Subscription,
}

/// What the upgrade request said.
pub(crate) struct Upgraded {
    /// The Application in the path.
    pub(crate) app: RequestedApplication,
    /// Whether `presence.v1` is spoken.
    pub(crate) paged: bool,
    /// The address of the client.
    pub(crate) client: IpAddr,
    /// The key and the options of a request that bore a key.
    pub(crate) bearer: Option<AppServiceAuth>,
}

/// The conversation with one AppService.
pub(crate) struct AppServiceProtocol {
    presence: Arc<PresenceService>,
    bell: Arc<SocketWaker>,
    upgraded: Upgraded,
    guest: Option<Box<Guest>>,
    /// A key is being checked; what comes after it waits.
    authenticating: bool,
    /// How much of the work may be logged in the span of the moment.
    logged: usize,
    /// What becomes of notifications is logged in here.
    span: Span,
    work: FuturesOrdered<Work>,
    out: VecDeque<Outgoing>,
    patience: ViolationWindow,
    heard: bool,
    /// The stream may hold something.
    news: bool,
}

impl AppServiceProtocol {
    pub(crate) fn new(
        presence: Arc<PresenceService>,
        bell: Arc<SocketWaker>,
        upgraded: Upgraded,
    ) -> Self {
        let mut conversation = Self {
            presence,
            bell,
            upgraded,
            guest: None,
            authenticating: false,
            logged: 0,
            span: Span::none(),
            work: FuturesOrdered::new(),
            out: VecDeque::new(),
            patience: ViolationWindow::default(),
            heard: false,
            news: false,
        };
        if let Some(auth) = conversation.upgraded.bearer.take() {
            conversation.authenticate(None, auth);
        }
        conversation
    }

    fn take(&mut self, AppServiceRequest { id, command }: AppServiceRequest) {
        match (command, &self.guest) {
            (AppServiceCommand::Auth(auth), None) => self.authenticate(id, auth),
            (AppServiceCommand::Auth(auth), Some(guest)) => {
                let (presence, app) = (Arc::clone(&self.presence), guest.service.app);
                let client = self.upgraded.client;
                self.logged += 1;
                self.work.push_back(Box::pin(async move {
                    let key = auth.key.unwrap_or_default();
                    let app = RequestedApplication::Id(app);
                    let checked = presence.app_services().authenticate(app, &key, client).await;
                    Event::Again(id, checked.map(drop))
                }));
            }
            (_, None) => self.refuse(id, Errno::NotAuthenticated.into()),
            (AppServiceCommand::Notify(items), Some(guest)) => {
                let answer =
                    self.presence.notifications().notify(guest.service.app, items, &self.span);
                self.work.push_back(Box::pin(async move { Event::Notified(id, answer.await) }));
            }
            (AppServiceCommand::NotifyOne(item), Some(guest)) => {
                let answer = self.presence.notifications().notify(
                    guest.service.app,
                    vec![Ok(item)],
                    &self.span,
                );
                self.work.push_back(Box::pin(async move {
                    let result = answer.await.pop().unwrap_or(Err(Errno::Internal.into()));
                    Event::NotifiedOne(id, result)
                }));
            }
            (AppServiceCommand::Query(uids), Some(guest)) => {
                let (presence, service) = (Arc::clone(&self.presence), guest.service.clone());
                self.logged += 1;
                self.work.push_back(Box::pin(async move {
                    let answers = presence.app_services().query(&service, uids).await;
                    let reply = answers.map(|answers| app::query_ok(id.as_ref(), &answers));
                    Event::Answered(id, reply)
                }));
            }
        }
    }

    fn authenticate(&mut self, id: Option<RequestId>, auth: AppServiceAuth) {
        let (presence, bell) = (Arc::clone(&self.presence), Arc::clone(&self.bell));
        let Upgraded { app, paged, client, .. } = self.upgraded;
        let AppServiceAuth { key, cursor, receipts } = auth;
        let mode =
            if paged { SubscribeMode::Paged { cursor, receipts } } else { SubscribeMode::Plain };
        let request = SubscribeRequest { app, key, mode };
        self.authenticating = true;
        self.work.push_back(Box::pin(async move {
            let opened = presence.app_services().subscribe(request, bell, client).await;
            let guest = opened.map(|(service, subscription)| Guest { service, subscription });
            Event::Known(id, guest.map(Box::new))
        }));
    }

    fn refuse(&mut self, id: Option<RequestId>, ko: ApiError) {
        self.work.push_back(Box::pin(ready(Event::Refused(id, ko))));
    }

    fn on_event(&mut self, event: Event) {
        if matches!(event, Event::Again(..) | Event::Answered(..)) {
            self.logged -= 1;
        }
        match event {
            Event::Known(id, Ok(guest)) => {
                tracing::debug!(app = %guest.service.app, "app.open");
                (self.guest, self.authenticating, self.news) = (Some(guest), false, true);
                self.say(app::auth_ok(id.as_ref()));
            }
            Event::Known(id, Err(ko)) => {
                self.authenticating = false;
                self.turn_away(id.as_ref(), &ko);
            }
            Event::Again(id, Ok(())) => self.say(app::auth_ok(id.as_ref())),
            Event::Again(id, Err(ko)) => self.turn_away(id.as_ref(), &ko),
            Event::Notified(id, results) => {
                self.say(app::notify_ok(id.as_ref(), &results));
                results
                    .iter()
                    .filter_map(|result| result.as_ref().err())
                    .for_each(|ko| meter::count_error(ko.errno));
                if results.iter().any(too_fast) {
                    self.lose_patience();
                }
            }
            Event::NotifiedOne(id, result) => match result {
                Ok(queued) => self.say(app::notify_ok(id.as_ref(), &[Ok(queued)])),
                Err(ko) => self.say_ko(id.as_ref(), &ko),
            },
            Event::Answered(_, Ok(text)) => self.say(text),
            Event::Answered(id, Err(ko)) | Event::Refused(id, ko) => self.say_ko(id.as_ref(), &ko),
        }
    }

    fn turn_away(&mut self, id: Option<&RequestId>, ko: &ApiError) {
        self.say_ko(id, ko);
        let good_byes = [
            (Errno::InvalidApiKey, CloseCode::NotAuthorised),
            (Errno::ApplicationNotActive, CloseCode::ApplicationClosed),
            (Errno::TooManyConnections, CloseCode::TryAgainLater),
        ];
        if let Some((_, code)) = good_byes.into_iter().find(|(errno, _)| *errno == ko.errno) {
            self.out.push_back(Outgoing::Close(code));
        }
    }

    fn say(&mut self, text: String) {
        self.out.push_back(Outgoing::Text(text.into()));
    }

    fn say_ko(&mut self, id: Option<&RequestId>, ko: &ApiError) {
        meter::count_error(ko.errno);
        self.say(ko.to_json(id));
        if ko.errno == Errno::SlowDown {
            self.lose_patience();
        }
    }

    fn lose_patience(&mut self) {
        if self.patience.record(self.presence.steady()) {
            self.out.push_back(Outgoing::Close(CloseCode::TooSlowOrTooFast));
        }
    }

    fn read_stream(&mut self) {
        let Some(guest) = &mut self.guest else { return };
        match guest.subscription.next_frames(self.presence.is_warming_up()) {
            Ok(frames) => {
                // A page may be followed by another.
                self.news = !frames.is_empty();
                self.out.extend(frames.into_iter().map(Outgoing::Text));
            }
            Err(code) => self.out.push_back(Outgoing::Close(code)),
        }
    }
}

impl ProtocolState for AppServiceProtocol {
    const CHANNEL: Channel = Channel::App;

    fn is_ready(&self) -> bool {
        !self.authenticating && self.work.len() < AT_WORK && self.out.len() < AT_WORK
    }

    fn handle_frame(&mut self, text: &str) {
        self.heard = true;
        match app::parse(text) {
            Ok(request) => self.take(request),
            Err((ko, id)) => self.refuse(id, ko),
        }
    }

    fn ring(&mut self) {
        self.news = true;
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        while let Poll::Ready(Some(event)) = Pin::new(&mut self.work).poll_next(context) {
            self.on_event(event);
        }
    }

    fn cancel_pending(&mut self) {
        self.work.clear();
        self.logged = 0;
    }

    fn poll_outgoing(&mut self) -> Option<Outgoing> {
        if self.news && self.out.is_empty() {
            self.read_stream();
        }
        self.out.pop_front()
    }

    fn flushed(&mut self) {}

    fn look_at_time(&mut self) -> Option<Duration> {
        None
    }

    fn may_log(&self) -> bool {
        self.authenticating || self.logged > 0
    }

    fn app(&self) -> Option<AppId> {
        self.guest.as_ref().map(|guest| guest.service.app)
    }

    fn named(&mut self, span: &Span) {
        self.span = span.clone();
    }

    fn is_known(&self) -> bool {
        self.guest.is_some()
    }

    fn why_unknown(&self) -> CloseCode {
        if self.heard { CloseCode::NotAuthorised } else { CloseCode::Silent }
    }

    fn end(self, _clean: bool) {
        if let Some(guest) = self.guest {
            tracing::debug!(app = %guest.service.app, "app.end");
        }
    }
}

fn too_fast(result: &Result<QueuedNotification, ApiError>) -> bool {
    result.as_ref().is_err_and(|ko| ko.errno == Errno::SlowDown)
}
