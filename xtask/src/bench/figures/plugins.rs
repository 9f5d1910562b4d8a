//! A thousand plugins, each of a source of its own, as of a thousand customers: what they
//! take of memory, and whether calls that are spread over them are as quick as calls of
//! one.
//!
//! They are one component with a custom section that differs, so that each is compiled,
//! kept and loaded by itself.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::decisions::{ACCEPTED, settings};
use crate::bench::load::{Load, Sample, Target};
use crate::bench::report::Report;
use crate::bench::rounds::{Samples, in_turn};
use crate::bench::stage::{Rounds, Stage, payload};
use crate::bench::subject::Subject;

pub(super) const FIGURES: &[&str] = &[
    "rss_mb_idle",
    "rss_kb_per_plugin",
    "rss_own_kb_per_plugin",
    "rss_kb_per_plugin_uncalled",
    "rps_1000_plugins_vs_1",
];

const CONNECTIONS: usize = 32;

/// After this an idle server has given back what it will.
const SETTLED: Duration = Duration::from_secs(12);

/// As many at once as there are processors here.
const SETTINGS: &str = "[compile]\nat_once = 2\n";

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<()> {
    let count = stage.pick(100, 1000);
    if count != 1000 {
        report.note(format!("quick: {count} plugins instead of a thousand"));
    }
    let mut subject = Subject::start(stage, SETTINGS)?;
    subject.restart()?;
    let idle = subject.resident()?;
    report.add("rss_mb_idle", Samples::one(idle.whole_kb / 1024.0));

    let spread = bind_many(stage, &subject, count)?;
    subject.restart()?;
    let per_plugin = |more: f64| Samples::one(more / count as f64);
    // They are loaded ahead, some hundreds a second, as many as are kept.
    std::thread::sleep(SETTLED);
    let bound = subject.resident()?.whole_kb - idle.whole_kb;
    report.add("rss_kb_per_plugin_uncalled", per_plugin(bound));

    let of = |samples: &[Sample]| Target {
        url: subject.server.url.clone(),
        samples: samples.to_vec(),
        ..spread.clone()
    };
    let (many, one) = (of(&spread.samples), of(&spread.samples[..1]));
    let each_once = Load {
        most: Some(count as u64),
        ..Load::full(1)
    };
    many.ask(&stage.programs, each_once, Rounds::once())?;
    // Idle plugins give their pages back after a quarter to half a second, and most are
    // unloaded after ten.
    std::thread::sleep(SETTLED);
    let called = subject.resident()?;
    let (whole, own) = (called.whole_kb - idle.whole_kb, called.own_kb - idle.own_kb);
    report.add("rss_kb_per_plugin", per_plugin(whole));
    report.add("rss_own_kb_per_plugin", per_plugin(own));

    let samples = in_turn(stage.rounds.count, &[one, many], |target| {
        let came = target.ask(&stage.programs, Load::full(CONNECTIONS), stage.rounds)?;
        Ok(came.per_second)
    })?;
    report.add("rps_1000_plugins_vs_1", samples[1].over(&samples[0]));
    Ok(())
}

/// Uploads so many plugins, two at a time, and binds each for a source.
fn bind_many(stage: &Stage, subject: &Subject, count: usize) -> Result<Target> {
    let component = stage.component("start-gate")?;
    let start = payload("start")?;
    let sources = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let component = &component;
                scope.spawn(move || -> Result<Vec<_>> {
                    let mine = (worker..count).step_by(2);
                    mine.map(|number| bind(subject, number, component))
                        .collect()
                })
            })
            .collect();
        let mut sources = Vec::new();
        for worker in workers {
            let ended = worker.join();
            sources.extend(ended.map_err(|_| anyhow::anyhow!("an uploader panicked"))??);
        }
        anyhow::Ok(sources)
    })?;
    let samples = sources.iter().map(|path| Sample::post(path, &start));
    Ok(Target {
        url: subject.server.url.clone(),
        samples: samples.collect(),
        token: None,
        key: None,
        expected: Some(ACCEPTED.to_owned()),
    })
}

fn bind(subject: &Subject, number: usize, component: &[u8]) -> Result<String> {
    let name = format!("gate-{number}");
    subject
        .api
        .upload(&name, &distinct(component, number))?
        .success()?;
    let source = subject.source(&name, false)?;
    let binding = json!({
        "plugin": name, "selector": {"source": source.id}, "config": settings(),
    });
    subject.api.create("/bindings", &binding, "id")?;
    Ok(source.path)
}

/// The component with a custom section more: its id 0, its size, a name, and the number.
fn distinct(component: &[u8], number: usize) -> Vec<u8> {
    const NAME: &[u8] = b"number";
    let number = (number as u64).to_le_bytes();
    let mut bytes = component.to_vec();
    // Sizes below 128 are one byte.
    bytes.extend([0, (1 + NAME.len() + number.len()) as u8, NAME.len() as u8]);
    bytes.extend(NAME);
    bytes.extend(number);
    bytes
}
