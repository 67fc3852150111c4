//! Whom the SDK trusts and who does its cryptography, under whatever features it was built with: `tests/run` builds it with the
//! defaults, and with the others.

#![expect(clippy::unwrap_used, reason = "these are tests, though not in functions marked so")]

use std::net::SocketAddr;
use std::sync::Arc;

use presence_client::{Errno, Error, PresenceApi, Scope, SecretString, Tls};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

const BUSY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 3\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn ones_own_authority_is_trusted_whatever_else_is() {
    let server = TlsServer::start().await;
    let tls = Tls::default().with_root_certificate(server.root.der().to_vec());
    assert_eq!(sign_in(server.address, &tls).await.errno(), Some(Errno::SlowDown));
    let stranger = TlsServer::start().await;
    let error = sign_in(stranger.address, &tls).await;
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
}

#[cfg(feature = "platform-roots")]
mod platform {
    use std::io::Write;
    use std::process::Output;

    use tempfile::NamedTempFile;
    use tokio::process::Command;

    use super::*;

    /// In a process with this variable the test is the client of the server at the address that it tells.
    const SERVER: &str = "PRESENCE_TEST_TLS_SERVER";

    #[tokio::test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a process for itself is told so by its environment"
    )]
    async fn whom_the_platform_trusts_is_trusted_and_nobody_else() {
        if let Ok(address) = std::env::var(SERVER) {
            let error = sign_in(address.parse().unwrap(), &Tls::default()).await;
            assert_eq!(error.errno(), Some(Errno::SlowDown), "{error:?}");
            return;
        }
        let (server, other) = (TlsServer::start().await, TlsServer::start().await);
        let trusting = client(&server, &server.root).await;
        assert!(trusting.status.success(), "{}", String::from_utf8_lossy(&trusting.stdout));
        assert!(!client(&server, &other.root).await.status.success(), "it trusts anybody");
    }

    /// This test as a client, on a platform that trusts one root.
    async fn client(server: &TlsServer, root: &rcgen::Certificate) -> Output {
        let mut roots = NamedTempFile::new().unwrap();
        roots.write_all(root.pem().as_bytes()).unwrap();
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "platform::whom_the_platform_trusts_is_trusted_and_nobody_else"])
            // Where OpenSSL, and whoever follows its custom, looks for what the administrator trusts.
            .env("SSL_CERT_FILE", roots.path())
            .env_remove("SSL_CERT_DIR")
            .env(SERVER, server.address.to_string())
            .output()
            .await
            .unwrap()
    }
}

async fn sign_in(address: SocketAddr, tls: &Tls) -> Error {
    let api = PresenceApi::with_tls(format!("https://{address}").parse().unwrap(), tls).unwrap();
    let assertion = SecretString::from("an assertion".to_owned());
    api.sign_in(assertion, Scope::Device).await.unwrap_err()
}

/// A server that is busy for everybody who trusts it, so that whoever hears so has come through TLS.
struct TlsServer {
    address: SocketAddr,
    root: rcgen::Certificate,
    _task: JoinSet<()>,
}

impl TlsServer {
    async fn start() -> Self {
        let (root, config) = certificate();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(answer(listener, TlsAcceptor::from(Arc::new(config))));
        Self { address, root, _task: task }
    }
}

async fn answer(listener: TcpListener, acceptor: TlsAcceptor) {
    while let Ok((client, _)) = listener.accept().await {
        // A client that does not trust us ends the handshake.
        let Ok(mut client) = acceptor.accept(client).await else { continue };
        let mut request = [0; 4096];
        let _ = client.read(&mut request).await;
        let _ = client.write_all(BUSY).await;
        let _ = client.shutdown().await;
    }
}

fn certificate() -> (rcgen::Certificate, ServerConfig) {
    let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key).unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
    let chain = vec![CertificateDer::from(leaf.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    (root_certificate, config.with_single_cert(chain, key).unwrap())
}
