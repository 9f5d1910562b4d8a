//! Orders for the program `load` (bench/src/load), and what it says.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::programs::Programs;
use super::stage::Rounds;

/// Where the time goes in a payload (bench/src/clock.rs).
pub(super) const MARK: &str = "0000000000000000";

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    method: &'static str,
    path: String,
    body: String,
}

impl Sample {
    pub(super) fn post(path: &str, body: &Value) -> Self {
        Self {
            method: "POST",
            path: path.to_owned(),
            body: body.to_string(),
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn get(path: &str) -> Self {
        Self {
            method: "GET",
            path: path.to_owned(),
            body: String::new(),
        }
    }
}

/// What a server is asked, and what it has to answer.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) url: String,
    /// In turn.
    pub(super) samples: Vec<Sample>,
    /// Of who uses the API.
    pub(super) token: Option<String>,
    /// Signs the bodies.
    pub(super) key: Option<String>,
    /// The body of every answer, where it is known.
    pub(super) expected: Option<String>,
}

/// How it is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) connections: usize,
    /// Requests in a second; as many as are answered unless told.
    pub(super) rate: Option<f64>,
    /// Stop after that many.
    pub(super) most: Option<u64>,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came {
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

impl Load {
    /// As fast as answers come.
    pub(super) fn full(connections: usize) -> Self {
        Self {
            connections,
            rate: None,
            most: None,
        }
    }
}

impl Target {
    /// Asks for a round. Every answer has to be the right one.
    pub(super) fn ask(&self, programs: &Programs, load: Load, rounds: Rounds) -> Result<Came> {
        let samples = self.samples.iter();
        let samples: Vec<Value> = samples
            .map(|it| json!({"method": it.method, "path": it.path, "body": it.body}))
            .collect();
        let order = json!({
            "address": self.url.trim_start_matches("http://"),
            "samples": samples,
            "token": self.token,
            "key": self.key,
            "expected": self.expected,
            "connections": load.connections,
            "rate": load.rate,
            "most": load.most,
            "warm_seconds": rounds.warm.as_secs_f64(),
            "seconds": rounds.long.as_secs_f64(),
        });
        let came = programs.ask("load", &order)?;
        ensure!(
            came["wrong"] == 0,
            "{} answers of {} are wrong, such as {}",
            came["wrong"],
            self.url,
            came["example"]
        );
        let figure = |name: &str| came[name].as_f64().context("the load says no figures");
        ensure!(figure("answers")? > 0.0, "{} did not answer", self.url);
        Ok(Came {
            per_second: figure("per_second")?,
            p50_ms: figure("p50_ms")?,
            p99_ms: figure("p99_ms")?,
        })
    }
}
