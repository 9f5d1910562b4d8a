//! Why a request got no response: the client's errors, told apart.

use std::error::Error;
use std::io;

use super::address::Prohibited;
use super::names::Unresolved;

/// A request that got no response.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error(transparent)]
    Prohibited(#[from] Prohibited),
    #[error("the host's name does not resolve")]
    Unresolved(#[source] reqwest::Error),
    #[error("no name server answered in time")]
    ResolveTimeout(#[source] reqwest::Error),
    #[error("the connection was refused")]
    Refused(#[source] reqwest::Error),
    #[error("no connection came about in time")]
    ConnectTimeout(#[source] reqwest::Error),
    #[error("the server's certificate is not valid")]
    Certificate(#[source] reqwest::Error),
    #[error("no secure connection came about")]
    Tls(#[source] reqwest::Error),
    #[error("no connection came about")]
    Connect(#[source] reqwest::Error),
    #[error("the connection broke, or what came over it was not HTTP")]
    Broken(#[source] reqwest::Error),
    #[error("the server is stopping, or the client has panicked")]
    Ended(#[source] tokio::task::JoinError),
}

impl SendError {
    pub(super) fn from_client(error: reqwest::Error) -> Self {
        if let Some(prohibited) = cause::<Prohibited>(&error) {
            return Self::Prohibited(*prohibited);
        }
        if let Some(unresolved) = cause::<Unresolved>(&error) {
            if unresolved.is_silence() {
                return Self::ResolveTimeout(error);
            }
            return Self::Unresolved(error);
        }
        if let Some(tls) = cause::<rustls::Error>(&error) {
            return match tls {
                rustls::Error::InvalidCertificate(_) => Self::Certificate(error),
                _ => Self::Tls(error),
            };
        }
        let refused = cause::<io::Error>(&error)
            .is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused);
        if refused {
            Self::Refused(error)
        } else if error.is_timeout() {
            Self::ConnectTimeout(error)
        } else if error.is_connect() {
            Self::Connect(error)
        } else {
            Self::Broken(error)
        }
    }
}

/// The first cause of that type. An `io::Error` leaves what it wraps out of its
/// sources, so it is looked into.
fn cause<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}
