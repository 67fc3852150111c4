//! A DNS resolver that returns only public addresses.
//!
//! It rejects a name if any of its addresses is not public: the client could otherwise try that
//! address next (DNS rebinding).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address;
use super::options::GuardOptions;

/// The only name that may resolve to a loopback address, if that is allowed.
pub(super) const LOCALHOST: &str = "localhost";
/// The addresses of that name.
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Looks up the addresses of a name.
#[async_trait]
pub(super) trait Lookup: Send + Sync {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The error of resolving a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ResolveError {
    #[error("the name has no address")]
    NoAddress,
    #[error("the name has an address that is not public")]
    Forbidden,
    #[error("the name servers did not answer in time")]
    Timeout,
}

/// A [`Lookup`] whose results are checked.
pub(super) struct GuardedResolver {
    lookup: Arc<dyn Lookup>,
    options: GuardOptions,
    /// The time that a lookup may take.
    deadline: Duration,
}

impl GuardedResolver {
    pub(super) fn new(lookup: Arc<dyn Lookup>, options: GuardOptions, deadline: Duration) -> Self {
        Self { lookup, options, deadline }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, deadline) = (Arc::clone(&self.lookup), self.deadline);
        let is_localhost = name.as_str() == LOCALHOST;
        let allowed = if self.options.allow_internal {
            AllowedAddresses::All
        } else if self.options.allow_loopback && is_localhost {
            AllowedAddresses::Loopback
        } else {
            AllowedAddresses::Public
        };
        Box::pin(async move {
            // No name server is asked about this name (RFC 6761, section 6.3).
            let found = if is_localhost {
                LOOPBACK.to_vec()
            } else {
                let found = tokio::time::timeout(deadline, lookup.lookup(name.as_str())).await;
                found.map_err(|_| ResolveError::Timeout)?.map_err(|_| ResolveError::NoAddress)?
            };
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
