//! The SDK through the proxies of other projects, to the real server over TLS. `tests/clients/run`
//! installs the proxies and runs these tests.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;

use presence_client::{
    ConnectionState, Error, NetworkOptions, NewNotification, PresenceApi, Proxy, ProxyErrorKind,
    ProxyServer, Scope, ServerUrl, Status,
};
use presence_tests::{Server, child_command, free_address};
use tempfile::{TempDir, tempdir};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::fixtures::{BackEnd, CountingProvider, Phone, poll_until};
use crate::sdk_api::sign_in;
use crate::sdk_api::tls::TlsProxy;

const USER: &str = "the-user";
const PASSWORD: &str = "the-password";

/// A running proxy that accepts one user, and its log.
struct OtherProxy {
    address: SocketAddr,
    directory: TempDir,
    _process: Child,
}

impl OtherProxy {
    /// Starts tinyproxy, an HTTP proxy.
    async fn tinyproxy() -> Self {
        let (address, directory) = (free_address(), tempdir().unwrap());
        let settings = directory.path().join("tinyproxy.conf");
        let port = address.port();
        let lines = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 100\nLogLevel Connect\n\
             BasicAuth {USER} {PASSWORD}\n"
        );
        std::fs::write(&settings, lines).unwrap();
        let mut command = child_command("tinyproxy");
        command.arg("-d").arg("-c").arg(settings);
        Self::start(command, address, directory).await
    }

    /// Starts microsocks, a SOCKS5 proxy.
    async fn microsocks() -> Self {
        let (address, directory) = (free_address(), tempdir().unwrap());
        let port = address.port().to_string();
        let mut command = child_command("microsocks");
        command.args(["-i", "127.0.0.1", "-p", &port, "-u", USER, "-P", PASSWORD]);
        Self::start(command, address, directory).await
    }

    async fn start(mut command: Command, address: SocketAddr, directory: TempDir) -> Self {
        let log = File::create(directory.path().join("proxy.log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().unwrap();
        poll_until("the start of the proxy", async || TcpStream::connect(address).await.is_ok())
            .await;
        Self { address, directory, _process: process }
    }

    fn server(&self, password: &str) -> ProxyServer {
        let (host, port) = (self.address.ip().to_string(), self.address.port());
        ProxyServer::new(host, port).with_credentials(USER, password.into())
    }

    /// Returns how many connections to an address the proxy has logged.
    fn connections_to(&self, server: SocketAddr) -> usize {
        let log: PathBuf = self.directory.path().join("proxy.log");
        let log = std::fs::read_to_string(log).unwrap();
        let made = log.lines().filter(|line| {
            line.contains(&server.to_string()) && line.to_lowercase().contains("connect")
        });
        made.count()
    }
}

/// Opens both channels and makes a REST call through a proxy, with a notification to the phone.
async fn use_sdk_through(proxy: &OtherProxy, kind: Proxy) {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let tls = TlsProxy::to(&server, "127.0.0.1").await;
    let url: ServerUrl = format!("https://{}", tls.address).parse().unwrap();
    let network = NetworkOptions::default().with_proxy(kind).with_tls(tls.tls_options());
    let tokens = CountingProvider::of(&server, "alice");
    let mut phone = Phone::with(url.clone(), |options| {
        options.credential_provider = Some(tokens);
        options.network = network.clone();
    });
    phone.wait_until_confirmed().await;
    let mut back_end =
        BackEnd::with(url.clone(), &application, |options| options.network = network.clone()).await;
    back_end.wait_for_status(uid, Status::Online).await;
    back_end.channel.notify_one(NewNotification::new(uid, "Hello")).await.unwrap();
    assert_eq!(phone.next_notification().await.message, "Hello");
    let api = PresenceApi::with_network(url, &network).unwrap();
    let alice = sign_in(&api, "alice", Scope::Account).await;
    assert_eq!(alice.account().await.unwrap().email, "alice@dev.localhost");
    let logged = async || proxy.connections_to(tls.address) >= 3;
    poll_until("the log of three connections", logged).await;
}

#[tokio::test]
#[ignore = "needs tinyproxy"]
async fn channels_and_rest_go_through_tinyproxy() {
    let proxy = OtherProxy::tinyproxy().await;
    use_sdk_through(&proxy, Proxy::Http(proxy.server(PASSWORD))).await;
    assert_eq!(refusal(Proxy::Http(proxy.server("wrong"))).await, ProxyErrorKind::NotAuthorised);
}

#[tokio::test]
#[ignore = "needs microsocks"]
async fn channels_and_rest_go_through_microsocks() {
    let proxy = OtherProxy::microsocks().await;
    use_sdk_through(&proxy, Proxy::Socks5(proxy.server(PASSWORD))).await;
    assert_eq!(refusal(Proxy::Socks5(proxy.server("wrong"))).await, ProxyErrorKind::NotAuthorised);
}

/// Returns what a proxy says that refuses a phone.
async fn refusal(proxy: Proxy) -> ProxyErrorKind {
    let mut phone = Phone::with("http://presence.example".parse().unwrap(), |options| {
        options.network = NetworkOptions::default().with_proxy(proxy);
        options.credential = Some(presence_client::Credential::Token("t".into()));
    });
    let waiting = |state: &_| matches!(state, ConnectionState::Waiting { .. });
    let ConnectionState::Waiting { reason, .. } = phone.wait_for_state(waiting).await else {
        unreachable!()
    };
    let Error::Proxy { kind, .. } = reason else { panic!("{reason:?}") };
    kind
}
