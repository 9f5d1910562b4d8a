//! Deliveries to a sink on this machine: signed, logged, tried until taken.
//!
//! Per second: notices are accepted while their endpoints may have next to nothing, so
//! that a backlog grows; then the brake is released, and the time counts in which the
//! sink gets it. Latency: one notice after the other to a server that has nothing else to
//! do; its payload says when it was sent (bench/src/clock.rs).

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::notices::disk_sync;
use crate::bench::load::{Load, Sample, Target};
use crate::bench::programs::Serving;
use crate::bench::report::Report;
use crate::bench::rounds::Samples;
use crate::bench::stage::{Rounds, Stage, payload};
use crate::bench::subject::Subject;

pub(super) const FIGURES: &[&str] = &[
    "deliver_eps",
    "deliver_one_eps",
    "delivery_latency_ms_p50",
    "delivery_latency_beyond_sync_ms",
];

/// A sink on this machine is neither public nor reached by TLS.
const SETTINGS: &str = "[egress]\nallow = [\"127.0.0.0/8\"]\nplain_endpoints = true\n";

const ENDPOINTS: usize = 8;

/// For the next delivery of a backlog.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<()> {
    let backlog = stage.pick(5_000, 60_000);
    let (mut many, mut one) = (Samples::default(), Samples::default());
    for _ in 0..stage.rounds.count {
        many.push(Field::prepare(stage, ENDPOINTS)?.drain(stage, backlog)?);
        one.push(Field::prepare(stage, 1)?.drain(stage, backlog)?);
    }
    report.add("deliver_eps", many);
    report.add("deliver_one_eps", one);

    let field = Field::prepare(stage, 1)?;
    let latency: Samples = (0..stage.rounds.count)
        .map(|_| field.latency(stage, stage.rounds))
        .collect::<Result<_>>()?;
    let sync = disk_sync()?;
    let beyond = latency.map(|it| it - sync.median());
    report.add("delivery_latency_ms_p50", latency);
    report.add("delivery_latency_beyond_sync_ms", beyond);
    Ok(())
}

/// A server, a sink, and endpoints that lead from the one to the other: each for an agent
/// of its own, with default settings.
pub(in crate::bench) struct Field {
    pub(in crate::bench) subject: Subject,
    pub(in crate::bench) sink: Sink,
    endpoints: Vec<String>,
    target: Target,
}

impl Field {
    pub(in crate::bench) fn prepare(stage: &Stage, endpoints: usize) -> Result<Self> {
        let subject = Subject::start(stage, SETTINGS)?;
        let sink = Sink::start(stage)?;
        let source = subject.source("main-line", true)?;
        let mut target = subject.target(&source, &Value::Null, None);
        target.samples.clear();
        let mut ids = Vec::new();
        for number in 0..endpoints {
            let agent = format!("agent_{number}");
            let endpoint = json!({
                "name": format!("sink-{number}"), "url": sink.url(), "rate_per_second": null,
                "filter": {"agents": [agent]},
            });
            ids.push(subject.api.create("/endpoints", &endpoint, "id")?);
            let mut notice = payload("completed")?;
            notice["agentId"] = json!(agent);
            target.samples.push(Sample::post(&source.path, &notice));
        }
        Ok(Self {
            subject,
            sink,
            endpoints: ids,
            target,
        })
    }

    /// Lets a backlog grow, and gives how many of it are delivered in a second.
    fn drain(&self, stage: &Stage, backlog: u64) -> Result<f64> {
        self.pace(&json!(1))?;
        let load = Load {
            most: Some(backlog),
            ..Load::full(64)
        };
        self.target.ask(&stage.programs, load, Rounds::once())?;
        rustix::fs::sync();
        let early = self.sink.taken()?;
        self.sink.reset()?;
        self.pace(&Value::Null)?;
        let report = self.until_taken(backlog.saturating_sub(early))?;
        ensure!(report.seconds > 0.0, "there was nothing to deliver");
        Ok(report.taken as f64 / report.seconds)
    }

    /// Sends so many notices as fast as they are taken, and waits for their deliveries.
    pub(in crate::bench) fn deliver(&self, stage: &Stage, count: u64) -> Result<u64> {
        self.sink.reset()?;
        let load = Load {
            most: Some(count),
            ..Load::full(64)
        };
        self.target.ask(&stage.programs, load, Rounds::once())?;
        Ok(self.until_taken(count)?.taken)
    }

    /// How long a notice is on its way to the sink when there is nothing else to do: the
    /// median, in milliseconds.
    pub(in crate::bench) fn latency(&self, stage: &Stage, rounds: Rounds) -> Result<f64> {
        let load = Load {
            rate: Some(20.0),
            ..Load::full(1)
        };
        rustix::fs::sync();
        self.sink.reset()?;
        self.target.ask(&stage.programs, load, rounds)?;
        // The last one is on its way.
        std::thread::sleep(Duration::from_millis(200));
        Ok(self.sink.report()?.p50_ms)
    }

    /// Waits until so many have arrived; gives up when none does for long.
    fn until_taken(&self, count: u64) -> Result<Arrived> {
        let (mut taken, mut since) = (0, Instant::now());
        loop {
            let now = self.sink.taken()?;
            if now >= count {
                return self.sink.report();
            }
            if now > taken {
                (taken, since) = (now, Instant::now());
            }
            ensure!(
                since.elapsed() < PATIENCE,
                "of {count} deliveries {taken} arrived"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many attempts in a second each endpoint may have.
    fn pace(&self, rate: &Value) -> Result<()> {
        for id in &self.endpoints {
            let path = format!("/endpoints/{id}");
            let change = json!({"rate_per_second": rate});
            self.subject.api.patch(&path, &change)?.success()?;
        }
        Ok(())
    }
}

/// The program `sink` (bench/src/bin/sink.rs).
pub(in crate::bench) struct Sink {
    serving: Serving,
    agent: ureq::Agent,
}

/// What has arrived there.
struct Arrived {
    taken: u64,
    /// From the first to the last.
    seconds: f64,
    p50_ms: f64,
}

impl Sink {
    fn start(stage: &Stage) -> Result<Self> {
        Ok(Self {
            serving: stage.programs.serve("sink")?,
            agent: crate::api::agent(),
        })
    }

    pub(in crate::bench) fn url(&self) -> String {
        format!("{}/deliver", self.serving.url)
    }

    fn get(&self, path: &str) -> Result<Value> {
        let url = format!("{}{path}", self.serving.url);
        Ok(self.agent.get(url).call()?.body_mut().read_json()?)
    }

    fn reset(&self) -> Result<()> {
        self.get("/reset").map(drop)
    }

    /// How many have arrived. Unlike a report it costs the sink nothing, however many.
    fn taken(&self) -> Result<u64> {
        let count = self.get("/count")?;
        let unsigned = count["unsigned"].as_u64().unwrap_or(0);
        ensure!(unsigned == 0, "{unsigned} deliveries were not signed");
        count["signed"].as_u64().context("it says no count")
    }

    fn report(&self) -> Result<Arrived> {
        let report = self.get("/report")?;
        let figure = |name: &str| report[name].as_f64().context("the sink says no figures");
        Ok(Arrived {
            taken: report["signed"].as_u64().context("it says no count")?,
            seconds: figure("seconds")?,
            p50_ms: figure("p50_ms")?,
        })
    }
}
