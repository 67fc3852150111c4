//! From settings to a running server, and down again without losing anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use poem::endpoint::{DynEndpoint, ToDynEndpoint, make, make_sync};
use poem::http::header;
use poem::{Endpoint, EndpointExt, IntoResponse, Request, Response, Route, Server};
use presence_core::Clock;
use presence_identity::browserid::{
    AllowListed, Audience, BrowserId, Discovery, FirstOf, KeySource, Policy,
};
use presence_identity::fetch::{GuardOptions, GuardedClient};
use presence_identity::{DevIssuer, Dispatcher};
use presence_protocol::{CloseCode, Errno, Ko};
use presence_service::clock::SystemClock;
use presence_service::{Parts, Presence, StoreError};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::acceptor::{Listening, bind};
use crate::context::Context;
use crate::http;
use crate::meter::Exporter;
use crate::settings::Settings;
use crate::socket::shared::Sockets;
use crate::socket::upgrade;
use crate::web::{self, OperatorDoor};

/// How long sockets, requests and the writer may take to end, beyond the drain.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the server could not start; the text is one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(String);

/// Why the server is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// For good, or for who knows how long.
    ForGood,
    /// To be started again at once.
    ForRestart,
}

/// A server that listens.
pub struct Running {
    listener: TcpListener,
    address: SocketAddr,
    settings: Settings,
    context: Arc<Context>,
    sockets: Arc<Sockets>,
    exporter: Exporter,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Running {
    /// Binds the address, opens the database and starts what runs beside the sockets.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let exporter = Exporter::start().map_err(failed)?;
        let listener = bind(settings.listen).map_err(|error| {
            StartError(format!("cannot listen on {}: {error}", settings.listen))
        })?;
        let address = listener.local_addr().map_err(failed)?;
        let public_url = settings
            .public_url(address)
            .ok_or_else(|| StartError("the public URL is not a URL".to_owned()))?;
        let dev_issuer = if settings.dev { Some(DevIssuer::new().map_err(failed)?) } else { None };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let (presence, writer) = Presence::open(Parts {
            database: &settings.database,
            verifier: Arc::new(verifier(&settings, &public_url, address, dev_issuer.as_ref())?),
            fetch: fetch(&settings)?,
            clock,
            settings: settings.service(),
        })
        .await
        .map_err(|error| StartError(with_causes(&error)))?;
        let sockets = Arc::new(Sockets::new(Arc::clone(&presence), settings.sockets()));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(writer.run());
        let (house, house_stop) = (Arc::clone(&presence), stop.clone());
        tasks.spawn(async move { house.keep_house(house_stop).await });
        let body_limit = settings.body_bytes;
        let operator = settings.admin_token_digest();
        let operator = operator.map(|token| OperatorDoor::new(token, exporter.clone()));
        let context = Context { presence, public_url, dev_issuer, body_limit, operator };
        let context = Arc::new(context);
        Ok(Self { listener, address, settings, context, sockets, exporter, tasks, stop })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is reached.
    pub fn url(&self) -> &Url {
        &self.context.public_url
    }

    /// Serves until it is asked to stop; then the sockets are told to go, and what was accepted is finished.
    ///
    /// # Errors
    ///
    /// [`StartError`], where the listener fails.
    pub async fn serve(self, asked: impl Future<Output = Stop>) -> Result<(), StartError> {
        let Self { listener, settings, context, sockets, exporter, tasks, stop, .. } = self;
        let closing = context.presence.closing();
        let wheel_stop = CancellationToken::new();
        let (wheel, wheel_stopped) = (Arc::clone(&sockets), wheel_stop.clone());
        tasks.spawn(async move { wheel.turn(wheel_stopped).await });
        let acceptor = Listening::new(listener, Arc::clone(&sockets), settings.silences());
        let endpoint = endpoint(context, Arc::clone(&sockets), exporter);
        let drained = async {
            let farewell = match asked.await {
                Stop::ForGood => CloseCode::GoingAway,
                Stop::ForRestart => CloseCode::Restart,
            };
            tracing::info!("stopping: sockets are told to go");
            // From here on nobody is said to have left: those who are told to go will be back with the next run.
            stop.cancel();
            if !sockets.drain(farewell, settings.drain(), PATIENCE).await {
                tracing::warn!("some sockets did not end in time");
            }
        };
        let server = Server::new_with_acceptor(acceptor.map_err(failed)?);
        server
            .run_with_graceful_shutdown(endpoint, drained, Some(PATIENCE))
            .await
            .map_err(failed)?;
        wheel_stop.cancel();
        drop(sockets);
        tasks.close();
        finish(&tasks, closing).await;
        Ok(())
    }
}

/// Waits for the writer, then for the database.
async fn finish(tasks: &TaskTracker, closing: impl Future<Output = Result<(), StoreError>>) {
    let ending = async {
        tasks.wait().await;
        closing.await
    };
    let problem = match tokio::time::timeout(PATIENCE, ending).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => with_causes(&error),
        Err(_) => "not in time".to_owned(),
    };
    tracing::warn!(problem, "the writer or the database did not end");
}

/// An error with what led to it, since only that says which of many things is wrong.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn failed(error: impl std::fmt::Display) -> StartError {
    StartError(error.to_string())
}

fn verifier(
    settings: &Settings,
    public_url: &Url,
    address: SocketAddr,
    dev: Option<&DevIssuer>,
) -> Result<Dispatcher, StartError> {
    let mut origins = vec![public_url.origin().ascii_serialization()];
    if dev.is_some() {
        origins.push(format!("http://localhost:{}", address.port()));
        origins.push(format!("http://127.0.0.1:{}", address.port()));
    }
    let audiences: Result<Vec<_>, _> = origins.iter().map(|text| Audience::parse(text)).collect();
    let discovery = discovery()?;
    let allowed = settings.browserid_issuers.iter().cloned();
    let mut keys: Vec<Arc<dyn KeySource>> = vec![Arc::new(AllowListed::new(allowed, discovery))];
    keys.extend(dev.map(|issuer| Arc::new(issuer.key_source()) as Arc<dyn KeySource>));
    let browserid =
        BrowserId::new(Arc::new(FirstOf::new(keys)), audiences.map_err(failed)?, Policy::default());
    Ok(Dispatcher::new().with_browserid(Arc::new(browserid)))
}

/// Asks BrowserID issuers for their keys.
pub(crate) fn discovery() -> Result<Discovery, StartError> {
    Ok(Discovery::new(GuardedClient::new(GuardOptions::default()).map_err(failed)?))
}

fn fetch(settings: &Settings) -> Result<GuardedClient, StartError> {
    let options = GuardOptions {
        allow_http: settings.domain_http || settings.dev,
        allow_loopback: settings.dev,
    };
    GuardedClient::new(options).map_err(failed)
}

fn endpoint(
    context: Arc<Context>,
    sockets: Arc<Sockets>,
    exporter: Exporter,
) -> impl Endpoint<Output = Response> {
    let measured = Arc::clone(&context.presence);
    let app_socket =
        socket(&sockets, |sockets, request| async move { upgrade::app(&sockets, &request).await });
    let calls: http::SharedEndpoint =
        Arc::new(ToDynEndpoint(http::routes(context, web::pages, web::METHODS)));
    let app_socket = page_or_socket(&calls, app_socket);
    let routes = Route::new()
        .at(
            "/presence",
            socket(&sockets, |sockets, request| async move { upgrade::device(&sockets, &request) }),
        )
        .at("/metrics", make_sync(move |_| metrics(&exporter, &measured)))
        .at("/myapps/", Arc::clone(&app_socket))
        .at("/myapps/:appid", app_socket)
        .nest_no_strip("/", calls);
    routes.around(move |next, request| {
        let draining = sockets.is_draining();
        async move {
            if draining {
                return Ok(http::refuse(&Ko::from(Errno::ShuttingDown).after(1.0)));
            }
            next.call(request).await.map(IntoResponse::into_response)
        }
    })
}

fn metrics(exporter: &Exporter, presence: &Presence) -> Response {
    Response::builder()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(exporter.render(presence))
}

/// An Application's path is that of its page and of its channel: who asks for HTML and for no upgrade gets the page.
fn page_or_socket(
    pages: &http::SharedEndpoint,
    socket: http::SharedEndpoint,
) -> http::SharedEndpoint {
    let pages = Arc::clone(pages);
    let endpoint = make(move |request| {
        let page = http::wants_a_page(&request) && !request.headers().contains_key(header::UPGRADE);
        let next = Arc::clone(if page { &pages } else { &socket });
        async move { next.call(request).await }
    });
    Arc::new(ToDynEndpoint(endpoint))
}

fn socket<F, A>(sockets: &Arc<Sockets>, upgrade: F) -> Arc<dyn DynEndpoint<Output = Response>>
where
    F: Fn(Arc<Sockets>, Request) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Response, Ko>> + Send + 'static,
{
    let sockets = Arc::clone(sockets);
    let endpoint = make(move |request| {
        let answer = upgrade(Arc::clone(&sockets), request);
        async move { answer.await.unwrap_or_else(|ko| http::refuse(&ko)) }
    });
    Arc::new(ToDynEndpoint(endpoint.map_to_response()))
}
