//! A DNS resolver that returns only public addresses.
//!
//! It rejects a name if any of its addresses is not public: the client could otherwise try that
//! address next (DNS rebinding).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address;
use super::options::GuardOptions;

/// The only name that may resolve to a loopback address, if that is allowed.
pub(super) const LOCALHOST: &str = "localhost";

/// Looks up the addresses of a name.
#[async_trait]
pub(super) trait Lookup: Send + Sync {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system.
pub(super) struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// The error of resolving a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ResolveError {
    #[error("the name has no address")]
    NoAddress,
    #[error("the name has an address that is not public")]
    Forbidden,
}

/// A [`Lookup`] whose results are checked.
pub(super) struct GuardedResolver {
    lookup: Arc<dyn Lookup>,
    options: GuardOptions,
}

impl GuardedResolver {
    pub(super) fn new(lookup: Arc<dyn Lookup>, options: GuardOptions) -> Self {
        Self { lookup, options }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = Arc::clone(&self.lookup);
        let allowed = if self.options.allow_internal {
            AllowedAddresses::All
        } else if self.options.allow_loopback && name.as_str() == LOCALHOST {
            AllowedAddresses::Loopback
        } else {
            AllowedAddresses::Public
        };
        Box::pin(async move {
            let found = lookup.lookup(name.as_str()).await.map_err(|_| ResolveError::NoAddress)?;
            let checked = check_addresses(found, allowed)?;
            // Port 0 means the port of the URL.
            let addresses: Addrs =
                Box::new(checked.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// The addresses that a name may have.
#[derive(Debug, Clone, Copy)]
enum AllowedAddresses {
    Public,
    Loopback,
    All,
}

/// Returns the addresses, if all of them are allowed.
fn check_addresses(
    found: Vec<IpAddr>,
    allowed: AllowedAddresses,
) -> Result<Vec<IpAddr>, ResolveError> {
    if found.is_empty() {
        return Err(ResolveError::NoAddress);
    }
    let is_allowed = |address: &IpAddr| match allowed {
        AllowedAddresses::Public => address::is_public(*address),
        AllowedAddresses::Loopback => address.is_loopback(),
        AllowedAddresses::All => true,
    };
    if found.iter().all(is_allowed) { Ok(found) } else { Err(ResolveError::Forbidden) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_forbidden_address_rejects_the_whole_name() {
        let public: IpAddr = "9.9.9.9".parse().unwrap();
        let internal: IpAddr = "10.0.0.1".parse().unwrap();
        assert_eq!(check_addresses(vec![public], AllowedAddresses::Public), Ok(vec![public]));
        assert_eq!(
            check_addresses(vec![public, internal], AllowedAddresses::Public),
            Err(ResolveError::Forbidden)
        );
        assert_eq!(
            check_addresses(vec![internal, public], AllowedAddresses::Public),
            Err(ResolveError::Forbidden)
        );
        assert_eq!(
            check_addresses(Vec::new(), AllowedAddresses::Public),
            Err(ResolveError::NoAddress)
        );
    }

    #[test]
    fn a_name_that_the_operator_chose_may_have_private_addresses() {
        let inside: IpAddr = "10.0.0.1".parse().unwrap();
        assert_eq!(check_addresses(vec![inside], AllowedAddresses::All), Ok(vec![inside]));
        assert_eq!(
            check_addresses(Vec::new(), AllowedAddresses::All),
            Err(ResolveError::NoAddress)
        );
    }

    #[test]
    fn localhost_may_have_only_loopback_addresses() {
        let here: IpAddr = "127.0.0.1".parse().unwrap();
        let there: IpAddr = "9.9.9.9".parse().unwrap();
        assert_eq!(check_addresses(vec![here], AllowedAddresses::Loopback), Ok(vec![here]));
        assert_eq!(
            check_addresses(vec![here, there], AllowedAddresses::Loopback),
            Err(ResolveError::Forbidden)
        );
        assert_eq!(
            check_addresses(vec![here], AllowedAddresses::Public),
            Err(ResolveError::Forbidden)
        );
    }
}
