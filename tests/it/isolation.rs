//! A plugin can hurt nobody: what it may not do ends that call alone, in time.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::send;
use crate::guests;
use crate::misbehave::{self, behaved, mode, slow};
use crate::payload::{self, With};
use crate::server::{Launch, Server};

/// A server with these lines under `[limits]`.
fn limited(limits: &str) -> Server {
    let launch = Launch::new();
    let file = launch.directory().join("hookswitch.toml");
    std::fs::write(&file, format!("[limits]\n{limits}")).expect("a file");
    launch.argument("--config").argument(file).start()
}

#[tokio::test]
async fn an_endless_loop_is_answered_inside_the_platforms_timeout() {
    let (server, _) = misbehave::server().await;
    let timeout = Duration::from_secs(4);
    let source = server
        .create_source(&json!({
            "name": "impatient",
            "timeouts_ms": {"start": 4_000, "transfer": 4_000, "tool": 4_000},
            "margin_ms": 2_500,
            "verdicts": {"tool": {"decision": "answer", "result": "cut"}},
        }))
        .await;
    server
        .bind(&mode("loop").with(json!({"limits": {"cpu_ms": 30_000}})))
        .await;
    for question in [payload::start(), payload::transfer(), payload::tool()] {
        let asked = Instant::now();
        let reply = server.hook(&source, &question).await;
        let waited = asked.elapsed();
        assert!(waited < timeout, "{} waited {waited:?}", question["type"]);
        assert!(
            waited > Duration::from_secs(1),
            "cut too early, after {waited:?}"
        );
        let invocation = &server.event(&reply.event()).await["decision"]["invocations"][0];
        assert_eq!(invocation["error"]["code"], "timeout");
    }
}

#[tokio::test]
async fn a_bindings_own_time_limit_cuts_earlier() {
    let (server, source) = misbehave::server().await;
    server
        .bind(&slow(20_000).with(json!({"limits": {"time_ms": 300}})))
        .await;
    let asked = Instant::now();
    let reply = server.hook(&source, &payload::start()).await;
    let waited = asked.elapsed();
    assert!(waited < Duration::from_secs(3), "cut after {waited:?}");
    let invocation = &server.event(&reply.event()).await["decision"]["invocations"][0];
    assert_eq!(invocation["error"]["code"], "timeout");
    let elapsed_us = invocation["elapsed_us"].as_u64().expect("a time");
    assert!(
        elapsed_us >= 300_000,
        "cut before its time, after {elapsed_us} µs"
    );
}

#[tokio::test]
async fn others_are_answered_while_loops_spin() {
    let (server, source) = misbehave::server().await;
    server.install("start-gate").await;
    let tools = json!({"kind": "tool.call"});
    server
        .bind(
            &mode("loop")
                .with(json!({"selector": tools, "limits": {"time_ms": 4_000, "cpu_ms": 30_000}})),
        )
        .await;
    server
        .bind(&json!({"plugin": "start-gate", "selector": {"kind": "call.start"}}))
        .await;

    let tool = payload::tool();
    let spinning = futures::future::join_all((0..6).map(|_| server.hook(&source, &tool)));
    let others = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let asked = Instant::now();
        for _ in 0..20 {
            server.hook(&source, &payload::start()).await.expect(200);
        }
        asked.elapsed()
    };
    let asked = Instant::now();
    let (spun, others) = tokio::join!(spinning, others);
    // The loops really were there, and the others did not wait for their end.
    assert!(spun.iter().all(|reply| reply.status == 503));
    assert!(asked.elapsed() >= Duration::from_secs(4));
    assert!(
        others < Duration::from_secs(3),
        "twenty starts took {others:?}"
    );
}

#[tokio::test]
async fn a_call_without_a_free_sandbox_takes_the_verdict_in_time() {
    let server = limited("concurrent_calls = 1\nconcurrent_notices = 1\n");
    server.install("misbehave").await;
    let source = server.source("main-line").await;
    let slow = slow(4_000).with(json!({"selector": {"kind": "tool.call"}}));
    server.bind(&slow).await;
    let starts = json!({"selector": {"kind": "call.start"}, "limits": {"time_ms": 500}});
    server.bind(&mode("none").with(starts)).await;

    let tool = payload::tool();
    let waiting = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let asked = Instant::now();
        let reply = server.hook(&source, &payload::start()).await;
        (reply, asked.elapsed())
    };
    let (busy, (reply, waited)) = tokio::join!(server.hook(&source, &tool), waiting);
    assert_eq!(busy.expect(200), behaved());
    assert!(waited < Duration::from_secs(3), "answered after {waited:?}");
    let event = server.event(&reply.event()).await;
    assert_eq!(reply.expect(200), json!({"accept": true}), "the verdict");
    assert_eq!(
        event["decision"]["invocations"][0]["error"]["code"],
        "overloaded"
    );
}

#[tokio::test]
async fn a_flood_of_one_organization_takes_its_verdicts_and_leaves_others_their_plugins() {
    const ITS_SHARE: usize = 2;
    let server = limited(&format!(
        "concurrent_calls = 3\ncalls_per_organization = {ITS_SHARE}\nconcurrent_notices = 1\n"
    ));

    let flooder = server.organization("flooder").await;
    let component = guests::component("misbehave");
    flooder.upload("misbehave", component).await.expect(201);
    flooder.post("/bindings", &slow(2_000)).await.expect(201);
    let tools = flooder
        .post(
            "/sources",
            &json!({
                "name": "tools",
                "timeouts_ms": {"tool": 6_000},
                "margin_ms": 1_000,
                "verdicts": {"tool": {"decision": "answer", "result": "busy"}},
            }),
        )
        .await
        .expect(201);
    let other = server.organization("other").await;
    let component = guests::component("start-gate");
    other.upload("gate", component).await.expect(201);
    other
        .post("/bindings", &json!({"plugin": "gate"}))
        .await
        .expect(201);
    let line =
        json!({"name": "line", "verdicts": {"start": {"decision": "reject", "reason": "verdict"}}});
    let line = other.post("/sources", &line).await.expect(201);

    let hook = |source: &Value, payload: Value| {
        let path = source["hook_path"].as_str().expect("a path");
        send(server.request(Method::POST, path).json(&payload))
    };
    let flood = (0..12).map(|call| {
        hook(
            &tools,
            payload::tool().with(json!({"callId": format!("call_{call}")})),
        )
    });
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        for call in 0..20 {
            let start = payload::start().with(json!({"callId": format!("call_{call}")}));
            let reply = hook(&line, start).await;
            assert_eq!(
                reply.expect(200),
                json!({"accept": true}),
                "the plugin's word"
            );
        }
    };
    let asked = Instant::now();
    let (flood, ()) = tokio::join!(futures::future::join_all(flood), meanwhile);
    assert!(
        asked.elapsed() < Duration::from_secs(6),
        "inside the platform's timeout"
    );
    let answers: Vec<_> = flood.into_iter().map(|reply| reply.expect(200)).collect();
    let by_plugin = answers
        .iter()
        .filter(|answer| **answer == behaved())
        .count();
    let by_verdict = answers.iter().filter(|answer| **answer == "busy").count();
    assert_eq!(by_plugin + by_verdict, 12, "{answers:?}");
    assert!(by_plugin >= ITS_SHARE, "{by_plugin} were run");
    assert!(by_verdict > 0, "nobody waited in vain");
}

#[tokio::test]
async fn memory_is_refused_at_the_limit_and_the_server_goes_on() {
    let (server, source) = misbehave::server().await;
    let limit = 8 * 1024 * 1024_u64;
    let greedy = server
        .bind(&mode("alloc").with(json!({"limits": {"memory_bytes": limit}})))
        .await;
    let event = server.hook(&source, &payload::start()).await.event();
    let invocation = &server.event(&event).await["decision"]["invocations"][0];
    assert_eq!(invocation["error"]["code"], "memory", "{invocation}");
    let held = invocation["memory_bytes"].as_u64().expect("a size");
    assert!(held <= limit, "{held} bytes were held");

    server.delete(&format!("/bindings/{greedy}")).await;
    server.bind(&mode("none")).await;
    let reply = server.hook(&source, &payload::tool()).await;
    assert_eq!(reply.expect(200), behaved());
}

#[tokio::test]
async fn twenty_bombs_at_once_leave_the_server_standing() {
    let (server, source) = misbehave::server().await;
    for bomb in ["alloc", "trap", "flood-log"] {
        misbehave::rebind(&server, &mode(bomb)).await;
        let start = payload::start();
        let replies =
            futures::future::join_all((0..20).map(|_| server.hook(&source, &start))).await;
        for reply in replies {
            assert_eq!(reply.expect(200), json!({"accept": true}), "{bomb}");
        }
    }
    misbehave::rebind(&server, &mode("none")).await;
    assert_eq!(
        server.hook(&source, &payload::tool()).await.expect(200),
        behaved()
    );
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut_and_says_so() {
    let (server, source) = misbehave::server().await;
    server.bind(&mode("flood-log")).await;
    let reply = server.hook(&source, &payload::tool()).await;
    let event = server.event(&reply.event()).await;
    assert_eq!(
        reply.expect(200),
        behaved(),
        "a flood of lines is no failure"
    );
    let log = event["log"].as_array().expect("a log");
    assert!(
        (10..2_000).contains(&log.len()),
        "{} lines were kept",
        log.len()
    );
    assert_eq!(log[0]["message"], "line 0 of 10000");
    assert_eq!(log[0]["level"], "info");
    let last = log.last().expect("a line");
    assert!(
        !last["message"].as_str().expect("text").starts_with("line "),
        "{last}"
    );
}

#[tokio::test]
async fn nothing_outlives_a_call_but_the_key_value_store() {
    let (server, source) = misbehave::server().await;
    server.bind(&mode("echo")).await;
    let mut counted = Vec::new();
    for _ in 0..3 {
        let seen = server.hook(&source, &payload::tool()).await.expect(200);
        assert_eq!(
            seen["kv"]["before"],
            json!(null),
            "the key was deleted by the call before"
        );
        counted.push(seen["kv"]["counted"].clone());
    }
    assert_eq!(counted, [1, 2, 3]);
}
