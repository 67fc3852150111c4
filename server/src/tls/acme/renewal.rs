//! The task that orders a certificate, renews it, and takes over what another server has ordered.

use std::pin::pin;
use std::time::Duration;

use presence_core::UnixMillis;
use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

use super::issued::IssuedCertificate;
use super::problem::OrderProblem;
use super::records::RecordsError;
use super::schedule::{self, FailedAttempts};
use super::{AcmeTls, order};
use crate::meter;

/// The interval at which a server looks for a certificate that another one has ordered.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// The same interval of a server that has no certificate, and can serve nobody.
const FIRST_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The time after which the lease of a server ends that does not extend it.
const LEASE: Duration = Duration::from_mins(1);
/// The interval at which it is extended.
const LEASE_EXTENSION: Duration = Duration::from_secs(15);
/// The maximum time of an order.
const ORDER_TIMEOUT: Duration = Duration::from_mins(10);

impl AcmeTls {
    /// Orders and renews the certificate, until `stop`. Each of `requests` makes a failed order be
    /// tried again at once.
    pub(in crate::tls) async fn maintain(&self, mut requests: Signal, stop: CancellationToken) {
        loop {
            let checked = tokio::select! {
                () = stop.cancelled() => break,
                checked = Box::pin(self.check()) => checked,
            };
            let pause = checked.unwrap_or_else(|error| {
                report_database(&error);
                CHECK_INTERVAL
            });
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
                _ = requests.recv() => self.try_again().await,
            }
        }
        // An order that was cut off must not hold up the others.
        self.records.release_lease().await.ok();
    }

    /// Reads the certificate from the database, and serves it if it is a new one.
    pub(super) async fn load(&self) -> Result<(), RecordsError> {
        let found = match self.records.certificate().await? {
            Some(certificate) => Some(certificate),
            None if self.read(|current| current.certificate.is_some()) => None,
            None => self.records.earlier_certificate().await?,
        };
        let Some(certificate) = found else { return Ok(()) };
        let is_known = self.read(|current| {
            current.certificate.as_ref().is_some_and(|known| known.chain == certificate.chain)
        });
        if !is_known {
            let until = certificate.validity.not_after.as_secs();
            self.serve(certificate).map_err(RecordsError::Damaged)?;
            tracing::info!(until, "tls.acme_loaded: new connections get this certificate");
        }
        Ok(())
    }

    /// Takes over a new certificate, or orders one if it is time. Returns the pause until the next
    /// check.
    async fn check(&self) -> Result<Duration, RecordsError> {
        self.load().await?;
        if !self.is_due().await? || !self.records.take_lease(LEASE).await? {
            return self.pause().await;
        }
        // Another server may have given the lease back just now, with a certificate.
        self.load().await?;
        if self.is_due().await? {
            self.order().await?;
        }
        self.records.release_lease().await?;
        self.pause().await
    }

    async fn is_due(&self) -> Result<bool, RecordsError> {
        Ok(self.records.now().await? >= self.next_order().await?)
    }

    async fn next_order(&self) -> Result<UnixMillis, RecordsError> {
        let domains = &self.setup.domains;
        // A certificate of other names is served until there is the right one.
        let own = self.records.certificate().await?.filter(|it| it.covers(domains));
        let failed = self.records.failed_attempts().await?;
        Ok(schedule::next_order(own.map(|certificate| certificate.validity), failed))
    }

    async fn pause(&self) -> Result<Duration, RecordsError> {
        let has_certificate = self.read(|current| current.certificate.is_some());
        let interval = if has_certificate { CHECK_INTERVAL } else { FIRST_CHECK_INTERVAL };
        let until_order = self.next_order().await? - self.records.now().await?;
        Ok(if until_order.is_zero() { interval } else { until_order.min(interval) })
    }

    /// Orders a certificate while this server has the lease, and records the outcome.
    async fn order(&self) -> Result<(), RecordsError> {
        // An earlier order may have left one.
        self.setup.client.take_retry_after();
        match Box::pin(self.order_with_lease()).await {
            Ok(certificate) => {
                self.records.put_certificate(&certificate).await?;
                self.records.remove_failed_attempts().await?;
                let until = certificate.validity.not_after.as_secs();
                self.serve(certificate).map_err(RecordsError::Damaged)?;
                report_issued(until);
            }
            Err(problem) => {
                let before = self.records.failed_attempts().await?.map_or(0, |failed| failed.count);
                let count = before.saturating_add(1);
                let demanded = self.setup.client.take_retry_after();
                let (first, random) = (self.setup.retry, rand::random());
                let delay = schedule::delay_after(count, first, random, demanded);
                report_failed(&problem, count, delay);
                let not_before = self.records.now().await? + delay;
                let failed = FailedAttempts { count, not_before };
                self.records.put_failed_attempts(failed).await?;
            }
        }
        Ok(())
    }

    /// Orders a certificate, and extends the lease meanwhile.
    async fn order_with_lease(&self) -> Result<IssuedCertificate, OrderProblem> {
        let order = Box::pin(order::run(&self.setup, &self.records));
        let mut order = pin!(tokio::time::timeout(ORDER_TIMEOUT, order));
        loop {
            tokio::select! {
                result = &mut order => {
                    return result.unwrap_or_else(|_| Err(OrderProblem::new("it took too long")));
                }
                () = tokio::time::sleep(LEASE_EXTENSION) => {
                    if !self.records.take_lease(LEASE).await? {
                        return Err(OrderProblem::new("another server orders"));
                    }
                }
            }
        }
    }

    /// Lets a failed order be tried again at once.
    async fn try_again(&self) {
        tracing::info!("SIGHUP: a certificate that is due is ordered at once");
        if let Err(error) = self.records.remove_failed_attempts().await {
            report_database(&error);
        }
    }
}

fn report_issued(until: u64) {
    meter::count_acme_order(true);
    tracing::info!(until, "tls.acme_issued: new connections get the new certificate");
}

fn report_failed(problem: &OrderProblem, attempts: u32, delay: Duration) {
    meter::count_acme_order(false);
    tracing::error!(
        %problem,
        attempts,
        retry_in_seconds = delay.as_secs(),
        "tls.acme_failed: no certificate was issued; the one that is there stays"
    );
}

fn report_database(error: &RecordsError) {
    tracing::warn!(%error, "tls.acme_records: the records of ACME cannot be used");
}
