//! Shortcuts that only a server in development mode allows: signing in as any user of
//! `dev.localhost`, and registering an Application without a domain.
//!
//! In production an identity provider issues the assertion. A developer registers the Application
//! once, and its back end has the id and the API key in its settings.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use poem::endpoint::make_sync;
use poem::listener::{Acceptor, Listener, TcpListener};
use poem::{Route, Server};
use presence_client::{
    AppId, Credential, CredentialError, CredentialProvider, CredentialReason, NewApplication,
    PresenceApi, Puid, Scope, UserApi,
};
use tokio::sync::watch;

use crate::settings::{self, Application};

/// An address for listening on any free port of this machine.
pub const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Returns a provider of fresh assertions for a user.
pub fn assertions(api: PresenceApi, email: String) -> impl CredentialProvider {
    move |_: CredentialReason| {
        let (api, email) = (api.clone(), email.clone());
        async move {
            let assertion = api.dev_assertion(&email).await;
            // Every failure is temporary, because there is no sign-out without an identity
            // provider.
            let to_unavailable =
                |error: presence_client::Error| CredentialError::Unavailable(error.to_string());
            assertion.map(Credential::Assertion).map_err(to_unavailable)
        }
    }
}

/// Signs a user in, with all permissions.
///
/// # Errors
///
/// If the server is not in development mode, or cannot be reached.
pub async fn sign_in(api: &PresenceApi, email: &str) -> Result<UserApi, presence_client::Error> {
    let assertion = api.dev_assertion(email).await?;
    let session = api.sign_in(assertion, Scope::Account).await?;
    Ok(api.user(session.token))
}

/// Grants an Application permission to see a user, as the user would do on the grant page of the
/// server. Returns the PUID.
///
/// # Errors
///
/// The errors of [`sign_in`], and if there is no such Application.
pub async fn grant(
    api: &PresenceApi,
    email: &str,
    application: AppId,
) -> Result<Puid, presence_client::Error> {
    Ok(sign_in(api, email).await?.grant(application).await?.uid)
}

/// Returns the Application of the settings, or registers a new one if they name none.
///
/// # Errors
///
/// The errors of [`settings::application`] and [`register`].
pub async fn application(
    api: &PresenceApi,
    name: &str,
    listen: SocketAddr,
) -> Result<Application, Box<dyn Error>> {
    if let Some(application) = settings::application()? {
        return Ok(application);
    }
    // A web server that runs until the domain is verified.
    let acceptor = TcpListener::bind(listen).into_acceptor().await?;
    let address = address(&acceptor)?.to_string();
    let (sender, domain_key) = watch::channel(String::new());
    let pages = Route::new().at("/__presence", make_sync(move |_| domain_key.borrow().clone()));
    let publish = |key: String| drop(sender.send_replace(key));
    tokio::select! {
        registered = register(api, name, &address, publish) => registered,
        stopped = Server::new_with_acceptor(acceptor).run(pages) => {
            stopped?;
            Err("the web server of the domain has stopped".into())
        }
    }
}

/// Returns the address of a web server.
///
/// # Errors
///
/// If it does not listen on TCP.
pub fn address(acceptor: &impl Acceptor) -> Result<SocketAddr, Box<dyn Error>> {
    let addresses = acceptor.local_addr();
    let address = addresses.first().and_then(|address| address.as_socket_addr().copied());
    address.ok_or_else(|| "not a TCP listener".into())
}

/// Registers, verifies and activates an Application. `publish` shows the domain key at
/// `/__presence` of the domain, where the server reads it.
///
/// # Errors
///
/// The errors of [`sign_in`], and if the server does not find the key on the domain.
pub async fn register(
    api: &PresenceApi,
    name: &str,
    domain: &str,
    publish: impl FnOnce(String),
) -> Result<Application, Box<dyn Error>> {
    let developer = sign_in(api, "developer@dev.localhost").await?;
    let application = NewApplication {
        name: name.to_owned(),
        domain: domain.to_owned(),
        description: "An example of the Presence SDK".to_owned(),
    };
    let registered = developer.register(application).await?;
    publish(registered.domain_key);
    developer.verify(registered.appid).await?;
    let activated = developer.activate(registered.appid).await?;
    let api_key = activated.api_key.ok_or("the Application was activated before")?;
    Ok((registered.appid, api_key))
}
