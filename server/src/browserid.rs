//! The verifier of BrowserID assertions as configured.

use std::sync::Arc;

use presence_core::Clock;
use presence_identity::DevIssuer;
use presence_identity::browserid::{
    Audience, BrowserId, BrowserIdAlgorithm, Discovery, DiscoveryScope, KeySource, KeySourceChain,
    Policy,
};
use presence_identity::fetch::{FetchLimits, GuardOptions, GuardedClient, SetUpError};

use crate::settings::{BrowserIdDiscovery, Settings};

/// The time in which a host must return its support document.
const FETCH_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(8);

/// Returns the verifier of BrowserID assertions for one of these audiences.
///
/// # Errors
///
/// If the HTTP client cannot be set up.
pub(crate) fn verifier(
    settings: &Settings,
    audiences: Vec<Audience>,
    dev_issuer: Option<&DevIssuer>,
    clock: Arc<dyn Clock>,
) -> Result<BrowserId, SetUpError> {
    let mut sources: Vec<Arc<dyn KeySource>> = Vec::new();
    // The development issuer is first, so that no host is contacted about its domain.
    sources.extend(dev_issuer.map(|issuer| Arc::new(issuer.key_source()) as Arc<dyn KeySource>));
    if let Some(discovery) = discovery(settings, clock)? {
        sources.push(Arc::new(discovery));
    }
    Ok(BrowserId::new(Arc::new(KeySourceChain::new(sources)), audiences, policy(settings)))
}

/// Returns the source that fetches the keys of hosts, or `None` if the settings disable it.
///
/// # Errors
///
/// If the HTTP client cannot be set up.
pub(crate) fn discovery(
    settings: &Settings,
    clock: Arc<dyn Clock>,
) -> Result<Option<Discovery>, SetUpError> {
    let open = match settings.browserid_discovery {
        BrowserIdDiscovery::Off => return Ok(None),
        BrowserIdDiscovery::AllowListed => false,
        BrowserIdDiscovery::Open => true,
    };
    let options = GuardOptions { allow_loopback: settings.dev, ..GuardOptions::default() };
    let limits = FetchLimits { total: FETCH_TIMEOUT, ..FetchLimits::default() };
    let client = GuardedClient::with_limits(options, limits)?.for_purpose("browserid_issuer");
    let scope = DiscoveryScope { listed: settings.browserid_hosts(), open };
    Ok(Some(Discovery::new(client, scope, clock)))
}

fn policy(settings: &Settings) -> Policy {
    let strict = Policy::default();
    let mut issuer_algs = strict.issuer_algs;
    if settings.browserid_legacy_issuers {
        issuer_algs.extend([BrowserIdAlgorithm::Rs128, BrowserIdAlgorithm::Ds128]);
    }
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let allowed = &settings.browserid_allowed_issuers;
    Policy {
        max_lifetime: settings.browserid_assertion_age(),
        issuer_algs,
        allow_host_port: settings.dev,
        trusted_issuers: settings.browserid_trusted_issuers.clone(),
        fallback: text(&settings.browserid_fallback),
        allowed_issuers: Some(allowed.clone()).filter(|allowed| !allowed.is_empty()),
        fxa_verified_email: settings.browserid_verified_email,
        ..Policy::default()
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpListener;

    use presence_core::ManualClock;
    use presence_identity::browserid::{DocumentQuery, LookupError};

    use super::*;

    #[tokio::test]
    async fn a_loopback_host_is_contacted_only_in_development_mode() {
        let listener = TcpListener::bind("localhost:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let host = format!("localhost:{}", listener.local_addr().unwrap().port());
        let settings =
            Settings { browserid_issuers: vec![host.clone()], dev: false, ..Settings::default() };
        let clock = Arc::<ManualClock>::default();
        let discovery = discovery(&settings, clock).unwrap().unwrap();
        let query = DocumentQuery { host: &host, domain: &host, client: None };
        assert_eq!(discovery.document(query).await, Err(LookupError::Unreachable));
        assert_eq!(
            listener.accept().unwrap_err().kind(),
            ErrorKind::WouldBlock,
            "the host was contacted"
        );
    }

    #[test]
    fn weak_algorithms_of_issuers_need_their_setting() {
        let weak = |settings: &Settings| {
            let algorithms = policy(settings).issuer_algs;
            [BrowserIdAlgorithm::Rs128, BrowserIdAlgorithm::Ds128]
                .map(|weak| algorithms.contains(&weak))
        };
        assert_eq!(weak(&Settings::default()), [false, false]);
        let legacy = Settings { browserid_legacy_issuers: true, ..Settings::default() };
        assert_eq!(weak(&legacy), [true, true]);
    }
}
