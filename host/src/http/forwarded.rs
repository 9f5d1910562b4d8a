//! Who a request comes from, when it comes through proxies.
//!
//! Each proxy adds to `X-Forwarded-For` whom it was connected to. Anybody can send that
//! header, so it is read from its end, and only for as long as the one who wrote it is a
//! proxy that the operator trusts. Sources that want to know where requests come from
//! ([`crate::domain::proof::AddressRanges`]) rely on it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderMap;
use ipnet::IpNet;

const HEADER: &str = "x-forwarded-for";

/// The proxies whose word counts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks.into())
    }

    /// The address that is furthest away and still vouched for.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return client;
        }
        let lines: Vec<_> = headers.get_all(HEADER).iter().collect();
        let hops = lines.iter().rev().flat_map(|line| {
            let line = line.to_str().unwrap_or_default();
            line.rsplit(',').map(address)
        });
        for hop in hops {
            // What a trusted proxy did not write as an address tells nothing, and neither
            // does anything before it.
            let Some(hop) = hop else { break };
            client = hop;
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// An address as proxies write it: perhaps with a port, perhaps in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let parsed = bare.unwrap_or(text).parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|it| it.ip());
    parsed.or_else(with_port).map(|it| it.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(trusted: &[&str], peer: &str, lines: &[&str]) -> String {
        let networks = trusted.iter().map(|it| it.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(HEADER, HeaderValue::from_str(line).unwrap());
        }
        let client = TrustedProxies::new(networks).client(peer.parse().unwrap(), &headers);
        client.to_string()
    }

    #[test]
    fn nobody_is_believed_unless_trusted() {
        let forged = &["52.6.0.1"];
        assert_eq!(client(&[], "203.0.113.9", forged), "203.0.113.9");
        assert_eq!(
            client(&["10.0.0.0/8"], "203.0.113.9", forged),
            "203.0.113.9"
        );
    }

    #[test]
    fn the_first_that_no_trusted_proxy_is_is_the_client() {
        let trusted = &["10.0.0.0/8", "2001:db8::/32"];
        for (peer, lines, wanted) in [
            ("10.0.0.1", &[][..], "10.0.0.1"),
            ("10.0.0.1", &["52.6.0.1"], "52.6.0.1"),
            ("10.0.0.1", &["52.6.0.1, 203.0.113.9"], "203.0.113.9"),
            (
                "10.0.0.1",
                &["52.6.0.1, 203.0.113.9, 10.0.0.2"],
                "203.0.113.9",
            ),
            (
                "10.0.0.1",
                &["52.6.0.1", "203.0.113.9,10.0.0.2"],
                "203.0.113.9",
            ),
            ("::ffff:10.0.0.1", &["52.6.0.1:4321"], "52.6.0.1"),
            ("2001:db8::1", &["[2a00::1]:443"], "2a00::1"),
            ("2001:db8::1", &["[2a00::1]"], "2a00::1"),
            ("10.0.0.1", &["::ffff:52.6.0.1"], "52.6.0.1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ] {
            assert_eq!(client(trusted, peer, lines), wanted, "{peer} {lines:?}");
        }
    }

    #[test]
    fn what_is_no_address_ends_the_search() {
        for line in [
            "52.6.0.1, unknown",
            "52.6.0.1, ",
            "52.6.0.1, \u{fc}",
            "52.6.0.1;10.0.0.2",
        ] {
            assert_eq!(
                client(&["10.0.0.0/8"], "10.0.0.1", &[line]),
                "10.0.0.1",
                "{line}"
            );
        }
    }
}
