//! From settings to a build_info server, and down again without losing anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use poem::endpoint::{DynEndpoint, ToDynEndpoint, make, make_sync};
use poem::http::{Method, Uri};
use poem::{Endpoint, EndpointExt, IntoResponse, Request, Response, Route, Server};
use presence_core::Clock;
use presence_identity::browserid::Audience;
use presence_identity::fetch::{GuardOptions, GuardedClient};
use presence_identity::oidc::Oidc;
use presence_identity::{DevIssuer, Dispatcher};
use presence_protocol::{ApiError, CloseCode, Errno};
use presence_service::clock::{Stopwatch, SystemClock};
use presence_service::{PresenceService, ServiceParts, StoreError};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::acceptor::{Listening, bind};
use crate::browserid;
use crate::client_address::Proxies;
use crate::context::ServerContext;
use crate::http::{self, build_info};
use crate::meter::{self, MetricsExporter};
use crate::oidc;
use crate::operator_console::OperatorConsole;
use crate::route_table::SharedEndpoint;
use crate::settings::Settings;
use crate::socket::origins::Origins;
use crate::socket::registry::SocketRegistry;
use crate::socket::upgrade;
use crate::tls::Tls;
use crate::web;

/// How long sockets, requests and the writer may take to end, beyond the drain.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where Prometheus looks.
const METRICS: &str = "/metrics";

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
    /// Where the metrics are, if not beside everything else.
    operator: Option<TcpListener>,
    tls: Option<Arc<Tls>>,
    settings: Settings,
    context: Arc<ServerContext>,
    sockets: Arc<SocketRegistry>,
    exporter: MetricsExporter,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Running {
    /// Binds the address, opens the database and starts what runs beside the sockets. With `tls`, that is what is spoken.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub(crate) async fn start(
        settings: Settings,
        tls: Option<Arc<Tls>>,
    ) -> Result<Self, StartError> {
        let exporter =
            MetricsExporter::install(build_info::VERSION, build_info::commit()).map_err(failed)?;
        let listener = listen_on(settings.listen)?;
        let operator = settings.metrics_listen().map(listen_on).transpose()?;
        let address = listener.local_addr().map_err(failed)?;
        let public_url = settings
            .public_url(address)
            .ok_or_else(|| StartError("the public URL is not a URL".to_owned()))?;
        let dev_issuer = if settings.dev { Some(DevIssuer::new().map_err(failed)?) } else { None };
        let oidc = oidc::verifier(&settings).map_err(failed)?;
        let code_flow = oidc::code_flow(oidc.as_ref(), &public_url).map_err(failed)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let (service, writer) = PresenceService::open(ServiceParts {
            database: &settings.database,
            verifier: Arc::new(with_oidc(
                verifier(&settings, &public_url, address, dev_issuer.as_ref(), Arc::clone(&clock))?,
                oidc.as_ref(),
            )),
            fetch: fetch(&settings)?,
            clock,
            settings: settings.service(),
        })
        .await
        .map_err(|error| StartError(with_causes(&error)))?;
        let own_origins = own_origins(&settings, &public_url, address);
        let origins = Origins::of(own_origins.clone(), &settings);
        let sockets =
            Arc::new(SocketRegistry::new(Arc::clone(&service), settings.sockets(), origins));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(writer.run());
        let (house, house_stop) = (Arc::clone(&service), stop.clone());
        tasks.spawn(async move { house.run_maintenance(house_stop).await });
        let (upkeep, upkeep_stop) = (exporter.clone(), stop.clone());
        tasks.spawn(async move { upkeep.keep(upkeep_stop).await });
        if let Some(oidc) = oidc {
            tasks.spawn(oidc::tend(oidc, Arc::clone(&service), stop.clone()));
        }
        let context = Arc::new(ServerContext {
            service,
            public_url,
            own_origins,
            dev_issuer,
            code_flow,
            body_limit: settings.body_bytes,
            operator: OperatorConsole::configured(&settings, &exporter, &sockets),
            version_file: settings.version_file.clone().into(),
        });
        Ok(Self {
            listener,
            address,
            operator,
            tls,
            settings,
            context,
            sockets,
            exporter,
            tasks,
            stop,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as a URL without a slash at the end.
    pub fn local_url(&self) -> String {
        format!("{}://{}", self.settings.scheme(), self.address)
    }

    /// Where the metrics are, if not beside everything else.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.operator.as_ref().and_then(|listener| listener.local_addr().ok())
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
        let closing = self.context.service.close_database();
        let (tasks, stop) = (self.tasks.clone(), self.stop.clone());
        self.watch_certificate()?;
        let ended = CancellationToken::new();
        let (main, operator) = self.servers(asked, stop, ended.clone())?;
        let main = async {
            let served = main.await;
            ended.cancel();
            served
        };
        let (main, operator) = tokio::join!(main, operator);
        main.and(operator).map_err(failed)?;
        tasks.close();
        finish(&tasks, closing).await;
        Ok(())
    }

    /// What serves everybody until it is asked to stop, and what serves the operator until then and a little longer.
    fn servers(
        self,
        asked: impl Future<Output = Stop>,
        stop: CancellationToken,
        ended: CancellationToken,
    ) -> Result<
        (impl Future<Output = std::io::Result<()>>, impl Future<Output = std::io::Result<()>>),
        StartError,
    > {
        let Self { listener, operator, tls, settings, context, sockets, exporter, tasks, .. } =
            self;
        let wheel_stop = CancellationToken::new();
        let (wheel, wheel_stopped) = (Arc::clone(&sockets), wheel_stop.clone());
        tasks.spawn(async move { wheel.turn(wheel_stopped).await });
        let measured = Arc::clone(&sockets);
        let metrics = Arc::new(make_sync(move |request: Request| {
            metrics(request.method(), &exporter, &measured)
        }));
        let silences = settings.silences();
        let listening =
            |listener, tls| Listening::new(listener, Arc::clone(&sockets), silences, tls);
        let operator = operator.map(|listener| listening(listener, None)).transpose();
        let operator = operator.map_err(failed)?;
        let beside = operator.is_none().then(|| Arc::clone(&metrics));
        let server = Server::new_with_acceptor(listening(listener, tls).map_err(failed)?);
        let endpoint = endpoint(context, Arc::clone(&sockets), settings.proxies(), beside);
        let main = async move {
            let asked_and_gone = drained(asked, stop, &sockets, settings.drain());
            let serving =
                server.run_with_graceful_shutdown(endpoint, asked_and_gone, Some(PATIENCE));
            let ended_as = serving.await;
            wheel_stop.cancel();
            ended_as
        };
        let operator = async move {
            let Some(acceptor) = operator else { return Ok(()) };
            let routes = Route::new().at(METRICS, metrics);
            let ended = ended.cancelled_owned();
            let server = Server::new_with_acceptor(acceptor);
            server.run_with_graceful_shutdown(routes, ended, Some(Duration::ZERO)).await
        };
        Ok((main, operator))
    }

    fn watch_certificate(&self) -> Result<(), StartError> {
        use tokio::signal::unix::{SignalKind, signal};
        let Some(tls) = self.tls.clone() else { return Ok(()) };
        let hang_up = signal(SignalKind::hangup()).map_err(failed)?;
        let (every, stop) = (self.settings.tls_reload(), self.stop.clone());
        self.tasks.spawn(async move { tls.watch(hang_up, every, stop).await });
        Ok(())
    }
}

/// Ends once the server was asked to stop and its sockets are closed.
async fn drained(
    asked: impl Future<Output = Stop>,
    stop: CancellationToken,
    sockets: &SocketRegistry,
    over: Duration,
) {
    let farewell = match asked.await {
        Stop::ForGood => CloseCode::GoingAway,
        Stop::ForRestart => CloseCode::Restart,
    };
    tracing::info!("stopping: sockets are told to go");
    // From here on nobody is said to have left: those who are told to go will be back with the next run.
    stop.cancel();
    if !sockets.drain(farewell, over, PATIENCE).await {
        warn_of_late_sockets();
    }
}

fn warn_of_late_sockets() {
    tracing::warn!("some sockets did not end in time");
}

fn listen_on(address: SocketAddr) -> Result<TcpListener, StartError> {
    bind(address).map_err(|error| StartError(format!("cannot listen on {address}: {error}")))
}

/// The origins that are this server's own: as it is known, and in development mode as browsers call a loopback address.
fn own_origins(settings: &Settings, public_url: &Url, address: SocketAddr) -> Vec<String> {
    let mut origins = vec![public_url.origin().ascii_serialization()];
    if settings.dev {
        let (scheme, port) = (settings.scheme(), address.port());
        origins.extend(["localhost", "127.0.0.1"].map(|host| format!("{scheme}://{host}:{port}")));
    }
    origins
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
    clock: Arc<dyn Clock>,
) -> Result<Dispatcher, StartError> {
    let origins = own_origins(settings, public_url, address);
    let audiences: Result<Vec<_>, _> = origins.iter().map(|text| Audience::parse(text)).collect();
    let audiences = audiences.map_err(failed)?;
    let browserid = browserid::verifier(settings, audiences, dev, clock).map_err(failed)?;
    Ok(Dispatcher::new().with_browserid(Arc::new(browserid)))
}

fn with_oidc(dispatcher: Dispatcher, oidc: Option<&Oidc>) -> Dispatcher {
    match oidc {
        Some(oidc) => dispatcher.with_oidc(Arc::new(oidc.clone())),
        None => dispatcher,
    }
}

fn fetch(settings: &Settings) -> Result<GuardedClient, StartError> {
    let options = GuardOptions {
        allow_http: settings.domain_http || settings.dev,
        allow_loopback: settings.dev,
        allow_internal: false,
    };
    GuardedClient::new(options).map_err(failed)
}

fn endpoint(
    context: Arc<ServerContext>,
    sockets: Arc<SocketRegistry>,
    proxies: Proxies,
    metrics: Option<impl Endpoint<Output = Response> + 'static>,
) -> impl Endpoint<Output = Response> {
    let app_socket =
        socket(&sockets, |sockets, request| async move { upgrade::app(&sockets, &request).await });
    let calls: SharedEndpoint = Arc::new(ToDynEndpoint(http::routes(context, web::pages)));
    let app_socket = web::page_or_socket(&calls, app_socket);
    let mut routes = Route::new()
        .at(
            "/presence",
            socket(&sockets, |sockets, request| async move { upgrade::device(&sockets, &request) }),
        )
        .at("/myapps/", Arc::clone(&app_socket))
        .at("/myapps/:appid", app_socket)
        .nest_no_strip("/", calls);
    if let Some(metrics) = metrics {
        routes = routes.at(METRICS, metrics);
    }
    routes.around(move |next, mut request| {
        proxies.note_client(&mut request);
        let draining = sockets.is_draining() && !is_for_the_operator(request.uri());
        let begun = Stopwatch::start();
        async move {
            let response = if draining {
                http::error_response(&ApiError::from(Errno::ShuttingDown).after(1.0))
            } else {
                next.call(request).await?.into_response()
            };
            meter::answer(response.status(), begun.elapsed());
            Ok(response)
        }
    })
}

/// How the drain goes on can still be seen.
fn is_for_the_operator(uri: &Uri) -> bool {
    [METRICS, web::FIGURES].contains(&uri.path())
}

fn metrics(method: &Method, exporter: &MetricsExporter, sockets: &SocketRegistry) -> Response {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return http::error_response(&Errno::MethodNotAllowed.into());
    }
    Response::builder()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(exporter.render(&sockets.service, sockets.is_draining()))
}

fn socket<F, A>(
    sockets: &Arc<SocketRegistry>,
    upgrade: F,
) -> Arc<dyn DynEndpoint<Output = Response>>
where
    F: Fn(Arc<SocketRegistry>, Request) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Response, ApiError>> + Send + 'static,
{
    let sockets = Arc::clone(sockets);
    let endpoint = make(move |request| {
        let answer = upgrade(Arc::clone(&sockets), request);
        async move { answer.await.unwrap_or_else(|ko| http::error_response(&ko)) }
    });
    Arc::new(ToDynEndpoint(endpoint.map_to_response()))
}
