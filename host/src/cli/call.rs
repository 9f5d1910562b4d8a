//! `hookswitch call`: what happened in one call.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::client::{Client, Server};
use super::entries::{self, text};

/// Show one call from beginning to end: events, decisions, log lines, deliveries.
#[derive(Debug, Args)]
pub(super) struct Call {
    #[command(flatten)]
    server: Server,
    /// The call's id, as the platform names it.
    #[arg(value_name = "CALL-ID")]
    id: String,
    /// Print the API's answer instead of text.
    #[arg(long)]
    json: bool,
}

/// A call with more events than that is one that never ends; the API has the others.
const MOST_PAGES: usize = 50;

/// What the whole call came to, in the order in which people ask.
const SUMMARY: [&str; 8] = [
    "events",
    "decisions",
    "verdicts",
    "failures",
    "deliveries",
    "delivered",
    "owed",
    "failed",
];

impl Call {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let call = runtime.block_on(async {
            let client = self.server.client()?;
            whole(&client, &self.id).await
        })?;
        let mut out = anstream::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, &call)?;
            writeln!(out)?;
        } else {
            show(&call, &mut out)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// All pages as one.
async fn whole(client: &Client, call: &str) -> anyhow::Result<Value> {
    let path = path(call)?;
    let mut whole = client.get(&format!("{path}?limit=200")).await?;
    for _ in 1..MOST_PAGES {
        let Some(cursor) = whole["next_cursor"].as_str() else {
            break;
        };
        let next = format!("{path}?limit=200&cursor={cursor}");
        let mut next = client.get(&next).await?;
        let more = next["entries"].as_array_mut().map(std::mem::take);
        if let Some(entries) = whole["entries"].as_array_mut() {
            entries.extend(more.unwrap_or_default());
        }
        whole["next_cursor"] = next["next_cursor"].take();
    }
    // A page is in order, but a delivery of an early event may have been late.
    if let Some(entries) = whole["entries"].as_array_mut() {
        entries.sort_by_cached_key(|entry| text(&entry["at"]));
    }
    Ok(whole)
}

/// A call's id is whatever the platform says.
fn path(call: &str) -> anyhow::Result<String> {
    if matches!(call, "" | "." | "..") {
        bail!("{call:?} is no call's id");
    }
    let mut url = url::Url::parse("http://any/calls")?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.push(call);
    }
    Ok(url.path().to_owned())
}

fn show(call: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let started: Timestamp = text(&call["started_at"])
        .parse()
        .context("the answer has no started_at")?;
    for (name, field) in [
        ("call", "call_id"),
        ("agent", "agent_id"),
        ("started", "started_at"),
        ("ended", "ended_at"),
    ] {
        let value = text(&call[field]);
        if !value.is_empty() {
            writeln!(out, "{name:<8} {value}")?;
        }
    }
    let summary = SUMMARY.iter().filter_map(|name| {
        let count = call["summary"][name].as_u64().filter(|&count| count > 0);
        count.map(|count| format!("{name} {count}"))
    });
    let summary: Vec<_> = summary.collect();
    writeln!(out, "{:<8} {}\n", "in all", summary.join(", "))?;
    for entry in call["entries"].as_array().into_iter().flatten() {
        let at: Timestamp = text(&entry["at"]).parse().unwrap_or(started);
        let since = offset(at.duration_since(started));
        writeln!(out, "{}", entries::line(&since, entry, false))?;
    }
    if !call["next_cursor"].is_null() {
        writeln!(
            out,
            "there are more: GET /api/v1/calls/… with the cursor {}",
            text(&call["next_cursor"])
        )?;
    }
    Ok(())
}

/// How long after the beginning, in seconds.
fn offset(since: SignedDuration) -> String {
    format!("{:>+10.3}s", since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_id_is_one_segment_of_the_path() {
        for (call, expected) in [
            ("call_1", "/calls/call_1"),
            ("a/../b?c=d#e", "/calls/a%2F..%2Fb%3Fc=d%23e"),
            ("ü %41", "/calls/%C3%BC%20%2541"),
        ] {
            assert_eq!(path(call).unwrap(), expected);
        }
        for bad in ["", ".", ".."] {
            assert!(path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn offsets_line_up() {
        let ms = SignedDuration::from_millis;
        assert_eq!(offset(ms(0)), "    +0.000s");
        assert_eq!(offset(ms(61_234)), "   +61.234s");
        assert_eq!(offset(ms(-5)), "    -0.005s");
    }
}
