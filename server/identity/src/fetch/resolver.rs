//! A resolver that gives away only whole answers of public addresses.
//!
//! One bad address spoils the answer: a name that has both would get a second try with the other one (DNS rebinding).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address;

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
    allow_loopback: bool,
}

impl GuardedResolver {
    pub(super) fn new(lookup: Arc<dyn Lookup>, allow_loopback: bool) -> Self {
        Self { lookup, allow_loopback }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = Arc::clone(&self.lookup);
        let local = self.allow_loopback && name.as_str() == LOCALHOST;
        Box::pin(async move {
            let found = lookup.lookup(name.as_str()).await.map_err(|_| Refusal::NoAddress)?;
            let vetted = vet(found, local)?;
            // Port 0 stands for the port of the URL.
            let addresses: Addrs =
                Box::new(vetted.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// The answer, if all of it may be connected to.
fn vet(found: Vec<IpAddr>, local: bool) -> Result<Vec<IpAddr>, Refusal> {
    if found.is_empty() {
        return Err(Refusal::NoAddress);
    }
    let fits =
        |address: &IpAddr| if local { address.is_loopback() } else { address::is_public(*address) };
    if found.iter().all(fits) { Ok(found) } else { Err(Refusal::Forbidden) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_address_spoils_the_answer() {
        let good: IpAddr = "9.9.9.9".parse().unwrap();
        let bad: IpAddr = "10.0.0.1".parse().unwrap();
        assert_eq!(vet(vec![good], false), Ok(vec![good]));
        assert_eq!(vet(vec![good, bad], false), Err(Refusal::Forbidden));
        assert_eq!(vet(vec![bad, good], false), Err(Refusal::Forbidden));
        assert_eq!(vet(Vec::new(), false), Err(Refusal::NoAddress));
    }

    #[test]
    fn the_name_of_this_machine_means_this_machine_only() {
        let here: IpAddr = "127.0.0.1".parse().unwrap();
        let there: IpAddr = "9.9.9.9".parse().unwrap();
        assert_eq!(vet(vec![here], true), Ok(vec![here]));
        assert_eq!(vet(vec![here, there], true), Err(Refusal::Forbidden));
        assert_eq!(vet(vec![here], false), Err(Refusal::Forbidden));
    }
}
