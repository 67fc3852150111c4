//! TLS: a certificate and its key from files, and new ones while the server runs.
//!
//! A connection keeps what it began with. Where new files cannot be used, the server goes on with what it has, and says so once.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretSlice};
use tokio::signal::unix::Signal;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::meter;

/// What is spoken inside: HTTP/2 has no upgrade to a WebSocket that clients of 2013 would know.
const PROTOCOL: &[u8] = b"http/1.1";

/// Where the certificate and its key are.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// What the files hold.
struct Contents {
    certificate: Vec<u8>,
    key: SecretSlice<u8>,
}

/// What connections are greeted with.
pub(crate) struct Tls {
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
    /// What was looked at last, whether it could be used or not.
    looked_at: Mutex<Contents>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// What is wrong with them, in one line.
    pub(crate) fn load(files: TlsFiles) -> Result<Self, String> {
        let contents = files.read()?;
        let config = RwLock::new(Arc::new(files.config(&contents)?));
        Ok(Self { files, config, looked_at: Mutex::new(contents) })
    }

    /// Greets connections with the present certificate.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&config))
    }

    /// Looks at the files at every hang-up signal, and every so often, until it is told to stop.
    pub(crate) async fn watch(
        &self,
        mut hang_up: Signal,
        every: Option<Duration>,
        stop: CancellationToken,
    ) {
        loop {
            let time = async {
                match every {
                    Some(every) => tokio::time::sleep(every).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                signal = hang_up.recv() => {
                    if signal.is_some() {
                        self.look(true);
                    }
                }
                () = time => self.look(false),
            }
        }
    }

    /// Takes what the files hold where it is new, or where somebody asked for it.
    fn look(&self, asked: bool) {
        let taken = self.files.read().and_then(|contents| {
            let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
            if !asked && looked_at.is_the_same(&contents) {
                return Ok(false);
            }
            let config = self.files.config(&contents);
            *looked_at = contents;
            let config = Arc::new(config?);
            *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
            Ok(true)
        });
        say(&taken);
    }
}

/// Counts what became of new files, and logs it.
fn say(taken: &Result<bool, String>) {
    match taken {
        Ok(false) => {}
        Ok(true) => say_reloaded(),
        Err(problem) => say_kept(problem),
    }
}

fn say_reloaded() {
    meter::certificate(true);
    tracing::info!("tls.reloaded: new connections get the certificate that is in the files now");
}

fn say_kept(problem: &str) {
    meter::certificate(false);
    tracing::error!(problem, "tls.kept: the certificate in the files cannot be used");
}

impl TlsFiles {
    fn read(&self) -> Result<Contents, String> {
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .map_err(|error| format!("{} cannot be read: {error}", path.display()))
        };
        let certificate = read(&self.certificate)?;
        Ok(Contents { certificate, key: read(&self.key)?.into() })
    }

    fn config(&self, contents: &Contents) -> Result<ServerConfig, String> {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(&contents.certificate).collect();
        let chain = chain.map_err(|error| format!("{certificate} is not PEM: {error}"))?;
        if chain.is_empty() {
            return Err(format!("{certificate} holds no certificate in PEM"));
        }
        // The error could hold a part of what it could not read, and is therefore not told.
        let private = PrivateKeyDer::from_pem_slice(contents.key.expose_secret())
            .map_err(|_| format!("{key} holds no private key in PEM"))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|error| format!("{certificate} cannot be served with {key}: {error}"))?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(config)
    }
}

impl Contents {
    fn is_the_same(&self, other: &Self) -> bool {
        self.certificate == other.certificate
            && self.key.expose_secret() == other.key.expose_secret()
    }
}
