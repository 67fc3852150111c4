//! The connections whose clients have not yet proven who they are, counted by address.
//!
//! A client proves who it is with a credential that the server accepts. Its connection then counts
//! no more. So a limit by address keeps strangers from taking all connections, and does not limit
//! the users behind one address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use poem::Request;
use presence_protocol::{ApiError, Errno};
use presence_service::rate_limited_address;

/// The delay before another attempt, in seconds.
const RETRY_AFTER: f64 = 1.0;

/// The numbers of connections of each address whose clients have proven nothing. An address without
/// one has no entry, so there are never more entries than connections.
#[derive(Debug)]
pub(crate) struct UnprovenConnections {
    limit: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// The proof of the client of one connection; behind a proxy, of one request.
#[derive(Debug)]
pub(crate) struct ClientProof {
    missing: Mutex<Option<UnprovenConnection>>,
}

/// One connection in the count of its address, until it is dropped.
#[derive(Debug)]
struct UnprovenConnection {
    connections: Arc<UnprovenConnections>,
    address: IpAddr,
    /// The address had as many as it may have.
    exceeds_limit: bool,
}

impl UnprovenConnections {
    /// Allows `limit` connections of each address.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, counts: Mutex::default() }
    }

    /// Counts a connection of an address.
    pub(crate) fn add(self: &Arc<Self>, address: IpAddr) -> Arc<ClientProof> {
        let address = rate_limited_address(address);
        let mut counts = self.counts();
        let count = counts.entry(address).or_default();
        *count += 1;
        let exceeds_limit = *count > self.limit;
        drop(counts);
        let connection =
            UnprovenConnection { connections: Arc::clone(self), address, exceeds_limit };
        Arc::new(ClientProof { missing: Mutex::new(Some(connection)) })
    }

    /// Returns true if an address has so many connections that a further one gets no answer.
    pub(crate) fn is_flooding(&self, address: IpAddr) -> bool {
        let count = self.counts().get(&rate_limited_address(address)).copied();
        count.is_some_and(|count| count >= 2 * self.limit)
    }

    fn is_full(&self, address: IpAddr) -> bool {
        self.counts().get(&address).is_some_and(|count| *count > self.limit)
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnprovenConnection {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = self.connections.counts().entry(self.address) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

impl ClientProof {
    /// Records that the client has proven who it is.
    pub(crate) fn complete(&self) {
        self.missing().take();
    }

    /// Returns the error for a client whose address has too many connections.
    pub(crate) fn too_many_connections() -> ApiError {
        ApiError::from(Errno::TooManyConnections).with_retry_after(RETRY_AFTER)
    }

    /// Returns true if the client has proven who it is.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing().is_none()
    }

    /// Returns true if the client has proven nothing, and its address has too many such
    /// connections.
    pub(crate) fn exceeds_limit(&self) -> bool {
        let mut missing = self.missing();
        let Some(connection) = missing.as_mut().filter(|connection| connection.exceeds_limit)
        else {
            return false;
        };
        connection.exceeds_limit = connection.connections.is_full(connection.address);
        connection.exceeds_limit
    }

    fn missing(&self) -> MutexGuard<'_, Option<UnprovenConnection>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the proof of a request's client.
pub(crate) fn of(request: &Request) -> Option<Arc<ClientProof>> {
    request.data::<Arc<ClientProof>>().cloned()
}

/// Records that the client of a request has proven who it is.
pub(crate) fn complete(request: &Request) {
    if let Some(proof) = request.data::<Arc<ClientProof>>() {
        proof.complete();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn connections_count_by_address_until_their_clients_are_known() {
        let connections = Arc::new(UnprovenConnections::new(2));
        let add = |text: &str| connections.add(address(text));
        let (first, second, third) = (add("192.0.2.1"), add("192.0.2.1"), add("192.0.2.1"));
        assert!(!first.exceeds_limit() && !second.exceeds_limit() && third.exceeds_limit());
        assert!(!add("192.0.2.2").exceeds_limit());
        first.complete();
        assert!(!third.exceeds_limit(), "one of the others is known now");
        assert!(add("192.0.2.1").exceeds_limit());
        drop((second, third));
        assert!(connections.counts().is_empty());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let connections = Arc::new(UnprovenConnections::new(1));
        let _first = connections.add(address("2001:db8::1"));
        let second = connections.add(address("2001:db8::2"));
        assert!(
            second.exceeds_limit() && !connections.add(address("2001:db8:1::1")).exceeds_limit()
        );
        assert!(connections.is_flooding(address("2001:db8::3")));
    }
}
