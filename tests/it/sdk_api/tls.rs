//! A TLS proxy in front of the real server, as most deployments have one.

use std::net::SocketAddr;
use std::sync::Arc;

use presence_client::{Error, NetworkOptions, PresenceApi, Scope, Tls, TlsErrorKind};
use presence_tests::Server;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::sign_in;

/// A proxy that terminates TLS in front of a server.
pub(crate) struct TlsProxy {
    pub(crate) address: SocketAddr,
    root: Vec<u8>,
    _task: JoinSet<()>,
}

impl TlsProxy {
    /// Starts a proxy with a certificate for this name, signed by an authority of its own.
    pub(crate) async fn to(server: &Server, name: &str) -> Self {
        let (root, config) = certificate(name);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), server.address()));
        Self { address, root, _task: task }
    }

    fn api(&self, tls: &Tls) -> PresenceApi {
        let url = format!("https://{}", self.address);
        let network = NetworkOptions::default().with_tls(tls.clone());
        PresenceApi::with_network(url.parse().unwrap(), &network).unwrap()
    }

    pub(crate) fn tls_options(&self) -> Tls {
        Tls::default().with_root_certificate(self.root.clone())
    }
}

fn certificate(name: &str) -> (Vec<u8>, ServerConfig) {
    let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_der = root.self_signed(&root_key).unwrap().der().to_vec();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
    let chain = vec![CertificateDer::from(leaf.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    (root_der, config.with_single_cert(chain, key).unwrap())
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, upstream: SocketAddr) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            // A client that does not trust the proxy ends the handshake. Any end of a connection is
            // accepted here.
            let Ok(mut client) = acceptor.accept(client).await else { return };
            let mut server = TcpStream::connect(upstream).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut server).await;
        });
    }
}

#[tokio::test]
async fn calls_accept_tls_of_a_configured_authority() {
    let server = Server::start_default().await;
    let proxy = TlsProxy::to(&server, "127.0.0.1").await;
    let alice = sign_in(&proxy.api(&proxy.tls_options()), "alice", Scope::Account).await;
    assert_eq!(alice.account().await.unwrap().email, "alice@dev.localhost");
}

#[tokio::test]
async fn an_untrusted_server_gets_no_request() {
    let server = Server::start_default().await;
    let proxy = TlsProxy::to(&server, "127.0.0.1").await;
    let elsewhere = TlsProxy::to(&server, "127.0.0.1").await;
    let misnamed = TlsProxy::to(&server, "presence.example").await;
    for (api, expected) in [
        (proxy.api(&Tls::default()), TlsErrorKind::UnknownIssuer),
        (proxy.api(&elsewhere.tls_options()), TlsErrorKind::InvalidCertificate),
        (misnamed.api(&misnamed.tls_options()), TlsErrorKind::WrongName),
    ] {
        let error = api.user("token".into()).session().await.unwrap_err();
        assert!(matches!(&error, Error::Tls { kind, .. } if *kind == expected), "{error:?}");
    }
}
