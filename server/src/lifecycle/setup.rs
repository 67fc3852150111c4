//! Builds what the server needs to start, from its settings.

use std::net::SocketAddr;
use std::sync::Arc;

use presence_core::{Clock, UnixMillis};
use presence_identity::browserid::Audience;
use presence_identity::fetch::{GuardOptions, GuardedClient};
use presence_identity::oidc::{CodeFlow, Oidc};
use presence_identity::{DevIssuer, Dispatcher, DomainTable};
use presence_service::{OpenDatabase, PresenceService};
use tokio::net::TcpListener;
use url::Url;

use super::error::{StartError, start_error};
use crate::browserid;
use crate::client_proof::UnprovenConnections;
use crate::connection::listener::{ConnectionLimits, bind};
use crate::connection::open_connections::OpenConnections;
use crate::settings::Settings;
use crate::tls::{PreparedTls, Tls};

/// Binds the address of the server, and that of the metrics if they have their own.
///
/// # Errors
///
/// The address cannot be used. The text names the option by which another one is chosen.
pub(super) fn listeners(
    settings: &Settings,
) -> Result<(TcpListener, Option<TcpListener>), StartError> {
    let listener = listen_on(settings.listen, "--listen")?;
    let metrics = settings.metrics_listen().map(|address| listen_on(address, "--metrics-listen"));
    Ok((listener, metrics.transpose()?))
}

fn listen_on(address: SocketAddr, flag: &str) -> Result<TcpListener, StartError> {
    bind(address).map_err(|error| {
        StartError(format!("cannot listen on {address}: {error}; choose another with {flag}"))
    })
}

/// Returns the limits of accepted connections.
pub(super) fn connection_limits(settings: &Settings) -> ConnectionLimits {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let files = files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
    let unproven = UnprovenConnections::new(settings.unproven_connections_per_address);
    ConnectionLimits {
        unproven: Arc::new(unproven),
        open: Arc::new(OpenConnections::new(files)),
        proxies: settings.proxies(),
    }
}

/// Returns the server's own origins: that of its public URL, and in development mode also those by
/// which browsers reach a loopback address.
pub(super) fn own_origins(
    settings: &Settings,
    public_url: &Url,
    address: SocketAddr,
) -> Vec<String> {
    let mut origins = vec![public_url.origin().ascii_serialization()];
    if settings.dev {
        let (scheme, port) = (settings.scheme(), address.port());
        origins.extend(["localhost", "127.0.0.1"].map(|host| format!("{scheme}://{host}:{port}")));
    }
    origins
}

/// Opens the database, and makes the development issuer, if there is one: that of all servers of
/// the database.
pub(super) async fn open_database(
    settings: &Settings,
    now: UnixMillis,
) -> Result<(OpenDatabase, Option<DevIssuer>), StartError> {
    let service_settings = settings.service_settings();
    let database = OpenDatabase::open(&settings.database, &service_settings, now).await?;
    if !settings.dev {
        return Ok((database, None));
    }
    let make = || DevIssuer::generate_key().map_err(start_error);
    let issuer = database.common_key("development issuer", make).await?;
    let user = database.common_key("development user", make).await?;
    let issuer = DevIssuer::with_keys(&issuer, &user).map_err(start_error)?;
    Ok((database, Some(issuer)))
}

/// Returns the verifier of assertions for these audiences and, if there are issuers, of ID tokens.
pub(super) fn verifier(
    settings: &Settings,
    audiences: &[String],
    (dev_issuer, oidc): (Option<&DevIssuer>, Option<&Oidc>),
    clock: Arc<dyn Clock>,
) -> Result<Dispatcher, StartError> {
    let audiences: Result<Vec<_>, _> = audiences.iter().map(|text| Audience::parse(text)).collect();
    let audiences = audiences.map_err(start_error)?;
    let browserid =
        browserid::verifier(settings, audiences, dev_issuer, clock).map_err(start_error)?;
    let domains = DomainTable::new(settings.oidc_issuers.as_slice(), settings.dev);
    let dispatcher = Dispatcher::new().with_domains(domains).with_browserid(Arc::new(browserid));
    Ok(match oidc {
        Some(oidc) => dispatcher.with_oidc(Arc::new(oidc.clone())),
        None => dispatcher,
    })
}

/// Returns the source of the certificate, with the records of ACME in the database.
///
/// # Errors
///
/// If the records cannot be read.
pub(super) async fn tls(
    prepared: Option<PreparedTls>,
    service: &PresenceService,
) -> Result<Option<Arc<Tls>>, StartError> {
    let Some(prepared) = prepared else { return Ok(None) };
    let opened = Box::pin(prepared.open(service.acme_records())).await;
    opened.map(|tls| Some(Arc::new(tls))).map_err(StartError)
}

/// Returns the code flow of a server with this public URL.
///
/// # Errors
///
/// If the file with the secret cannot be used, the database fails, or the operating system provides
/// no random bytes.
pub(super) async fn code_flow(
    oidc: Option<&Oidc>,
    public_url: &Url,
    (service, settings): (&PresenceService, &Settings),
) -> Result<Option<CodeFlow>, StartError> {
    let Some(oidc) = oidc else { return Ok(None) };
    let secret = settings.shared_secret().map_err(StartError)?;
    let shared = service.shared_sign_ins(secret.as_ref()).await.map_err(start_error)?;
    let origin = public_url.origin().ascii_serialization();
    CodeFlow::new(oidc.clone(), &origin, shared).map(Some).map_err(start_error)
}

/// Returns the HTTP client that fetches the key by which a domain proves an Application.
pub(super) fn domain_client(settings: &Settings) -> Result<GuardedClient, StartError> {
    let options = GuardOptions {
        allow_http: settings.domain_http || settings.dev,
        allow_loopback: settings.dev,
        allow_internal: false,
    };
    let client = GuardedClient::new(options).map_err(start_error)?;
    Ok(client.for_purpose("domain_proof"))
}
