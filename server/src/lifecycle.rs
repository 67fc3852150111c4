//! The life of the server: start from settings, serve, and stop without losing accepted data.
//!
//! The modules in reading order: the routes ([`routes`]), the long-lived tasks ([`tasks`]), the
//! parts that the start builds ([`setup`]), and its errors ([`error`]).

mod routes;
mod tasks;

mod setup;

pub(crate) mod error;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use presence_core::Clock;
use presence_protocol::CloseCode;
use presence_service::clock::SystemClock;
use presence_service::{PresenceService, ServiceParts, StoreError};
use tokio::net::TcpListener;
use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use self::error::StartError;
use self::error::{start_error, with_causes};
use crate::connection::{self, listener::ConnectionListener};
use crate::context::ServerContext;
use crate::http::build_info;
use crate::meter::MetricsExporter;
use crate::oidc;
use crate::operator_console::OperatorConsole;
use crate::settings::Settings;
use crate::socket::origins::AllowedOrigins;
use crate::socket::registry::SocketRegistry;
use crate::supervisor::Supervisor;
use crate::tls::{PreparedTls, Tls};

/// The time that sockets, requests and the writer may take to end, after the drain.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The reason why the server is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// A stop of unknown length.
    Shutdown,
    /// A restart: the next process starts at once.
    Restart,
}

/// A server that is bound to its addresses.
pub struct RunningServer {
    listener: TcpListener,
    address: SocketAddr,
    /// The listener of the metrics, if they have an address of their own.
    metrics_listener: Option<TcpListener>,
    tls: Option<Arc<Tls>>,
    settings: Settings,
    context: Arc<ServerContext>,
    sockets: Arc<SocketRegistry>,
    exporter: MetricsExporter,
    /// The tasks that run beside the sockets, until `stop`.
    supervisor: Supervisor,
    stop: CancellationToken,
}

impl RunningServer {
    /// Binds the addresses, opens the database and starts the tasks that run beside the sockets.
    /// With `tls`, the server uses HTTPS.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub(crate) async fn start(
        settings: Settings,
        tls: Option<PreparedTls>,
    ) -> Result<Self, StartError> {
        let build = (build_info::VERSION, build_info::commit());
        let exporter = MetricsExporter::install(build, &settings.database).map_err(start_error)?;
        let (listener, metrics_listener) = setup::listeners(&settings)?;
        let address = listener.local_addr().map_err(start_error)?;
        let public_url = settings
            .public_url(address)
            .ok_or_else(|| StartError("the public URL is not a URL".to_owned()))?;
        let own_origins = setup::own_origins(&settings, &public_url, address);
        let oidc = oidc::verifier(&settings).map_err(start_error)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let (database, dev_issuer) = setup::open_database(&settings, clock.now()).await?;
        let issuers = (dev_issuer.as_ref(), oidc.as_ref());
        let verifier = setup::verifier(&settings, &own_origins, issuers, Arc::clone(&clock))?;
        let (service, writer) = PresenceService::open(ServiceParts {
            database,
            verifier: Arc::new(verifier),
            domain_client: setup::domain_client(&settings)?,
            clock,
            settings: settings.service_settings(),
        })
        .await?;
        let common = (&*service, &settings);
        let tls = setup::tls(tls, &service).await?;
        let code_flow = setup::code_flow(oidc.as_ref(), &public_url, common).await?;
        let origins = AllowedOrigins::new(&own_origins, &settings);
        let limits = settings.socket_limits();
        let sockets = Arc::new(SocketRegistry::new(Arc::clone(&service), limits, origins));
        let stop = CancellationToken::new();
        let supervisor = Supervisor::new(stop.clone());
        supervisor.spawn_required("writer", writer.run());
        tasks::spawn_maintenance(&supervisor, &stop, &service, &exporter);
        tasks::spawn_issuer_refresh(&supervisor, &stop, (&service, oidc));
        let context = Arc::new(ServerContext {
            service,
            public_url,
            own_origins,
            dev_issuer,
            code_flow,
            body_limit: settings.body_bytes,
            operator: OperatorConsole::configured(&settings, &exporter, &sockets),
            supervisor: supervisor.clone(),
            tls: tls.clone(),
            version_file: settings.version_file.clone().into(),
        });
        Ok(Self {
            listener,
            address,
            metrics_listener,
            tls,
            settings,
            context,
            sockets,
            exporter,
            supervisor,
            stop,
        })
    }

    /// Returns the address that the server listens on, as a URL without a slash at the end.
    pub fn local_url(&self) -> String {
        format!("{}://{}", self.settings.scheme(), self.address)
    }

    /// Returns the address of the metrics, if they have one of their own.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_listener.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Returns the URL by which clients reach the server.
    pub fn public_url(&self) -> &Url {
        &self.context.public_url
    }

    /// Serves until `stop_request` resolves, then closes the sockets and completes accepted work.
    /// At each of `hang_ups`, the certificate is loaded again.
    ///
    /// # Errors
    ///
    /// [`StartError`] if a listener cannot be set up, or if a task ended without which the server
    /// is of no use.
    pub async fn serve(
        self,
        stop_request: impl Future<Output = StopReason>,
        hang_ups: Signal,
    ) -> Result<(), StartError> {
        let closing = self.context.service.close_database();
        let supervisor = self.supervisor.clone();
        tasks::spawn_reload(&supervisor, &self.stop, self.tls.clone(), hang_ups);
        self.serve_until_stopped(stop_request).await?;
        finish(&supervisor, closing).await;
        match supervisor.failure() {
            Some(task) => Err(StartError(format!("the task {task} ended; start the server again"))),
            None => Ok(()),
        }
    }

    /// Serves clients until the stop, and the metrics until the last client is gone.
    async fn serve_until_stopped(
        self,
        stop_request: impl Future<Output = StopReason>,
    ) -> Result<(), StartError> {
        let Self { listener, metrics_listener, tls, settings, context, sockets, .. } = self;
        let (exporter, supervisor) = (self.exporter, self.supervisor);
        let timers_stop = CancellationToken::new();
        let (timers, timers_stopped) = (Arc::clone(&sockets), timers_stop.clone());
        let run_timers = async move { timers.run_timers(timers_stopped).await };
        supervisor.spawn_required("timers", run_timers);
        let timeouts = settings.connection_timeouts();
        let limits = setup::connection_limits(&settings);
        let with_timeouts = |listener, tls| {
            let bounds = (timeouts, limits.clone());
            ConnectionListener::new(listener, Arc::clone(&sockets), bounds, tls)
                .map_err(start_error)
        };
        let own_metrics =
            metrics_listener.map(|listener| with_timeouts(listener, None)).transpose()?;
        let main = with_timeouts(listener, tls)?;
        let completion = (settings.strict_transport_security(), routes::recorder(&settings));
        let endpoint = routes::endpoint(context, Arc::clone(&sockets), limits, completion);
        let metrics = routes::metrics_endpoint(exporter, Arc::clone(&sockets));
        let (drained, main_ended) = (CancellationToken::new(), CancellationToken::new());
        let (stopped, ended) = (drained.clone(), main_ended.clone().drop_guard());
        supervisor.spawn_required("connections", async move {
            connection::serve(main, endpoint, stopped.cancelled(), STOP_TIMEOUT).await;
            drop(ended);
        });
        if let Some(listener) = own_metrics {
            let ended = main_ended.clone();
            supervisor.spawn_required("metrics_connections", async move {
                connection::serve(listener, metrics, ended.cancelled(), Duration::ZERO).await;
            });
        }
        let stopping = Stopping { stop: self.stop, sockets, supervisor };
        stopping.drain(stop_request, settings.drain_time()).await;
        drained.cancel();
        main_ended.cancelled().await;
        timers_stop.cancel();
        Ok(())
    }
}

/// The parts that a stop uses.
struct Stopping {
    stop: CancellationToken,
    sockets: Arc<SocketRegistry>,
    supervisor: Supervisor,
}

impl Stopping {
    /// Waits for the request to stop, then closes all sockets. If a task has ended that all need,
    /// closes them at once, so that clients reconnect to the next process.
    async fn drain(&self, stop_request: impl Future<Output = StopReason>, duration: Duration) {
        let (close_code, duration) = tokio::select! {
            reason = stop_request => match reason {
                StopReason::Shutdown => (CloseCode::GoingAway, duration),
                StopReason::Restart => (CloseCode::Restart, duration),
            },
            () = self.supervisor.failed() => (CloseCode::Restart, Duration::ZERO),
        };
        tracing::info!("stopping: sockets are being closed");
        // No grace time ends from here on, so that a device whose socket the server closes does not
        // become offline: it reconnects to the next process.
        self.stop.cancel();
        if !self.sockets.drain(close_code, duration, STOP_TIMEOUT).await {
            warn_of_open_sockets();
        }
    }
}

fn warn_of_open_sockets() {
    tracing::warn!("some sockets did not end in time");
}

/// Waits for the writer to complete its queue, then for the database to close.
async fn finish(supervisor: &Supervisor, closing: impl Future<Output = Result<(), StoreError>>) {
    let ending = async {
        supervisor.wait().await;
        closing.await
    };
    let problem = match tokio::time::timeout(STOP_TIMEOUT, ending).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => with_causes(&error),
        Err(_) => "timed out".to_owned(),
    };
    tracing::warn!(problem, "the writer or the database did not stop properly");
}
