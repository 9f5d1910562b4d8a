//! The only way out: every request that leaves this process, a plugin's or a
//! delivery's, is sent by [`Egress`].
//!
//! It resolves the host itself, refuses addresses that are not public
//! ([`address`]) and connects to what it has vetted and to nothing else, so that a
//! name which answers differently the second time gains nothing. Certificates are
//! verified; proxies of the environment, cookies and redirects are not followed:
//! whoever sends decides about a redirect, because it needs its own permission. Where
//! the operator names a proxy, everything goes through it.
//!
//! Only this module knows the HTTP client. It knows nothing of plugins.

pub mod address;
mod failure;
mod names;

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, Method, Uri};
use ipnet::IpNet;
pub use reqwest::Body as ResponseBody;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, Url, redirect};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use self::address::{AddressPolicy, Prohibited};
pub use self::failure::SendError;
use self::names::Names;
use crate::domain::grant::http::{Destination, Host, Scheme};

/// What an operator sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressOptions {
    /// Networks that may be reached although they are not public.
    pub allow: Vec<IpNet>,
    /// A PEM file of certificate authorities that are trusted beside the system's.
    pub extra_roots: Option<PathBuf>,
    /// Name servers that are asked instead of the system.
    pub resolver: Vec<SocketAddr>,
    /// Through which everything goes out.
    pub proxy: Option<ProxyUrl>,
}

/// An HTTP proxy. Its user name and password, if it has them, are not shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ProxyUrl(Url);

/// A text that is no proxy's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the address of an HTTP proxy, such as http://proxy.internal:3128")]
pub struct InvalidProxy;

impl TryFrom<String> for ProxyUrl {
    type Error = InvalidProxy;
    fn try_from(text: String) -> Result<Self, InvalidProxy> {
        let url = Url::parse(&text).map_err(|_| InvalidProxy)?;
        if matches!(url.scheme(), "http" | "https") && has_plain_host(&url) {
            Ok(Self(url))
        } else {
            Err(InvalidProxy)
        }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

/// The client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    #[error("the certificates of {} cannot be read", path.display())]
    Roots {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} holds no certificate in PEM form", path.display())]
    NoRoots { path: PathBuf },
    #[error("the HTTP client cannot start")]
    Client(#[source] reqwest::Error),
    #[error("the name servers cannot be used")]
    Resolver(#[source] Box<dyn Error + Send + Sync>),
}

/// Longest wait for an address, a connection and its TLS handshake together.
const CONNECT: Duration = Duration::from_secs(5);
/// Kept open for the next request to the same host.
const IDLE: Duration = Duration::from_secs(30);
const IDLE_PER_HOST: usize = 16;
const USER_AGENT: &str = concat!("hookswitch/", env!("CARGO_PKG_VERSION"));

/// A client, the same wherever it is: the process has one for plugins and one for
/// endpoints, whose connections live apart.
#[derive(Debug, Clone)]
pub struct Egress {
    client: Client,
    policy: Arc<AddressPolicy>,
    /// Where connections live, wherever they are asked for: they are shared, and what
    /// one asks for must not be slow for the next because of where it was asked.
    home: Handle,
}

/// Where a request goes, read once and the same for every check after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
}

/// An address that no request can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an http: or https: URL with a host and without a user name")]
pub struct InvalidTarget;

impl Target {
    /// Longest URL, in bytes.
    pub const MAX_LEN: usize = 8 << 10;

    pub fn parse(uri: &Uri) -> Result<Self, InvalidTarget> {
        Self::read(&uri.to_string(), None)
    }

    /// What a `Location` header means here.
    pub fn join(&self, location: &str) -> Result<Self, InvalidTarget> {
        Self::read(location, Some(&self.url))
    }

    fn read(text: &str, base: Option<&Url>) -> Result<Self, InvalidTarget> {
        if text.len() > Self::MAX_LEN {
            return Err(InvalidTarget);
        }
        let parsed = Url::options().base_url(base).parse(text);
        let mut url = parsed.map_err(|_| InvalidTarget)?;
        let anonymous = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !has_plain_host(&url) || !anonymous {
            return Err(InvalidTarget);
        }
        url.set_fragment(None);
        Ok(Self { url })
    }

    pub fn destination(&self) -> Destination<'_> {
        let scheme = match self.url.scheme() {
            "https" => Scheme::Https,
            _ => Scheme::Http,
        };
        let host = match self.url.host() {
            Some(url::Host::Domain(name)) => Host::Name(name),
            Some(url::Host::Ipv4(address)) => Host::Address(address.into()),
            Some(url::Host::Ipv6(address)) => Host::Address(address.into()),
            // Refused in `read`; a name that is nowhere is not granted either.
            None => Host::Name(""),
        };
        let port = self.url.port().unwrap_or(scheme.default_port());
        Destination { scheme, host, port }
    }

    /// Scheme, host and port, for people.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Whether a header's secret may go on with a redirect to there.
    pub fn same_origin(&self, other: &Self) -> bool {
        self.destination() == other.destination()
    }
}

/// URLs may have quotes and braces in a host's name, and labels without a character.
/// Names of hosts do not, and nobody further on has to read such a one.
fn has_plain_host(url: &Url) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let label = |label: &str| !label.is_empty() && label.bytes().all(plain);
    match url.host() {
        // The dot at the end is the root's.
        Some(url::Host::Domain(name)) => {
            name.strip_suffix('.').unwrap_or(name).split('.').all(label)
        }
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => true,
        None => false,
    }
}

/// One request.
pub struct Outgoing {
    pub method: Method,
    pub target: Target,
    pub headers: HeaderMap,
    /// None sends no body at all, which is not an empty one.
    pub body: Option<RequestBody>,
}

/// A request's body.
pub enum RequestBody {
    /// Sent with its length.
    Whole(Bytes),
    /// Sent in chunks. An error in it breaks the request off.
    Stream(BodyStream),
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Stream(_) => "Stream",
        })
    }
}

pub type BodyStream =
    Pin<Box<dyn Stream<Item = Result<Bytes, Box<dyn Error + Send + Sync>>> + Send>>;

impl Egress {
    /// Its connections live in that tokio runtime.
    pub fn new(options: &EgressOptions, home: Handle) -> Result<Self, EgressError> {
        // Of several providers that may be compiled in, this one; an error only says
        // that it was chosen before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let policy = Arc::new(AddressPolicy::new(options.allow.clone()));
        let roots = match &options.extra_roots {
            Some(path) => read_roots(path)?,
            None => Vec::new(),
        };
        let names = Names::of(&options.resolver);
        let names = names.map_err(|error| EgressError::Resolver(error.into()))?;
        let proxy = options.proxy.as_ref();
        let client = Client::builder()
            .dns_resolver(Vetting {
                names,
                policy: Arc::clone(&policy),
                proxy: proxy.and_then(|proxy| proxy.0.domain().map(str::to_owned)),
            })
            .redirect(redirect::Policy::none())
            // Not those that the environment names.
            .no_proxy()
            .referer(false)
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .tls_version_min(reqwest::tls::Version::TLS_1_2)
            .tls_certs_merge(roots);
        let client = match proxy {
            None => client,
            Some(proxy) => {
                let proxy = reqwest::Proxy::all(proxy.0.clone()).map_err(EgressError::Client)?;
                client.proxy(proxy)
            }
        };
        let client = client.build().map_err(EgressError::Client)?;
        Ok(Self {
            client,
            policy,
            home,
        })
    }

    /// Sends one request and waits for the head of its response. The caller limits
    /// the time; dropping the future ends the request.
    pub async fn send(
        &self,
        outgoing: Outgoing,
    ) -> Result<http::Response<ResponseBody>, SendError> {
        // A client does not resolve what is an address already.
        if let Host::Address(address) = outgoing.target.destination().host {
            self.policy.check(address)?;
        }
        let mut request = reqwest::Request::new(outgoing.method, outgoing.target.url);
        *request.headers_mut() = outgoing.headers;
        *request.body_mut() = outgoing.body.map(|body| match body {
            RequestBody::Whole(bytes) => bytes.into(),
            RequestBody::Stream(stream) => reqwest::Body::wrap_stream(stream),
        });
        let execute = self.home.spawn(self.client.execute(request));
        match AbortOnDropHandle::new(execute).await {
            Ok(Ok(response)) => Ok(response.into()),
            Ok(Err(error)) => {
                let error = SendError::from_client(error);
                if matches!(error, SendError::ResolveTimeout(_)) {
                    // Not whose name: a plugin may have put anything in it.
                    tracing::warn!("no name server answered in time");
                }
                Err(error)
            }
            Err(ended) => Err(SendError::Ended(ended)),
        }
    }
}

fn read_roots(path: &Path) -> Result<Vec<Certificate>, EgressError> {
    let pem = std::fs::read(path).map_err(|source| EgressError::Roots {
        path: path.to_owned(),
        source,
    })?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        _ => Err(EgressError::NoRoots {
            path: path.to_owned(),
        }),
    }
}

/// Resolves, and passes on only what may be connected to. The client connects to these
/// addresses and asks nobody again.
struct Vetting {
    names: Names,
    policy: Arc<AddressPolicy>,
    /// The operator's proxy: its name alone may resolve to any address. Behind it, it is
    /// the proxy that resolves, and that has to refuse what is not public.
    proxy: Option<String>,
}

impl Resolve for Vetting {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, policy) = (self.names.clone(), Arc::clone(&self.policy));
        let is_proxy = self.proxy.as_deref() == Some(name.as_str());
        Box::pin(async move {
            let found = names.addresses(name.as_str()).await?;
            if is_proxy {
                return Ok(Box::new(found.into_iter()) as Addrs);
            }
            let vetted: Vec<SocketAddr> = found
                .iter()
                .copied()
                .filter(|address| policy.check(address.ip()).is_ok())
                .collect();
            if vetted.is_empty() && !found.is_empty() {
                return Err(Prohibited.into());
            }
            Ok(Box::new(vetted.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Result<Target, InvalidTarget> {
        Target::parse(&text.parse().unwrap())
    }

    #[test]
    fn every_way_to_write_an_address_is_read_as_the_address() {
        for text in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
        ] {
            let target = target(text).unwrap();
            let local = Host::Address([127, 0, 0, 1].into());
            assert_eq!(target.destination().host, local, "{text}");
        }
    }

    #[test]
    fn names_are_read_in_one_form() {
        let target = target("https://CRM.Example.COM:443/x?y").unwrap();
        let destination = target.destination();
        assert_eq!(destination.host, Host::Name("crm.example.com"));
        assert_eq!((destination.scheme, destination.port), (Scheme::Https, 443));
    }

    #[test]
    fn what_is_no_web_address_is_refused() {
        for text in [
            "/path",
            "ftp://example.com/",
            "http://user:key@example.com/",
        ] {
            assert!(target(text).is_err(), "{text}");
        }
        let here = target("https://example.com/a/b").unwrap();
        assert!(here.join("file:///etc/passwd").is_err());
        assert!(here.join("//u@evil.example/").is_err());
        assert!(here.join("//a\"}.example.com/").is_err());
        assert!(here.join("//0x7f.0.0.../").is_err());
        assert!(here.join("//example.com./").is_ok());
        let there = here.join("../c").unwrap();
        assert!(here.same_origin(&there));
        assert!(!here.same_origin(&here.join("http://example.com/").unwrap()));
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_a_private_address_is_refused() {
        let egress = Egress::new(&EgressOptions::default(), Handle::current()).unwrap();
        for url in [
            "http://localhost:9/",
            "http://[::1]:9/",
            "http://127.0.0.1:9/",
        ] {
            let outgoing = Outgoing {
                method: Method::GET,
                target: target(url).unwrap(),
                headers: HeaderMap::new(),
                body: None,
            };
            let refused = egress.send(outgoing).await.unwrap_err();
            assert!(matches!(refused, SendError::Prohibited(_)), "{refused:?}");
        }
    }
}
