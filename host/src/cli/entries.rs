//! Entries of a timeline for people: a line each.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const ODD: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// One entry, behind what says when it was. Styles are in it; whoever prints it takes
/// them out where there is no terminal.
pub(super) fn line(when: &str, entry: &Value, with_call: bool) -> String {
    let word = text(&entry["type"]);
    let mut parts = vec![format!("{} {word:<8}", styled(DIM, when))];
    let call = text(&entry["call_id"]);
    if with_call && !call.is_empty() {
        parts.push(call);
    }
    parts.extend(match word.as_str() {
        "event" => event(entry),
        "log" => log(entry),
        "decision" => decision(entry),
        "forward" | "attempt" => tried(entry),
        "delivery" => delivery(entry),
        "gap" => gap(entry),
        // A newer server may say more.
        _ => Vec::new(),
    });
    parts.retain(|part| !part.is_empty());
    parts.join("  ")
}

fn event(entry: &Value) -> Vec<String> {
    ["kind", "tool", "agent_id", "event"]
        .map(|field| text(&entry[field]))
        .into()
}

fn log(entry: &Value) -> Vec<String> {
    let level = text(&entry["level"]);
    let style = match level.as_str() {
        "error" => BAD,
        "warn" => ODD,
        "info" => Style::new(),
        _ => DIM,
    };
    let by = text(&entry["plugin"]);
    let said = format!("{level:<5} {by}: {}", text(&entry["message"]));
    vec![styled(style, said)]
}

fn decision(entry: &Value) -> Vec<String> {
    let (outcome, reason) = (text(&entry["outcome"]), text(&entry["reason"]));
    let style = match reason.as_str() {
        "" => GOOD,
        "no_binding" | "all_passed" => Style::new(),
        _ => BAD,
    };
    let why = match reason.as_str() {
        "" => outcome,
        reason => format!("{outcome}: {reason}"),
    };
    let replied = text(&entry["reply_status"]);
    let mut parts = vec![
        text(&entry["kind"]),
        styled(style, text(&entry["decision"])),
        styled(style, why),
        milliseconds(entry),
    ];
    if !replied.is_empty() {
        parts.push(format!("replied {replied}"));
    }
    let invocations = entry["invocations"].as_array();
    parts.extend(invocations.into_iter().flatten().map(asked));
    parts
}

/// A plugin on the way to a decision.
fn asked(invocation: &Value) -> String {
    let plugin = format!(
        "{} v{} {}",
        text(&invocation["plugin"]),
        text(&invocation["version"]),
        text(&invocation["outcome"])
    );
    let error = &invocation["error"];
    if error.is_null() {
        return plugin;
    }
    let (code, message) = (text(&error["code"]), text(&error["message"]));
    styled(BAD, format!("{plugin}: {code}: {message}"))
}

fn tried(entry: &Value) -> Vec<String> {
    let state = text(&entry["state"]);
    let status = entry["status"].as_u64();
    let style = match status {
        Some(200..=299) => GOOD,
        _ => BAD,
    };
    let result = status.map_or_else(|| text(&entry["error"]), |status| status.to_string());
    vec![
        endpoint(entry),
        styled(style, result),
        milliseconds(entry),
        format!("attempt {}", text(&entry["number"])),
        state,
        text(&entry["detail"]),
    ]
}

fn delivery(entry: &Value) -> Vec<String> {
    let state = text(&entry["state"]);
    let style = match state.as_str() {
        "delivered" => GOOD,
        "owed" => ODD,
        "cancelled" => Style::new(),
        _ => BAD,
    };
    let due = text(&entry["due_at"]);
    let due = match due.as_str() {
        "" => String::new(),
        due => format!("due {due}"),
    };
    let made = match entry["attempts_made"].as_u64().unwrap_or_default() {
        1 => "1 attempt".to_owned(),
        made => format!("{made} attempts"),
    };
    vec![endpoint(entry), styled(style, state), made, due]
}

fn gap(entry: &Value) -> Vec<String> {
    let said = match entry["missed"].as_u64() {
        Some(1) => "1 message is missing here".to_owned(),
        Some(missed) => format!("{missed} messages are missing here"),
        None => "messages are missing here".to_owned(),
    };
    vec![styled(ODD, said)]
}

/// People know endpoints by their names; one that was deleted has none any more.
fn endpoint(entry: &Value) -> String {
    let name = &entry["endpoint_name"];
    text(if name.is_null() {
        &entry["endpoint"]
    } else {
        name
    })
}

fn milliseconds(entry: &Value) -> String {
    let us = entry["elapsed_us"].as_f64().unwrap_or_default();
    format!("{:.1} ms", us / 1000.0)
}

fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A value as people read it. Others wrote some of it: it must not steer the terminal.
pub(super) fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plain(entry: &Value) -> String {
        anstream::adapter::strip_str(&line("12:00", entry, true)).to_string()
    }

    #[test]
    fn each_entry_is_a_line() {
        for (entry, expected) in [
            (
                json!({"type": "event", "kind": "tool.call", "call_id": "c", "agent_id": "a",
                       "tool": "book", "event": "evt_1"}),
                "12:00 event     c  tool.call  book  a  evt_1",
            ),
            (
                json!({"type": "log", "call_id": "c", "level": "warn", "plugin": "gate",
                       "message": "two\nlines \u{1b}[31m"}),
                "12:00 log       c  warn  gate: two lines  [31m",
            ),
            (
                json!({"type": "decision", "kind": "call.start", "call_id": "c",
                       "outcome": "verdict", "reason": "plugin_failed", "decision": "accept",
                       "reply_status": 200, "elapsed_us": 1500, "invocations": [
                           {"plugin": "gate", "version": 3, "outcome": "failed",
                            "error": {"code": "trap", "message": "unreachable"}}]}),
                "12:00 decision  c  call.start  accept  verdict: plugin_failed  1.5 ms  \
                 replied 200  gate v3 failed: trap: unreachable",
            ),
            (
                json!({"type": "attempt", "call_id": "", "endpoint_name": "crm", "status": 200,
                       "elapsed_us": 41_000, "number": 2, "state": "delivered"}),
                "12:00 attempt   crm  200  41.0 ms  attempt 2  delivered",
            ),
            (
                json!({"type": "forward", "endpoint": "ep_1", "error": "timeout", "status": null,
                       "elapsed_us": 0, "number": 1, "state": "refused"}),
                "12:00 forward   ep_1  timeout  0.0 ms  attempt 1  refused",
            ),
            (
                json!({"type": "delivery", "endpoint_name": "crm", "state": "owed",
                       "attempts_made": 1, "due_at": "soon"}),
                "12:00 delivery  crm  owed  1 attempt  due soon",
            ),
            (
                json!({"type": "gap", "missed": 17}),
                "12:00 gap       17 messages are missing here",
            ),
            (
                json!({"type": "gap", "missed": null}),
                "12:00 gap       messages are missing here",
            ),
        ] {
            assert_eq!(plain(&entry), expected);
        }
    }
}
