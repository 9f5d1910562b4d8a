//! The configuration file: what it says holds, and a mistake in it is named.

use std::path::PathBuf;

use serde_json::json;

use crate::payload;
use crate::server::Launch;

fn with_file(text: &str) -> (Launch, PathBuf) {
    let launch = Launch::new();
    let file = launch.directory().join("hookswitch.toml");
    std::fs::write(&file, text).expect("a file");
    (launch.argument("--config").argument(file.clone()), file)
}

#[tokio::test]
async fn the_command_line_goes_before_the_file() {
    let (launch, _) = with_file("listen = \"127.0.0.1:1\"\ndata_dir = \"elsewhere\"\n");
    let server = launch.start();
    server.source("main-line").await;
    assert_ne!(server.address.port(), 1);
    assert!(server.directory().join("data").is_dir());
    assert!(!server.directory().join("elsewhere").exists());
}

#[tokio::test]
async fn the_file_goes_before_the_default() {
    let (launch, _) = with_file("data_dir = \"elsewhere\"\n");
    let server = launch.default_data_dir().start();
    server.source("main-line").await;
    assert!(server.directory().join("elsewhere").is_dir());
    assert!(!server.directory().join("hookswitch-data").exists());
}

#[tokio::test]
async fn the_limits_of_the_file_hold() {
    let (launch, _) = with_file("[limits]\nhook_body_bytes = 2048\nplugin_body_bytes = 4096\n");
    let server = launch.start();
    let source = server.source("main-line").await;
    server.hook(&source, &payload::start()).await.expect(200);
    let large = payload::With::with(payload::start(), json!({"padding": "x".repeat(2048)}));
    server
        .hook(&source, &large)
        .await
        .expect_problem(413, "body_too_large", None);
    let upload = server
        .upload("gate", crate::guests::component("start-gate"))
        .await;
    upload.expect_problem(413, "body_too_large", None);
}

#[tokio::test]
async fn answers_can_be_made_to_survive_a_power_loss() {
    let (launch, _) = with_file("[store]\nanswers_survive = \"power-loss\"\n");
    let server = launch.start();
    let source = server.source("main-line").await;
    let event = server.hook(&source, &payload::start()).await.event();
    assert_eq!(server.event(&event).await["state"], "answered");
}

#[tokio::test]
async fn answers_that_need_not_survive_are_given_and_not_kept() {
    let (launch, _) = with_file("[store]\nanswers_survive = \"nothing\"\n");
    let server = launch.start();
    let source = server.source("main-line").await;
    let first = server.hook(&source, &payload::start()).await;
    assert_eq!(first.expect(200), json!({"accept": true}));
    // Repeated, it is asked again, as an event of its own.
    let again = server.hook(&source, &payload::start()).await;
    assert_eq!(again.expect(200), json!({"accept": true}));
    // What has to run once, or was acknowledged, is kept all the same.
    let tool = server.hook(&source, &payload::tool()).await.event();
    let notice = server.hook(&source, &payload::completed()).await.event();
    let kept: Vec<_> = server.all("/events").await;
    let kept: Vec<_> = kept.iter().map(|event| event["id"].clone()).collect();
    assert_eq!(kept, [json!(notice), json!(tool)]);
}

#[tokio::test]
async fn logs_can_be_json_lines() {
    let (launch, _) = with_file("[log]\nformat = \"json\"\n");
    let mut server = launch.start();
    server.ask_to_end();
    assert!(server.ended(std::time::Duration::from_secs(10)).success());
    let log = server.whole_log();
    assert!(!log.is_empty());
    for line in log.lines() {
        let entry: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(entry["level"].is_string(), "{line}");
    }
}

#[test]
fn a_mistake_is_refused_and_named() {
    for (text, named) in [
        ("listn = \"127.0.0.1:0\"", "listn"),
        ("data_dir = 7", "data_dir"),
        ("listen = \"nowhere\"", "listen"),
        ("[limits]\nmemory_byte = 1", "memory_byte"),
        ("[ceilings]\nmemory_bytes = \"much\"", "memory_bytes"),
        ("[ceilings]\nmemory_bytes = 1", "ceilings.memory_bytes"),
        ("[ceilings]\ncore_instances = 0", "ceilings.core_instances"),
        ("[limits]\nconcurrent_calls = 0", "limits.concurrent_calls"),
        ("[log]\nformat = \"poem\"", "format"),
        (
            "[store]\nanswers_survive = \"everything\"",
            "answers_survive",
        ),
        ("drain_seconds = -1", "drain_seconds"),
        ("[egress]\nallow = [\"10.0.0.0/33\"]", "allow"),
        ("[egress]\nallows = []", "allows"),
        ("[egress]\nresolver = [\"dns.example\"]", "resolver"),
        ("[encryption]\nkey_file = 7", "key_file"),
        ("[compile]\nseconds = 0", "compile.seconds"),
        ("[compile]\nat_once = 0", "compile.at_once"),
        ("[compile]\nmemory_bytes = 1", "compile.memory_bytes"),
        ("this is not TOML", "hookswitch.toml"),
    ] {
        let (launch, file) = with_file(text);
        let data = launch.directory().join("data");
        let (status, log) = launch.refused();
        println!("{text:?}: {log}");
        assert_eq!(status.code(), Some(1), "{text:?}");
        assert!(log.contains(named), "{named} is not named: {log}");
        assert!(
            log.contains(&*file.to_string_lossy()),
            "the file is not named: {log}"
        );
        assert!(
            !data.exists(),
            "something was written before the file was read"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let launch = Launch::new()
        .argument("--config")
        .argument("no-such-file.toml");
    let (status, log) = launch.refused();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("no-such-file.toml"), "{log}");
}
