//! A certificate and its key from files, which are reloaded while the server runs. If the new files
//! are not valid, the server keeps the old certificate, and logs this once.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use presence_core::UnixMillis;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretSlice};
use tokio::signal::unix::Signal;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::certificate::{self, Validity};
use super::config;
use crate::meter;

/// The paths of the certificate and its key.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// The interval of the checks for a new certificate, if there are any.
    pub(crate) reload: Option<Duration>,
}

/// The bytes of both files.
struct FileContents {
    certificate: Vec<u8>,
    key: SecretSlice<u8>,
}

/// The certificate that new connections get.
pub(crate) struct FileTls {
    files: TlsFiles,
    current: RwLock<FileCertificate>,
    last_check: Mutex<LastCheck>,
}

/// The certificate of the files, when they could last be used.
#[derive(Clone)]
struct FileCertificate {
    config: Arc<ServerConfig>,
    certificate: CertificateDer<'static>,
    validity: Option<Validity>,
}

impl FileCertificate {
    fn record_end(&self) {
        if let Some(validity) = self.validity {
            meter::set_certificate_end(validity.not_after);
        }
    }
}

/// The result of the last check, so that the next one reports only what has changed.
struct LastCheck {
    /// The contents of the files when they could last be read, valid or not.
    contents: FileContents,
    /// The reason why the files could not be read.
    problem: Option<String>,
}

impl FileTls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// The reason in one line, if they cannot be used.
    pub(crate) fn load(files: TlsFiles) -> Result<Self, String> {
        let contents = files.read()?;
        let current = files.certificate(&contents)?;
        let last_check = Mutex::new(LastCheck { contents, problem: None });
        Ok(Self { files, current: RwLock::new(current), last_check })
    }

    /// Returns an acceptor with the current certificate.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current().config)
    }

    /// Returns the validity of the certificate.
    pub(super) fn validity(&self) -> Option<Validity> {
        self.current().validity
    }

    /// Describes why no client accepts the certificate at this time, if none does.
    pub(crate) fn validity_problem(&self, now: UnixMillis) -> Option<String> {
        let problem = self.validity().and_then(|validity| validity.problem(now));
        problem.map(|problem| format!("the certificate {} {problem}", self.shown_path()))
    }

    /// Describes a certificate that clients do not accept for the host of this URL.
    pub(crate) fn name_problem(&self, url: &Url) -> Option<String> {
        let host = url.host()?;
        if certificate::is_for(&self.current().certificate, &host) {
            return None;
        }
        Some(format!(
            "the certificate {} is not for {host}, the host of public_url: clients do not accept it",
            self.shown_path()
        ))
    }

    fn shown_path(&self) -> impl std::fmt::Display {
        self.files.certificate.display()
    }

    fn current(&self) -> FileCertificate {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Loads the files at each request and, with an interval, also if they have changed, until
    /// `stop`.
    pub(super) async fn watch(&self, mut requests: Signal, stop: CancellationToken) {
        self.current().record_end();
        loop {
            let interval_over = async {
                match self.files.reload {
                    Some(interval) => tokio::time::sleep(interval).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                signal = requests.recv() => {
                    if signal.is_some() {
                        self.reload(Reload::Requested);
                    }
                }
                () = interval_over => self.reload(Reload::IfChanged),
            }
        }
    }

    /// Loads the certificate from the files.
    fn reload(&self, reload: Reload) {
        let mut last = self.last_check.lock().unwrap_or_else(PoisonError::into_inner);
        let is_check = reload == Reload::IfChanged;
        let reloaded = match self.files.read() {
            Err(problem) if is_check && last.problem.as_ref() == Some(&problem) => Ok(false),
            Err(problem) => {
                last.problem = Some(problem.clone());
                Err(problem)
            }
            Ok(contents) if is_check && last.contents.is_same(&contents) => {
                last.problem = None;
                Ok(false)
            }
            Ok(contents) => {
                let new = self.files.certificate(&contents);
                *last = LastCheck { contents, problem: None };
                new.map(|new| {
                    new.record_end();
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
                    true
                })
            }
        };
        report(&reloaded);
    }
}

/// Logs each request to reload on a server without a certificate, until `stop`.
pub(crate) async fn refuse_reloads(mut requests: Signal, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = requests.recv() => tracing::info!("SIGHUP: there is no certificate to reload"),
        }
    }
}

/// Counts and logs the outcome of a reload; `Ok(false)` is unchanged files.
fn report(reloaded: &Result<bool, String>) {
    match reloaded {
        Ok(false) => {}
        Ok(true) => report_reloaded(),
        Err(problem) => report_kept(problem),
    }
}

fn report_reloaded() {
    meter::count_certificate_reload(true);
    tracing::info!("tls.reloaded: new connections get the new certificate");
}

fn report_kept(problem: &str) {
    meter::count_certificate_reload(false);
    tracing::error!(
        problem,
        "tls.kept: the certificate in the files cannot be used; the old one stays"
    );
}

/// The condition of a reload.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reload {
    /// Only if the files have changed since the last check.
    IfChanged,
    /// In any case, at the request of the operator.
    Requested,
}

impl TlsFiles {
    fn read(&self) -> Result<FileContents, String> {
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .map_err(|error| format!("{} cannot be read: {error}", path.display()))
        };
        let certificate = read(&self.certificate)?;
        Ok(FileContents { certificate, key: read(&self.key)?.into() })
    }

    fn certificate(&self, contents: &FileContents) -> Result<FileCertificate, String> {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(&contents.certificate).collect();
        let chain = chain.map_err(|error| format!("{certificate} is not PEM: {error}"))?;
        let Some(first) = chain.first().cloned() else {
            return Err(format!("{certificate} holds no certificate in PEM"));
        };
        let validity = Validity::of(&first);
        // The error could contain a part of the key, and is therefore not shown.
        let private = PrivateKeyDer::from_pem_slice(contents.key.expose_secret())
            .map_err(|_| format!("{key} holds no private key in PEM"))?;
        let config = config::with_certificate(chain, private)
            .map_err(|error| format!("{certificate} cannot be served with {key}: {error}"))?;
        Ok(FileCertificate { config: Arc::new(config), certificate: first, validity })
    }
}

impl FileContents {
    fn is_same(&self, other: &Self) -> bool {
        self.certificate == other.certificate
            && self.key.expose_secret() == other.key.expose_secret()
    }
}
