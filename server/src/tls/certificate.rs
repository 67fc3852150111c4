//! The facts in a certificate that the server needs.

use std::time::Duration;

use presence_core::UnixMillis;
use rustls::pki_types::CertificateDer;
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

    /// Returns the length of the validity.
    pub(super) fn lifetime(self) -> Duration {
        self.not_after - self.not_before
    }
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
