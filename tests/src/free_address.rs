//! Addresses for programs that cannot choose a free port themselves.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// The first port. All of them are below those that the system gives to other programs.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Returns a loopback address that no program uses, by TCP and UDP, and that no other call of this
/// process returns soon.
pub fn free_address() -> SocketAddr {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    loop {
        // Processes that run at the same time begin at different ports.
        let place = std::process::id().wrapping_mul(97);
        let place = place.wrapping_add(CALLS.fetch_add(1, Ordering::Relaxed));
        let place = u16::try_from(place % u32::from(COUNT)).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + place));
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}
