//! A resolver that gives away only whole answers of public addresses.
//!
//! One bad address spoils the answer: a name that has both would get a second try with the other
//! one (DNS rebinding).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{GuardOptions, address};

/// The one name that may stand for this machine, where that is allowed.
pub(super) const LOCALHOST: &str = "localhost";

/// Asks for the addresses of a name.
#[async_trait]
pub(super) trait Lookup: Send + Sync {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// Asks the system.
pub(super) struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// Why a name was not resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the name has no address")]
    NoAddress,
    #[error("the name has an address that is not public")]
    Forbidden,
}

/// A [`Lookup`] whose answers are vetted.
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
            Allowed::All
        } else if self.options.allow_loopback && name.as_str() == LOCALHOST {
            Allowed::Loopback
        } else {
            Allowed::Public
        };
        Box::pin(async move {
            let found = lookup.lookup(name.as_str()).await.map_err(|_| Refusal::NoAddress)?;
            let vetted = vet(found, allowed)?;
            // Port 0 stands for the port of the URL.
            let addresses: Addrs =
                Box::new(vetted.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// Which addresses a name may have.
#[derive(Debug, Clone, Copy)]
enum Allowed {
    Public,
    Loopback,
    All,
}

/// The answer, if all of it may be connected to.
fn vet(found: Vec<IpAddr>, allowed: Allowed) -> Result<Vec<IpAddr>, Refusal> {
    if found.is_empty() {
        return Err(Refusal::NoAddress);
    }
    let fits = |address: &IpAddr| match allowed {
        Allowed::Public => address::is_public(*address),
        Allowed::Loopback => address.is_loopback(),
        Allowed::All => true,
    };
    if found.iter().all(fits) { Ok(found) } else { Err(Refusal::Forbidden) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_address_spoils_the_answer() {
        let good: IpAddr = "9.9.9.9".parse().unwrap();
        let bad: IpAddr = "10.0.0.1".parse().unwrap();
        assert_eq!(vet(vec![good], Allowed::Public), Ok(vec![good]));
        assert_eq!(vet(vec![good, bad], Allowed::Public), Err(Refusal::Forbidden));
        assert_eq!(vet(vec![bad, good], Allowed::Public), Err(Refusal::Forbidden));
        assert_eq!(vet(Vec::new(), Allowed::Public), Err(Refusal::NoAddress));
    }

    #[test]
    fn where_the_operator_chose_the_name_it_may_be_in_a_private_network() {
        let inside: IpAddr = "10.0.0.1".parse().unwrap();
        assert_eq!(vet(vec![inside], Allowed::All), Ok(vec![inside]));
        assert_eq!(vet(Vec::new(), Allowed::All), Err(Refusal::NoAddress));
    }

    #[test]
    fn the_name_of_this_machine_means_this_machine_only() {
        let here: IpAddr = "127.0.0.1".parse().unwrap();
        let there: IpAddr = "9.9.9.9".parse().unwrap();
        assert_eq!(vet(vec![here], Allowed::Loopback), Ok(vec![here]));
        assert_eq!(vet(vec![here, there], Allowed::Loopback), Err(Refusal::Forbidden));
        assert_eq!(vet(vec![here], Allowed::Public), Err(Refusal::Forbidden));
    }
}
