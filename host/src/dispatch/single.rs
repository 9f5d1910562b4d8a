//! A request that belongs to no endpoint: nothing is added to it, and no gate holds it
//! back. Somebody tries out an address with it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::time::{Instant, timeout_at};

use super::{Dispatcher, Reply, innermost};
use crate::egress::{InvalidTarget, Outgoing, RequestBody, SendError, Target};

/// What is sent, and how long a reply may take to its end.
#[derive(Debug)]
pub struct Single {
    pub method: Method,
    pub url: url::Url,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
    pub timeout: Duration,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum NoReply {
    #[error(transparent)]
    Target(#[from] InvalidTarget),
    #[error("no reply came within {} s", .0.as_secs())]
    Timeout(Duration),
    #[error(transparent)]
    Unsent(#[from] SendError),
}

impl NoReply {
    /// In words for whoever knows where the request went.
    pub fn explain(&self) -> String {
        let (what, why) = (self.to_string(), innermost(self));
        if what == why {
            what
        } else {
            format!("{what}: {why}")
        }
    }
}

impl Dispatcher {
    /// Sends it, and keeps up to `keep` bytes of the reply's body.
    pub async fn single(&self, single: Single, keep: usize) -> Result<Reply, NoReply> {
        let deadline = Instant::now() + single.timeout;
        let uri = single.url.as_str().parse().map_err(|_| InvalidTarget)?;
        let outgoing = Outgoing {
            method: single.method,
            target: Target::parse(&uri)?,
            headers: single.headers,
            body: single.body.map(RequestBody::Whole),
        };
        let sent = timeout_at(deadline, self.egress.send(outgoing)).await;
        let response = sent.map_err(|_elapsed| NoReply::Timeout(single.timeout))??;
        Ok(Reply::read(response, deadline, keep).await)
    }
}
