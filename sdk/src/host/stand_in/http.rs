//! The peers of unit tests: a closure of the test answers for all of them.

use std::{fmt, rc::Rc};

use ::http::{HeaderName, HeaderValue};

use super::with;
use crate::http::{Code, Error, Request, Response, Target};

type Answer = dyn Fn(&Request) -> Result<Response, Code>;

/// Answers in the place of every host there is.
#[derive(Clone)]
pub(crate) struct Peers(Rc<Answer>);

impl Peers {
    pub(crate) fn new(answer: impl Fn(&Request) -> Result<Response, Code> + 'static) -> Self {
        Self(Rc::new(answer))
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Peers")
    }
}

pub(crate) fn http_send(request: &Request, _target: &Target) -> Result<Response, Error> {
    for (name, value) in request.headers() {
        if name.parse::<HeaderName>().is_err() || HeaderValue::from_str(value).is_err() {
            return Err(Error::new(Code::InvalidHeader).detail(format!("`{name}` is none")));
        }
    }
    let peers = with(|host| {
        host.requests.push(request.clone());
        host.peers.clone()
    });
    // Called when the host is not borrowed: the test may look into it.
    let peers = peers.ok_or(Code::HttpRequestDenied)?;
    Ok((peers.0)(request)?)
}
