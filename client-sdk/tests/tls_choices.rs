//! The trusted certificate authorities and the cryptography provider of the SDK, with any cargo
//! features. `tests/run` builds it with the default features and with the others.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not in functions that are marked as tests"
)]

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use presence_client::{
    Errno, Error, NetworkOptions, PresenceApi, Scope, SecretString, Tls, TlsErrorKind,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

const BUSY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 3\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn an_added_root_certificate_is_trusted_with_all_features() {
    let server = TlsServer::start().await;
    let tls = Tls::default().with_root_certificate(server.root.der().to_vec());
    assert_eq!(sign_in(server.address, &tls).await.errno(), Some(Errno::SlowDown));
    let other = TlsServer::start().await;
    let error = sign_in(other.address, &tls).await;
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn a_pinned_key_is_accepted_with_all_features() {
    let server = TlsServer::start().await;
    let tls = Tls::default().with_root_certificate(server.root.der().to_vec());
    let pin = server.pin.clone();
    assert_eq!(
        sign_in(server.address, &tls.clone().with_pin(pin)).await.errno(),
        Some(Errno::SlowDown)
    );
    let error = sign_in(server.address, &tls.with_pin(TlsServer::start().await.pin)).await;
    assert!(matches!(error, Error::Tls { kind: TlsErrorKind::PinMismatch, .. }), "{error:?}");
}

#[cfg(feature = "platform-roots")]
mod platform {
    use std::io::Write;
    use std::process::Output;

    use tempfile::NamedTempFile;
    use tokio::process::Command;

    use super::*;

    /// The variable with the address of the server, in a process in which the test is the client.
    const SERVER: &str = "PRESENCE_TEST_TLS_SERVER";

    #[tokio::test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the client process gets the address by its environment"
    )]
    async fn only_the_certificate_authorities_of_the_platform_are_trusted() {
        if let Ok(address) = std::env::var(SERVER) {
            let error = sign_in(address.parse().unwrap(), &Tls::default()).await;
            assert_eq!(error.errno(), Some(Errno::SlowDown), "{error:?}");
            let (other, _, _) = certificate();
            let exclusive = Tls::default().without_default_roots();
            let exclusive = exclusive.with_root_certificate(other.der().to_vec());
            let error = sign_in(address.parse().unwrap(), &exclusive).await;
            assert!(matches!(error, Error::Tls { .. }), "{error:?}");
            return;
        }
        let (server, other) = (TlsServer::start().await, TlsServer::start().await);
        let trusting = client(&server, &server.root).await;
        assert!(trusting.status.success(), "{}", String::from_utf8_lossy(&trusting.stdout));
        assert!(!client(&server, &other.root).await.status.success(), "any certificate is trusted");
    }

    /// Runs this test as a client, on a platform that trusts one root certificate.
    async fn client(server: &TlsServer, root: &rcgen::Certificate) -> Output {
        let mut roots = NamedTempFile::new().unwrap();
        roots.write_all(root.pem().as_bytes()).unwrap();
        Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "platform::only_the_certificate_authorities_of_the_platform_are_trusted",
            ])
            // The file of trusted certificates of OpenSSL, which other libraries read too.
            .env("SSL_CERT_FILE", roots.path())
            .env_remove("SSL_CERT_DIR")
            .env(SERVER, server.address.to_string())
            .output()
            .await
            .unwrap()
    }
}

async fn sign_in(address: SocketAddr, tls: &Tls) -> Error {
    let network = NetworkOptions::default().with_tls(tls.clone());
    let url = format!("https://{address}").parse().unwrap();
    let api = PresenceApi::with_network(url, &network).unwrap();
    let assertion = SecretString::from("an assertion".to_owned());
    api.sign_in(assertion, Scope::Device).await.unwrap_err()
}

/// A server that answers every request with status 429. A client that gets it trusts the server.
struct TlsServer {
    address: SocketAddr,
    root: rcgen::Certificate,
    /// The pin of the key of its certificate.
    pin: String,
    _task: JoinSet<()>,
}

impl TlsServer {
    async fn start() -> Self {
        let (root, config, pin) = certificate();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(serve(listener, TlsAcceptor::from(Arc::new(config))));
        Self { address, root, pin, _task: task }
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    while let Ok((client, _)) = listener.accept().await {
        // A client that does not trust the server ends the handshake.
        let Ok(mut client) = acceptor.accept(client).await else { continue };
        let mut request = [0; 4096];
        let _ = client.read(&mut request).await;
        let _ = client.write_all(BUSY).await;
        let _ = client.shutdown().await;
    }
}

fn certificate() -> (rcgen::Certificate, ServerConfig, String) {
    let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key).unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
    let pin = BASE64_STANDARD.encode(Sha256::digest(PublicKeyData::subject_public_key_info(&key)));
    let chain = vec![CertificateDer::from(leaf.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    (root_certificate, config.with_single_cert(chain, key).unwrap(), pin)
}
