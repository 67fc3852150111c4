//! What a development server makes easy, and a real one does not: being anybody of `dev.localhost`, and an Application without a
//! domain of one's own.
//!
//! In a real phone app the assertion comes from an identity provider; a real Application is registered by its developer, once,
//! and its back end finds appid and key in its configuration.

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

/// Any free port of this machine.
pub const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Gives a device a fresh assertion of somebody whenever it needs one.
pub fn assertions(api: PresenceApi, email: String) -> impl CredentialProvider {
    move |_: CredentialReason| {
        let (api, email) = (api.clone(), email.clone());
        async move {
            let assertion = api.dev_assertion(&email).await;
            // Without an identity provider nobody is ever signed out.
            let unavailable =
                |error: presence_client::Error| CredentialError::Unavailable(error.to_string());
            assertion.map(Credential::Assertion).map_err(unavailable)
        }
    }
}

/// Signs somebody in, for everything that they may do with their account.
///
/// # Errors
///
/// Where the server is not in development mode, or cannot be reached.
pub async fn sign_in(api: &PresenceApi, email: &str) -> Result<UserApi, presence_client::Error> {
    let assertion = api.dev_assertion(email).await?;
    let signed_in = api.sign_in(assertion, Scope::Account).await?;
    Ok(api.user(signed_in.token))
}

/// Lets an Application see somebody, as they would do on the server's page.
///
/// # Errors
///
/// As [`sign_in`], and where there is no such Application.
pub async fn grant(
    api: &PresenceApi,
    email: &str,
    application: AppId,
) -> Result<Puid, presence_client::Error> {
    Ok(sign_in(api, email).await?.grant(application).await?.uid)
}

/// The Application of the environment, else a new one.
///
/// # Errors
///
/// As [`settings::application`] and [`register`].
pub async fn application(
    api: &PresenceApi,
    name: &str,
    listen: SocketAddr,
) -> Result<Application, Box<dyn Error>> {
    if let Some(application) = settings::application()? {
        return Ok(application);
    }
    // A domain that lives just long enough to be verified.
    let domain = TcpListener::bind(listen).into_acceptor().await?;
    let address = address(&domain)?.to_string();
    let (tell, key) = watch::channel(String::new());
    let pages = Route::new().at("/__presence", make_sync(move |_| key.borrow().clone()));
    let show = |key: String| drop(tell.send_replace(key));
    tokio::select! {
        registered = register(api, name, &address, show) => registered,
        gone = Server::new_with_acceptor(domain).run(pages) => {
            gone?;
            Err("the domain has gone".into())
        }
    }
}

/// Where a web server listens.
///
/// # Errors
///
/// Where it does not listen on TCP.
pub fn address(acceptor: &impl Acceptor) -> Result<SocketAddr, Box<dyn Error>> {
    let addresses = acceptor.local_addr();
    let address = addresses.first().and_then(|address| address.as_socket_addr().copied());
    address.ok_or_else(|| "not a TCP listener".into())
}

/// Registers an Application: `show` puts a key at `/__presence` of its domain, then the server looks whether it is there.
///
/// # Errors
///
/// As [`sign_in`], and where the key is not found on the domain.
pub async fn register(
    api: &PresenceApi,
    name: &str,
    domain: &str,
    show: impl FnOnce(String),
) -> Result<Application, Box<dyn Error>> {
    let developer = sign_in(api, "developer@dev.localhost").await?;
    let wish = NewApplication {
        name: name.to_owned(),
        domain: domain.to_owned(),
        description: "An example".to_owned(),
    };
    let registered = developer.register(wish).await?;
    show(registered.domain_key);
    developer.verify(registered.appid).await?;
    let activated = developer.activate(registered.appid).await?;
    let api_key = activated.api_key.ok_or("the Application had been active before")?;
    Ok((registered.appid, api_key))
}
