//! The command `prove-domain`: the web server of an Application in development, as much of it as
//! its domain and its users need.

use std::net::SocketAddr;

use clap::Args;
use poem::endpoint::make_sync;
use poem::listener::{Acceptor as _, Listener as _, TcpListener};
use poem::{Request, Response, Route};
use presence_service::domains::DOMAIN_PROOF_PATH;
use url::form_urlencoded;

use super::signals::end_request;
use crate::cli::output::{CommandError, failure, print, usage_error};

/// The arguments of the command `prove-domain`.
#[derive(Debug, Args)]
pub(crate) struct ProveDomainArguments {
    /// The domain of the Application: an address of this machine with a port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    domain: SocketAddr,
    /// The domain key, which is no secret.
    #[arg(long)]
    key: String,
}

/// Serves the pages until the command is asked to end.
pub(super) async fn run(arguments: ProveDomainArguments) -> Result<(), CommandError> {
    let ProveDomainArguments { domain, key } = arguments;
    if !domain.ip().is_loopback() {
        return Err(usage_error("the domain must be an address of this machine: 127.0.0.1:9090"));
    }
    let end = end_request()?;
    let acceptor = TcpListener::bind(domain).into_acceptor().await;
    let acceptor =
        acceptor.map_err(|error| failure(format!("{domain} cannot be used: {error}")))?;
    let addresses = acceptor.local_addr();
    let address = addresses.first().and_then(|address| address.as_socket_addr());
    let address = address.map_or(domain, |address| *address);
    print(&format!("http://{address}{DOMAIN_PROOF_PATH} shows the domain key"))?;
    let proof = make_sync(move |_| key.clone());
    let pages = Route::new().at(DOMAIN_PROOF_PATH, proof).at("*", make_sync(returned_user));
    let server = poem::Server::new_with_acceptor(acceptor);
    server.run_with_graceful_shutdown(pages, end, None).await.map_err(failure)
}

/// Shows what the server has added to the address of the page.
#[expect(clippy::needless_pass_by_value, reason = "an endpoint of poem takes the request")]
fn returned_user(request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let fields = form_urlencoded::parse(query.as_bytes());
    let lines = fields.map(|(name, value)| format!("{name} = {value}\n"));
    let text = format!("This is a page of the Application.\n\n{}", lines.collect::<String>());
    Response::builder()
        .content_type("text/plain; charset=utf-8")
        .header("x-content-type-options", "nosniff")
        .body(text)
}
