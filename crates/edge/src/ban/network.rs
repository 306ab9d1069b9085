//! Whom a ban concerns, as a network.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What is banned where this address misbehaves: the address itself for IPv4; for IPv6 the /64, which its user owns and
/// can move about in at will (RFC 6177).
pub(super) fn of_address(address: IpAddr) -> IpNet {
    match address.to_canonical() {
        IpAddr::V4(address) => IpNet::from(IpAddr::V4(address)),
        IpAddr::V6(address) => whole(IpNet::V6(Ipv6Net::new_assert(address, 64))),
    }
}

/// The network as bans know it: host bits gone, and IPv4 that was written as IPv6 as what it is.
#[must_use]
pub fn banned_network(network: IpNet) -> IpNet {
    match network {
        IpNet::V6(six) if six.prefix_len() >= MAPPED_BITS => match six.addr().to_ipv4_mapped() {
            Some(four) => whole(IpNet::V4(Ipv4Net::new(four, six.prefix_len() - MAPPED_BITS).unwrap_or_default())),
            None => whole(network),
        },
        _ => whole(network),
    }
}

/// Reads an address or a network. A single IPv6 address means its /64, as everywhere; `/128` may be written.
///
/// # Errors
/// With what was written, if it is neither.
pub fn parse_network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let network = match text.parse::<IpAddr>() {
        Ok(address) => Some(of_address(address)),
        Err(_) => text.parse::<IpNet>().ok(),
    };
    let network = network.ok_or_else(|| {
        format!("`{text}` is neither an address nor a network; write `192.0.2.7`, `192.0.2.0/24` or `2001:db8::/48`")
    })?;
    Ok(banned_network(network))
}

/// A slip of the finger that would lock out a good part of the world.
pub(super) fn too_wide(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() < V4_PREFIX_MIN,
        IpNet::V6(network) => network.prefix_len() < V6_PREFIX_MIN,
    }
}

/// The first and last address as numbers, IPv4 mapped into IPv6 (RFC 4291 section 2.5.5.2).
pub(super) fn span(network: &IpNet) -> (u128, u128) {
    (bits(network.network()), bits(network.broadcast()))
}

/// The address as a number, IPv4 mapped into IPv6.
pub(super) fn bits(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The number by which an address is looked up and counted: whole for IPv4, its /64 for IPv6. The lower half of the
/// latter is zero, and that of a mapped IPv4 address is not, so the two never meet.
pub(super) fn key(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() & !u128::from(u64::MAX),
    }
}

/// Whether the network is what [`key`] stands for, and not wider or narrower.
pub(super) fn is_one(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() == 32,
        IpNet::V6(network) => network.prefix_len() == 64,
    }
}

fn whole(network: IpNet) -> IpNet {
    network.trunc()
}

/// Bits in front of an IPv4 address that is written as IPv6.
const MAPPED_BITS: u8 = 96;

/// The largest blocks that one holder has.
const V4_PREFIX_MIN: u8 = 8;
const V6_PREFIX_MIN: u8 = 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(parse_network(text).unwrap().to_string(), expected);
    }

    #[test]
    fn an_address_is_a_network() {
        check("192.0.2.7", "192.0.2.7/32");
        check(" 192.0.2.7/24 ", "192.0.2.0/24");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
        check("2001:db8::1/128", "2001:db8::1/128");
        check("::ffff:192.0.2.7", "192.0.2.7/32");
        check("::ffff:192.0.2.7/120", "192.0.2.0/24");
        for wrong in ["", "192.0.2", "192.0.2.7/33", "example.com", "192.0.2.7/-1", "::/129"] {
            assert!(parse_network(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_too_wide_is_known_at_the_edge() {
        for (text, wide) in [("10.0.0.0/8", false), ("10.0.0.0/7", true), ("2001::/19", false), ("2000::/18", true)] {
            assert_eq!(too_wide(&parse_network(text).unwrap()), wide, "{text}");
        }
    }
}
