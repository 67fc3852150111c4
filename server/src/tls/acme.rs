//! A certificate from a certificate authority by ACME (RFC 8555), proven by TLS-ALPN-01 (RFC 8737).
//!
//! The account, the certificate with its key and the answers to challenges are in the database, so
//! that servers that share one are as one: one of them orders, all serve the certificate, and any
//! of them answers the authority. Only the names of the settings are ordered or answered for,
//! whatever name a client sends.
//!
//! The modules in reading order: the task that orders and renews ([`renewal`]), one order
//! ([`order`]) with the [`account`], the answers to challenges ([`challenge`]), the certificate
//! ([`issued`]), the records in the database ([`records`]) and their [`seal`], what the settings
//! give ([`setup`]), the client of the directory ([`directory`]), the times of orders
//! ([`schedule`]), and the texts of failures ([`problem`]).

mod renewal;

mod account;
mod order;

mod challenge;
mod issued;
mod records;
mod seal;

pub(crate) mod setup;

mod directory;
mod problem;
mod schedule;

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use presence_service::acme_records::AcmeRecords;
use rustls::ServerConfig;
use rustls::server::{Acceptor, ClientHello};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use self::challenge::{CHALLENGE_PROTOCOL, Challenges};
use self::issued::IssuedCertificate;
use self::records::SealedRecords;
use self::setup::AcmeSetup;
use super::certificate::Validity;
use super::config;
use crate::meter;

/// The certificate that new connections get, and all that is needed to order the next one.
pub(crate) struct AcmeTls {
    setup: AcmeSetup,
    records: SealedRecords,
    challenges: Challenges,
    current: RwLock<ServedCertificate>,
}

/// The certificate that new connections get.
struct ServedCertificate {
    config: Arc<ServerConfig>,
    certificate: Option<IssuedCertificate>,
}

impl AcmeTls {
    /// Reads the certificate from the database, if it is there.
    ///
    /// # Errors
    ///
    /// The reason in one line, if the database fails or its records cannot be opened.
    pub(crate) async fn open(setup: AcmeSetup, records: AcmeRecords) -> Result<Self, String> {
        let records = SealedRecords::new(records, &setup).map_err(|error| error.to_string())?;
        records.account().await.map_err(|error| error.to_string())?;
        let config = config::without_certificate().map_err(|error| error.to_string())?;
        let current = ServedCertificate { config: Arc::new(config), certificate: None };
        let challenges = Challenges::new(records.clone());
        let tls = Self { setup, records, challenges, current: RwLock::new(current) };
        tls.load().await.map_err(|error| error.to_string())?;
        Ok(tls)
    }

    /// Returns the validity of the certificate, `None` without one.
    pub(super) fn validity(&self) -> Option<Validity> {
        self.read(|current| current.certificate.as_ref().map(|certificate| certificate.validity))
    }

    /// Completes a handshake. One that asks for the answer to a challenge ends with it.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
    ) -> io::Result<Option<Box<TlsStream<TcpStream>>>> {
        let started = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let Some(name) = self.challenged_name(&started.client_hello()) else {
            let config = self.read(|current| Arc::clone(&current.config));
            return started.into_stream(config).await.map(Box::new).map(Some);
        };
        let Some(config) = self.challenges.answer(&name).await else {
            return Err(io::Error::other("there is no challenge for this name"));
        };
        let mut stream = started.into_stream(config).await?;
        stream.shutdown().await?;
        tracing::debug!(name, "tls.acme_challenge_answered");
        Ok(None)
    }

    /// Returns the name of the settings for which a client asks for the answer to a challenge.
    fn challenged_name(&self, hello: &ClientHello<'_>) -> Option<String> {
        let mut protocols = hello.alpn()?;
        let is_challenge =
            protocols.next() == Some(CHALLENGE_PROTOCOL) && protocols.next().is_none();
        let name = hello.server_name().filter(|_| is_challenge)?;
        self.setup.domains.iter().find(|known| known.eq_ignore_ascii_case(name)).cloned()
    }

    /// Serves a certificate from now on.
    fn serve(&self, certificate: IssuedCertificate) -> Result<(), String> {
        let config = Arc::new(certificate.config()?);
        meter::set_certificate_end(certificate.validity.not_after);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = ServedCertificate { config, certificate: Some(certificate) };
        Ok(())
    }

    fn read<T>(&self, read: impl FnOnce(&ServedCertificate) -> T) -> T {
        read(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}
