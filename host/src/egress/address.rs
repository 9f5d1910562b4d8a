//! Which addresses may be connected to: what is not a public host is refused,
//! unless the operator allows its network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The operator's rule for addresses.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    /// Networks that may be reached although they are not public.
    allowed: Vec<IpNet>,
}

/// An address that must not be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address is not a public one, and the operator does not allow its network")]
pub struct Prohibited;

/// Not a public host: IANA's special-purpose registries, multicast, and what was
/// reserved. `169.254.0.0/16` holds the metadata services of clouds.
const REFUSED_V4: [(Ipv4Addr, u8); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Of IPv6 only `2000::/3` is given out to hosts; within it these are not. The
/// ways to write an IPv4 address in IPv6 that a router may translate are among
/// them: 6to4 (2002), Teredo (2001:0), and outside of it NAT64 (64:ff9b).
const REFUSED_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

impl AddressPolicy {
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Whether a connection may be made to the address.
    pub fn check(&self, address: IpAddr) -> Result<(), Prohibited> {
        // A mapped address is the IPv4 address, to the kernel as well.
        let address = address.to_canonical();
        let public = match address {
            IpAddr::V4(v4) => !REFUSED_V4.iter().any(|&net| within_v4(net, v4)),
            IpAddr::V6(v6) => {
                within_v6(GLOBAL_V6, v6) && !REFUSED_V6.iter().any(|&net| within_v6(net, v6))
            }
        };
        if public || self.allowed.iter().any(|net| net.contains(&address)) {
            Ok(())
        } else {
            Err(Prohibited)
        }
    }
}

fn within_v4((net, length): (Ipv4Addr, u8), address: Ipv4Addr) -> bool {
    Ipv4Net::new_assert(net, length).contains(&address)
}

fn within_v6((net, length): (Ipv6Addr, u8), address: Ipv6Addr) -> bool {
    Ipv6Net::new_assert(net, length).contains(&address)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(policy: &AddressPolicy, address: &str) -> bool {
        policy.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn public_addresses_pass() {
        let policy = AddressPolicy::default();
        for address in [
            "8.8.8.8",
            "1.1.1.1",
            "100.63.255.255",
            "172.32.0.1",
            "169.253.0.1",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(check(&policy, address), "{address} was refused");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let policy = AddressPolicy::default();
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::7f00:1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ] {
            assert!(!check(&policy, address), "{address} passed");
        }
    }

    #[test]
    fn an_operator_allows_a_network_in_every_way_it_is_written() {
        let policy = AddressPolicy::new(vec!["10.0.0.0/8".parse().unwrap()]);
        assert!(check(&policy, "10.1.2.3"));
        assert!(check(&policy, "::ffff:10.1.2.3"));
        assert!(!check(&policy, "11.0.0.1") || check(&AddressPolicy::default(), "11.0.0.1"));
        assert!(!check(&policy, "127.0.0.1"));
        assert!(!check(&policy, "64:ff9b::a01:203"));
    }

    proptest! {
        #[test]
        fn a_mapped_address_stands_as_its_ipv4_address(bits in any::<u32>()) {
            let (v4, policy) = (Ipv4Addr::from(bits), AddressPolicy::default());
            prop_assert_eq!(
                policy.check(v4.into()),
                policy.check(v4.to_ipv6_mapped().into())
            );
        }
    }
}
