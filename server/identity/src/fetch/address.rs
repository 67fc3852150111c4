//! The test for public IP addresses (see threat 1 in SECURITY.md).
//!
//! For IPv4, a list of blocks is excluded. For IPv6, only global unicast is included, so that every
//! form that contains an IPv4 address (mapped, compatible, NAT64) is excluded too. A machine that
//! reaches IPv4 only by NAT64 therefore cannot fetch from IPv4 hosts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The IPv4 blocks that are not public, as address and prefix length.
const NOT_PUBLIC_V4: [([u8; 4], u32); 17] = [
    ([0, 0, 0, 0], 8),          // this network, unspecified
    ([10, 0, 0, 0], 8),         // private
    ([100, 64, 0, 0], 10),      // shared by carriers' customers
    ([127, 0, 0, 0], 8),        // loopback
    ([168, 63, 129, 16], 32),   // the host of an Azure machine
    ([169, 254, 0, 0], 16),     // link-local, metadata of clouds
    ([172, 16, 0, 0], 12),      // private
    ([192, 0, 0, 0], 24),       // protocol assignments
    ([192, 0, 2, 0], 24),       // documentation
    ([192, 88, 99, 0], 24),     // 6to4 relays
    ([192, 168, 0, 0], 16),     // private
    ([198, 18, 0, 0], 15),      // benchmarks
    ([198, 51, 100, 0], 24),    // documentation
    ([203, 0, 113, 0], 24),     // documentation
    ([224, 0, 0, 0], 4),        // multicast
    ([240, 0, 0, 0], 4),        // reserved
    ([255, 255, 255, 255], 32), // broadcast
];

/// The IPv6 block that is public, except for the ones below.
const PUBLIC_V6: ([u16; 8], u32) = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// The IPv6 blocks within [`PUBLIC_V6`] that are not public.
const NOT_PUBLIC_V6: [([u16; 8], u32); 4] = [
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments: Teredo, benchmarks, ORCHID
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4, which holds an IPv4 address
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

/// Returns true if `address` is an address on the public internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|block| is_in_v4(address, *block)),
        IpAddr::V6(address) => {
            is_in_v6(address, PUBLIC_V6)
                && !NOT_PUBLIC_V6.iter().any(|block| is_in_v6(address, *block))
        }
    }
}

fn is_in_v4(address: Ipv4Addr, (block, prefix): ([u8; 4], u32)) -> bool {
    let differing = address.to_bits() ^ Ipv4Addr::from(block).to_bits();
    differing.leading_zeros() >= prefix
}

fn is_in_v6(address: Ipv6Addr, (block, prefix): ([u16; 8], u32)) -> bool {
    let differing = address.to_bits() ^ Ipv6Addr::from(block).to_bits();
    differing.leading_zeros() >= prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_recognised() {
        for text in [
            "1.1.1.1",
            "9.9.9.9",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.0.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:200::1",
            "2001:db9::1",
            "2003::1",
            "3ffe::1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    /// Holds threat 1.
    #[test]
    fn internal_and_reserved_addresses_are_not_public() {
        for text in [
            // this network and unspecified
            "0.0.0.0",
            "0.1.2.3",
            "::",
            // loopback
            "127.0.0.1",
            "127.255.255.255",
            "::1",
            // private, shared, unique local
            "10.0.0.1",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "fc00::1",
            "fd00:ec2::254",
            // link-local, site-local, clouds
            "169.254.169.254",
            "fe80::1",
            "fec0::1",
            "168.63.129.16",
            "100.100.100.200",
            // multicast, broadcast, reserved
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "ff02::1",
            "ff0e::1",
            // protocols, documentation, benchmarks
            "192.0.0.1",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "198.18.0.1",
            "198.19.255.255",
            "192.88.99.1",
            "2001:db8::1",
            "3fff::1",
            "3fff:fff:ffff::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "100::1",
            "5f00::1",
            // IPv4 inside: mapped, translated, compatible, 6to4, Teredo, NAT64
            "::ffff:127.0.0.1",
            "::ffff:9.9.9.9",
            "::ffff:0:9.9.9.9",
            "::9.9.9.9",
            "::127.0.0.1",
            "2002:7f00:1::1",
            "2002:909:909::1",
            "2001::1",
            "2001:0:909:909::1",
            "64:ff9b::7f00:1",
            "64:ff9b::9.9.9.9",
            "64:ff9b:1::1",
            // not assigned
            "4000::1",
            "1::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }
}
