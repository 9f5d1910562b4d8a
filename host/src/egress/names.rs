//! What addresses a name has: asked of the system, or of the name servers that the
//! operator sets.
//!
//! Every connection asks anew, nothing is kept here: a name server in between that
//! keeps answers is the operator's choice. What is found is vetted by
//! [`super::Vetting`] before anybody connects to it.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;

/// How long one name server may take, and how often all are asked once more. With
/// these, nobody's silence lasts as long as a connection may take, so the guest
/// learns that it was the name.
const ANSWER: Duration = Duration::from_secs(2);
const RETRIES: usize = 1;

/// Who is asked.
#[derive(Clone)]
pub(super) enum Names {
    /// As every program of this machine: `/etc/hosts`, `/etc/resolv.conf`.
    System,
    /// These servers and nothing else.
    Servers(Box<TokioResolver>),
}

/// No address was found.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unresolved {
    #[error("the system does not resolve the name")]
    System(#[source] std::io::Error),
    #[error("the name servers do not resolve the name")]
    Servers(#[source] NetError),
}

impl Unresolved {
    /// Whether nobody answered, which says nothing about the name.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Servers(NetError::Timeout))
    }
}

impl Names {
    /// Asks the servers, or the system if there are none.
    pub(super) fn of(servers: &[SocketAddr]) -> Result<Self, NetError> {
        if servers.is_empty() {
            return Ok(Self::System);
        }
        let servers = servers.iter().map(server).collect();
        // No domain and no search list: a name means what it says.
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        let options = builder.options_mut();
        options.timeout = ANSWER;
        options.attempts = RETRIES;
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(Self::Servers(Box::new(builder.build()?)))
    }

    /// The addresses of a name, with port 0.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, Unresolved> {
        match self {
            Self::System => {
                let found = tokio::net::lookup_host((name, 0)).await;
                Ok(found.map_err(Unresolved::System)?.collect())
            }
            Self::Servers(resolver) => {
                let found = resolver.lookup_ip(name).await;
                let found = found.map_err(Unresolved::Servers)?;
                Ok(found.iter().map(|ip| SocketAddr::new(ip, 0)).collect())
            }
        }
    }
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let at_port = connections.map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, at_port.into())
}
