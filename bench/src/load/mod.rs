//! Load: many connections that ask one server, and how long its answers take.
//!
//! Every request is of a call of its own ([`super::clock`]), and is signed where a key is
//! given, because a platform's are, and because requests that are the same would be
//! repeats to the server. No load generator at hand does both, hence this one.
//! [`closed`] asks as fast as answers come, [`paced`] at a constant rate; [`request`] and
//! [`reply`] are HTTP as far as it is needed, [`tally`] is what comes of it.

mod closed;
mod paced;
mod reply;
mod request;
mod tally;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

pub use self::request::Sample;
use self::request::{Key, Prototype, Sender};
pub use self::tally::Outcome;
use self::tally::Tally;

/// What is asked, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub address: SocketAddr,
    /// What is sent, in turn.
    pub samples: Vec<Sample>,
    /// Of who uses the API.
    pub token: Option<String>,
    /// By which requests are signed.
    pub key: Option<String>,
    /// What every reply's body has to be; any will do unless told.
    pub expected: Option<String>,
    pub connections: usize,
    /// Before anything is counted.
    pub warm_seconds: f64,
    pub seconds: f64,
    /// Requests in a second; as many as are answered unless told.
    pub rate: Option<f64>,
    /// Stop after that many, if it comes before the time.
    pub most: Option<u64>,
}

/// An order, ready to be carried out.
struct Job {
    address: SocketAddr,
    prototypes: Vec<Prototype>,
    key: Option<Key>,
    expected: Option<Vec<u8>>,
    connections: usize,
    most: u64,
}

/// From when on answers are counted, and until when.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: Instant,
    until: Instant,
}

/// Carries an order out.
pub fn run(order: Order) -> Result<Outcome> {
    ensure!(!order.samples.is_empty(), "there is nothing to send");
    ensure!(order.connections > 0, "there is no connection to send by");
    let address = order.address;
    let sender = Sender {
        address,
        token: order.token.as_deref(),
        signs: order.key.is_some(),
    };
    let prototypes = order.samples.iter();
    let prototypes = prototypes.map(|sample| Prototype::new(sample, sender));
    let prototypes = prototypes.collect::<Result<_>>()?;
    let job = Arc::new(Job {
        address,
        prototypes,
        key: order.key.as_deref().map(Key::new).transpose()?,
        expected: order.expected.map(String::into_bytes),
        connections: order.connections,
        most: order.most.unwrap_or(u64::MAX),
    });
    let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).context("no such time");
    let (warm, long) = (seconds(order.warm_seconds)?, seconds(order.seconds)?);
    match order.rate {
        None => closed::run(&job, warm, long),
        Some(rate) => paced::run(&job, rate, warm, long),
    }
}

impl Window {
    fn holds(&self, moment: Instant) -> bool {
        (self.from..self.until).contains(&moment)
    }
}

impl Job {
    /// The n-th request of all.
    fn write(&self, n: u64, request: &mut Vec<u8>) {
        let n = usize::try_from(n).unwrap_or(0);
        self.prototypes[n % self.prototypes.len()].write(self.key.as_ref(), request);
    }

    fn is_right(&self, reply: &reply::Reply) -> bool {
        let expected = self.expected.as_ref();
        (200..300).contains(&reply.status) && expected.is_none_or(|body| *body == reply.body)
    }
}
