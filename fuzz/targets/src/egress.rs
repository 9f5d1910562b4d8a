//! Outbound requests: where one goes, whether a grant covers it, and whether its
//! address may be connected to. Four lines: a URL, a `Location`, a grant as JSON, an
//! allowed network.
//!
//! What is guarded here is that all three see the same place: a name that somebody
//! further on reads as an address, or an address that hides another, passes no check.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hookswitch::domain::grant::http::{Destination, Host, HostPattern, HttpGrant, Scheme};
use hookswitch::egress::Target;
use hookswitch::egress::address::AddressPolicy;
use http::{Method, Uri};
use ipnet::IpNet;

/// Checks the lines, as far as each can be read, and the bytes as addresses.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (url, location, grant, network) = (line(), line(), line(), line());

    let grant = serde_json::from_str::<HttpGrant>(grant).ok();
    grant.iter().for_each(reads_back);
    let target = url
        .parse::<Uri>()
        .ok()
        .and_then(|uri| Target::parse(&uri).ok());
    let next = target
        .as_ref()
        .and_then(|target| target.join(location).ok());
    for target in target.iter().chain(&next) {
        one_place(target);
        if let Some(grant) = &grant {
            covered(grant, &target.destination());
        }
    }
    if let (Some(target), Some(next)) = (&target, &next) {
        assert!(target.same_origin(target));
        assert_eq!(target.same_origin(next), target.origin() == next.origin());
    }
    let network = network.trim().parse::<IpNet>().ok();
    for address in addresses(data, [target, next].iter().flatten()) {
        vetted(address, network);
    }
}

/// A destination is canonical: read again, it is the same; a name is no address.
fn one_place(target: &Target) {
    let destination = target.destination();
    let origin = target.origin();
    let again: Uri = origin
        .parse()
        .unwrap_or_else(|error| panic!("{origin}: {error}"));
    let again = Target::parse(&again).unwrap_or_else(|error| panic!("{origin}: {error}"));
    assert_eq!(again.destination(), destination);
    match destination.host {
        Host::Address(address) => {
            let pattern = HostPattern::try_from(address.to_string());
            assert_eq!(pattern, Ok(HostPattern::Address(address)));
        }
        Host::Name(name) => {
            assert!(!name.is_empty(), "{name:?}");
            let plain = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.');
            assert!(name.chars().all(plain), "{name:?}");
            let bare = name.trim_end_matches('.');
            assert!(bare.parse::<IpAddr>().is_err(), "{name:?} is an address");
            let last = bare.rsplit('.').next().unwrap_or_default();
            assert!(
                last.is_empty() || !last.bytes().all(|b| b.is_ascii_digit()),
                "{name:?} ends like an address"
            );
        }
    }
}

/// A grant covers a request exactly when scheme, port, method and host are its own.
fn covered(grant: &HttpGrant, to: &Destination<'_>) {
    let port = grant.port.unwrap_or(match grant.scheme {
        Scheme::Https => 443,
        Scheme::Http => 80,
    });
    let pattern = grant.host.to_string();
    let host = match to.host {
        Host::Name(name) => match pattern.strip_prefix('*') {
            Some(domain) => name.len() > domain.len() && name.ends_with(domain),
            None => name == pattern,
        },
        Host::Address(address) => address.to_string() == pattern,
    };
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let methods: Option<Vec<String>> = grant
            .methods
            .as_ref()
            .map(|methods| methods.iter().cloned().map(String::from).collect());
        let method_granted = methods.is_none_or(|m| m.iter().any(|m| m == method.as_str()));
        assert_eq!(
            grant.covers(to, &method),
            host && method_granted && grant.scheme == to.scheme && port == to.port,
            "{grant:?} and {to:?}"
        );
    }
}

/// What the API shows of a grant is the grant.
fn reads_back(grant: &HttpGrant) {
    let shown = serde_json::to_string(grant).expect("a grant is JSON");
    let again = serde_json::from_str::<HttpGrant>(&shown);
    let again = again.unwrap_or_else(|error| panic!("{shown}: {error}"));
    assert_eq!(&again, grant);
    assert_ne!(grant.host.to_string(), "*");
}

/// The addresses of the targets, and the bytes themselves as some.
fn addresses<'a>(data: &[u8], targets: impl Iterator<Item = &'a Target>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = targets
        .filter_map(|target| match target.destination().host {
            Host::Address(address) => Some(address),
            Host::Name(_) => None,
        })
        .collect();
    if let Some(bytes) = data.first_chunk::<16>() {
        addresses.push(Ipv6Addr::from(*bytes).into());
    }
    if let Some(bytes) = data.first_chunk::<4>() {
        let v4 = Ipv4Addr::from(*bytes);
        let [a, b, c, d] = v4.octets();
        let [high, low] = [[a, b], [c, d]].map(u16::from_be_bytes);
        let forms: [IpAddr; 5] = [
            v4.into(),
            v4.to_ipv6_mapped().into(),
            v4.to_ipv6_compatible().into(),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low).into(),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1).into(),
        ];
        addresses.extend(forms);
    }
    addresses
}

/// What passes is public in every way it can be read, or of the allowed network.
fn vetted(address: IpAddr, allowed: Option<IpNet>) {
    let passes = AddressPolicy::default().check(address).is_ok();
    assert!(!passes || public(address), "{address} passes");
    let IpAddr::V4(v4) = address else {
        return allowed_passes(address, passes, allowed);
    };
    let mapped = AddressPolicy::default().check(v4.to_ipv6_mapped().into());
    assert_eq!(mapped.is_ok(), passes, "{v4} in both forms");
    allowed_passes(address, passes, allowed);
}

fn allowed_passes(address: IpAddr, passes: bool, allowed: Option<IpNet>) {
    let policy = AddressPolicy::new(allowed.into_iter().collect());
    let address = address.to_canonical();
    let within = allowed.is_some_and(|net| within(net, address));
    assert_eq!(
        policy.check(address).is_ok(),
        passes || within,
        "{address} where {allowed:?} is allowed"
    );
}

/// Whether the address has the network's first bits.
fn within(net: IpNet, address: IpAddr) -> bool {
    let differs = match (net.addr(), address) {
        (IpAddr::V4(net), IpAddr::V4(address)) => {
            u128::from(u32::from(net) ^ u32::from(address)) << 96
        }
        (IpAddr::V6(net), IpAddr::V6(address)) => u128::from(net) ^ u128::from(address),
        _ => return false,
    };
    differs.leading_zeros() >= u32::from(net.prefix_len())
}

/// Public as the standard library and the translating prefixes say: what passes must
/// at least be this.
fn public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_unspecified())
        }
        IpAddr::V6(v6) => match v6.segments() {
            [0, 0, 0, 0, 0, 0xffff, ..] => v6.to_ipv4_mapped().is_some_and(|v4| public(v4.into())),
            // Compatible, NAT64, 6to4, Teredo: an IPv4 address that somebody translates.
            [0, 0, 0, 0, 0, 0, ..] | [0x64, 0xff9b, ..] | [0x2002, ..] | [0x2001, 0, ..] => false,
            _ => {
                !(v6.is_loopback()
                    || v6.is_multicast()
                    || v6.is_unique_local()
                    || v6.is_unicast_link_local()
                    || v6.is_unspecified())
            }
        },
    }
}
