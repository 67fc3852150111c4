//! The facts in a certificate that the server needs.

use std::net::IpAddr;
use std::time::Duration;

use presence_core::UnixMillis;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Host;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The time in which a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(super) not_before: UnixMillis,
    pub(super) not_after: UnixMillis,
}

impl Validity {
    /// Returns the validity of a certificate, `None` if it cannot be read.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let time = |seconds| UnixMillis::from_secs(u64::try_from(seconds).unwrap_or(0));
        let validity = certificate.validity();
        let not_before = time(validity.not_before.timestamp());
        Some(Self { not_before, not_after: time(validity.not_after.timestamp()) })
    }

    /// Returns true if the certificate is valid at this time.
    pub(super) fn contains(self, now: UnixMillis) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// Describes why a certificate is not valid at this time, if it is not.
    pub(super) fn problem(self, now: UnixMillis) -> Option<String> {
        if self.contains(now) {
            return None;
        }
        let (text, at) = if now < self.not_before {
            ("is not valid before", self.not_before)
        } else {
            ("has expired: it was valid until", self.not_after)
        };
        Some(format!("{text} {}", in_utc(at)))
    }

    /// Returns the length of the validity.
    pub(super) fn lifetime(self) -> Duration {
        self.not_after - self.not_before
    }
}

/// Returns a time such as `2026-11-25T13:05:00Z`.
fn in_utc(at: UnixMillis) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

/// Returns true if clients accept a certificate for a host.
pub(super) fn is_for(certificate: &CertificateDer<'_>, host: &Host<&str>) -> bool {
    let name = match host {
        Host::Domain(name) => ServerName::try_from(*name).ok(),
        Host::Ipv4(address) => Some(ServerName::from(IpAddr::V4(*address))),
        Host::Ipv6(address) => Some(ServerName::from(IpAddr::V6(*address))),
    };
    let certificate = ParsedCertificate::try_from(certificate).ok();
    name.zip(certificate).is_some_and(|(name, found)| verify_server_name(&found, &name).is_ok())
}

/// Returns the DNS names of a certificate, in lower case.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let mut found = Vec::new();
    for name in &names.value.general_names {
        if let GeneralName::DNSName(name) = name {
            found.push(name.to_ascii_lowercase());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_accept_a_certificate_for_its_names_and_addresses() {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = ["a.example", "*.b.example", "192.0.2.1"].map(str::to_owned);
        let params = rcgen::CertificateParams::new(names.to_vec()).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let is_for = |host: &str| {
            let url = url::Url::parse(&format!("https://{host}/")).unwrap();
            is_for(certificate.der(), &url.host().unwrap())
        };
        assert!(is_for("a.example") && is_for("any.b.example") && is_for("192.0.2.1"));
        assert!(!is_for("b.example") && !is_for("c.example") && !is_for("[2001:db8::1]"));
    }

    #[test]
    fn a_certificate_that_is_not_valid_is_described() {
        let at = UnixMillis::from_secs;
        let validity = Validity { not_before: at(1_577_836_800), not_after: at(1_577_836_860) };
        let problem = |now| validity.problem(at(now)).unwrap_or_default();
        assert_eq!(problem(1_577_836_799), "is not valid before 2020-01-01T00:00:00Z");
        assert_eq!(problem(1_577_836_800), "");
        let expired = "has expired: it was valid until 2020-01-01T00:01:00Z";
        assert_eq!(problem(1_577_836_860), expired);
    }

    #[test]
    fn names_and_validity_are_read() {
        let key = rcgen::KeyPair::generate().unwrap();
        let names_of_it = vec!["A.example".to_owned(), "b.example".to_owned()];
        let mut params = rcgen::CertificateParams::new(names_of_it).unwrap();
        params.not_before = rcgen::date_time_ymd(2027, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 4, 1);
        let certificate = params.self_signed(&key).unwrap();
        assert_eq!(names(certificate.der()), ["a.example", "b.example"]);
        let validity = Validity::of(certificate.der()).unwrap();
        assert_eq!(validity.lifetime(), Duration::from_hours(90 * 24));
        assert!(!validity.contains(validity.not_before - Duration::from_secs(1)));
        assert!(validity.contains(validity.not_before));
        assert!(!validity.contains(validity.not_after));
        assert_eq!(Validity::of(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
