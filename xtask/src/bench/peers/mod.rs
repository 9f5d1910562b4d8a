//! Who does the same in another way: the least that could do it ([`bare`]), what people
//! write ([`express`]), what runs components already ([`wasmtime_serve`]).

pub(super) mod bare;
pub(super) mod express;
pub(super) mod wasmtime_serve;

use super::load::{Sample, Target};
use super::programs::Serving;
use super::subject::KEY;

/// A peer that serves.
#[derive(Debug)]
pub(super) struct Peer {
    serving: Serving,
}

impl Peer {
    /// What asks it the same that the server is asked.
    pub(super) fn target(&self, payload: &serde_json::Value, expected: &str) -> Target {
        Target {
            url: self.serving.url.clone(),
            samples: vec![Sample::post("/hooks/src_main", payload)],
            token: None,
            key: Some(KEY.to_owned()),
            expected: Some(expected.to_owned()),
        }
    }
}
