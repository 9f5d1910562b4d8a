//! What is taken at upload and misbehaves when it is called.

use serde_json::json;

use super::{Attack, Expected};

pub(super) fn attacks() -> Vec<Attack> {
    let mut attacks = running();
    attacks.extend(memory());
    attacks.extend(broken());
    attacks.extend(host_calls());
    attacks
}

fn failed(name: &'static str, code: &'static str) -> Attack {
    Attack::new(name, Expected::Failed(code))
}

/// Guests that do not end by themselves.
fn running() -> Vec<Attack> {
    vec![
        failed("loop", "cpu"),
        failed("loop-at-start-when-called", "cpu").bound(json!({"config": {"loop": true}})),
        failed("loop-in-realloc", "cpu"),
        failed("recursion", "trap"),
        failed("sleep-a-year", "timeout").bound(json!({"limits": {"time_ms": 1_000}})),
    ]
}

/// Guests that want memory.
fn memory() -> Vec<Attack> {
    // So that a guest can hold 100 MB at all.
    let large = json!({"limits": {"memory_bytes": 256 << 20}});
    vec![
        failed("memory-grow", "memory"),
        failed("memory-fill", "cpu"),
        failed("many-memories", "memory"),
        failed("table-grow", "memory"),
        failed("log-100mb", "trap").bound(large.clone()),
        failed("config-100mb", "trap").bound(large.clone()),
        failed("kv-100mb", "trap").bound(large.clone()),
        failed("reply-100mb", "trap").bound(large),
        failed("reply-8mb", "invalid_answer"),
    ]
}

/// Guests that break the rules of the interface.
fn broken() -> Vec<Attack> {
    vec![
        failed("trap", "trap"),
        failed("bad-pointer", "trap"),
        failed("bad-text", "trap"),
        failed("bad-level", "trap"),
        failed("bad-handle", "trap"),
        failed("bad-realloc", "trap"),
        failed("bad-answer", "trap"),
        failed("bad-decision", "trap"),
    ]
}

/// Guests that keep the host busy.
fn host_calls() -> Vec<Attack> {
    let kv = json!({"grants": {"kv": {}}});
    vec![
        failed("pollable-flood", "trap"),
        failed("stream-flood", "trap"),
        failed("log-flood", "cpu"),
        failed("log-15mb", "cpu"),
        // It waits for most of its time; a tenth of a second takes it about one.
        failed("stdout-flood", "cpu").bound(json!({"limits": {"cpu_ms": 100}})),
        failed("payload-flood", "cpu"),
        failed("random-endless", "trap"),
        failed("random-32mb", "trap"),
        failed("random-flood", "cpu"),
        Attack::new("kv-denied", Expected::Answered),
        Attack::new("kv-flood", Expected::Answered).bound(kv.clone()),
        Attack::new("kv-bytes", Expected::Answered).bound(kv),
    ]
}
