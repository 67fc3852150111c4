//! TLS: the certificate comes from files, or from a certificate authority by ACME. A connection
//! keeps the certificate that it began with.
//!
//! The modules in reading order: certificates by ACME ([`acme`]), certificates in files
//! ([`files`]), and what both use: the configuration of rustls ([`config`]), and the facts in a
//! certificate ([`certificate`]).

pub(crate) mod acme;
pub(crate) mod files;

mod certificate;
mod config;

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use presence_core::UnixMillis;
use presence_service::acme_records::AcmeRecords;
use tokio::net::TcpStream;
use tokio::signal::unix::Signal;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::acme::AcmeTls;
use self::acme::setup::AcmeSetup;
use self::files::FileTls;

/// A handshake that is under way. It ends with a connection, or with none if it answered the
/// challenge of a certificate authority.
pub(crate) type TlsHandshake =
    Pin<Box<dyn Future<Output = io::Result<Option<Box<TlsStream<TcpStream>>>>> + Send>>;

/// The source of certificates, before the database is open.
pub(crate) enum PreparedTls {
    Files(FileTls),
    Acme(Box<AcmeSetup>),
}

/// The source of the certificate that new connections get.
pub(crate) enum Tls {
    Files(FileTls),
    Acme(Box<AcmeTls>),
}

impl PreparedTls {
    /// Returns the reasons why clients at this URL do not accept a certificate of files, each as
    /// one line. A certificate by ACME is renewed while the server runs.
    pub(crate) fn warnings(&self, url: Option<&Url>, now: UnixMillis) -> Vec<String> {
        match self {
            Self::Files(files) => {
                let name = url.and_then(|url| files.name_problem(url));
                files.validity_problem(now).into_iter().chain(name).collect()
            }
            Self::Acme(_) => Vec::new(),
        }
    }

    /// Adds the database, from which a certificate by ACME is read if it is there.
    ///
    /// # Errors
    ///
    /// The reason in one line, if the records of ACME cannot be read.
    pub(crate) async fn open(self, records: AcmeRecords) -> Result<Tls, String> {
        Ok(match self {
            Self::Files(files) => Tls::Files(files),
            Self::Acme(setup) => Tls::Acme(Box::new(AcmeTls::open(*setup, records).await?)),
        })
    }
}

impl Tls {
    /// Begins a handshake with the current certificate.
    pub(crate) fn handshake(self: &Arc<Self>, stream: TcpStream) -> TlsHandshake {
        let tls = Arc::clone(self);
        Box::pin(async move {
            match &*tls {
                Self::Files(files) => files.acceptor().accept(stream).await.map(Box::new).map(Some),
                Self::Acme(acme) => acme.handshake(stream).await,
            }
        })
    }

    /// Returns true if there is a certificate that is valid at this time.
    pub(crate) fn is_valid(&self, now: UnixMillis) -> bool {
        let validity = match self {
            Self::Files(files) => files.validity(),
            Self::Acme(acme) => acme.validity(),
        };
        validity.is_some_and(|validity| validity.contains(now))
    }

    /// Looks after the certificate, until `stop`: files are read again, and a certificate by ACME
    /// is renewed. Each of `requests` makes it do so at once.
    pub(crate) async fn maintain(&self, requests: Signal, stop: CancellationToken) {
        match self {
            Self::Files(files) => files.watch(requests, stop).await,
            Self::Acme(acme) => acme.maintain(requests, stop).await,
        }
    }
}
