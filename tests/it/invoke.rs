//! `hookswitch invoke`: one call of a plugin, for its author, without a server.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{binary, components, guests, shape};

fn sample(name: &str) -> PathBuf {
    binary::workspace()
        .join("tests/fixtures/dasha")
        .join(format!("{name}.json"))
}

/// Runs the command in an empty folder, so that it finds nothing it was not given.
fn invoke(arguments: &[&dyn AsRef<OsStr>]) -> Output {
    let elsewhere = TempDir::new().expect("a temporary folder");
    let mut command = binary::command();
    command.arg("invoke").current_dir(elsewhere.path());
    for argument in arguments {
        command.arg(argument);
    }
    let output = command.output().expect("the host runs");
    let left = std::fs::read_dir(elsewhere.path())
        .expect("the folder")
        .count();
    assert_eq!(left, 0, "the command left files behind");
    output
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The reply alone: the first line, in the platform's own form.
fn reply(output: &Output) -> Value {
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        out(output),
        errors(output)
    );
    let out = out(output);
    let first = out.lines().next().expect("a line");
    serde_json::from_str(first).unwrap_or_else(|_| panic!("the first line is no JSON: {out}"))
}

fn refused(output: &Output) -> String {
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}{}",
        out(output),
        errors(output)
    );
    errors(output)
}

#[test]
fn a_start_is_answered_as_the_platform_would_get_it() {
    let gate = guests::path("start-gate");
    let start = sample("start");
    let accepted = invoke(&[&gate, &"--payload", &start]);
    assert_eq!(reply(&accepted), json!({"accept": true}));

    let set = r#"blocked=["+14155551234"]"#;
    let rejected = reply(&invoke(&[&gate, &"--payload", &start, &"--set", &set]));
    assert_eq!(rejected["accept"], false);
    assert!(
        rejected["reasonMessage"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty())
    );
}

#[test]
fn a_notice_is_acknowledged_and_its_deliveries_are_shown() {
    let misbehave = guests::path("misbehave");
    let output = invoke(&[
        &misbehave,
        &"--payload",
        &sample("failed"),
        &"--set",
        &"mode=echo",
        &"--json",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let report: Value = serde_json::from_str(&out(&output)).expect("one JSON document");
    assert_eq!(report["reply"]["body"]["received"], true);
    assert_eq!(report["answer"]["decision"], "deliver");
    assert_eq!(report["answer"]["deliveries"][0]["endpoint"], "echo");
}

#[test]
fn the_json_report_has_one_form() {
    let misbehave = guests::path("misbehave");
    for mode in [
        "none",
        "flood-log",
        "err",
        "trap",
        "pass",
        "forward",
        "bad-json",
    ] {
        let setting = format!("mode={mode}");
        let output = invoke(&[
            &misbehave,
            &"--payload",
            &sample("tool"),
            &"--json",
            &"--set",
            &setting,
        ]);
        let mut report: Value = serde_json::from_str(&out(&output))
            .unwrap_or_else(|_| panic!("no JSON: {}{}", out(&output), errors(&output)));
        if let Some(log) = report["log"].as_array_mut() {
            // How many lines there are of a flood is not this test's matter.
            log.truncate(2);
        }
        shape::assert_shape!(format!("invoke_{mode}"), report);
    }
}

#[test]
fn a_failing_plugin_is_exit_code_1_with_the_reason() {
    let misbehave = guests::path("misbehave");
    for (mode, reason) in [
        ("err", "it broke"),
        ("trap", "trap"),
        ("alloc", "memory"),
        ("bad-json", "JSON"),
        ("bad-target", "destination"),
    ] {
        let payload = sample(if mode == "bad-target" {
            "transfer"
        } else {
            "tool"
        });
        let setting = format!("mode={mode}");
        let output = invoke(&[&misbehave, &"--payload", &payload, &"--set", &setting]);
        let errors = refused(&output);
        assert!(errors.contains(reason), "{mode}: {errors}");
    }
}

#[test]
fn an_endless_loop_ends() {
    let misbehave = guests::path("misbehave");
    let begun = std::time::Instant::now();
    let output = invoke(&[
        &misbehave,
        &"--payload",
        &sample("tool"),
        &"--set",
        &"mode=loop",
    ]);
    refused(&output);
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(40),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn log_lines_and_the_time_follow_the_reply() {
    let misbehave = guests::path("misbehave");
    let output = invoke(&[
        &misbehave,
        &"--payload",
        &sample("tool"),
        &"--set",
        &"mode=flood-log",
    ]);
    assert_eq!(reply(&output), json!({"ok": true}));
    let out = out(&output);
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[1..]
            .iter()
            .any(|line| line.contains("line 0 of 10000")),
        "{out}"
    );
    let last = lines.last().expect("a line");
    assert!(
        last.contains("ms") || last.contains("µs"),
        "no time: {last}"
    );
}

#[test]
fn settings_are_json_where_they_can_be_and_text_where_not() {
    let misbehave = guests::path("misbehave");
    let output = invoke(&[
        &misbehave,
        &"--payload",
        &sample("tool"),
        &"--set",
        &"mode=echo",
        &"--set",
        &"text=plain text",
        &"--set",
        &r#"object={"a": [1, null]}"#,
    ]);
    let config = reply(&output)["config"].clone();
    let object: Value =
        serde_json::from_str(config["object"].as_str().expect("text")).expect("JSON");
    assert_eq!(config["text"], "plain text");
    assert_eq!(object, json!({"a": [1, null]}));
    assert_eq!(config["missing"], Value::Null);
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = |name: &str, content: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path
    };
    let gate = guests::path("start-gate");
    let missing = folder.path().join("nowhere");
    let start = sample("start");
    let rows: Vec<(PathBuf, PathBuf, &str)> = vec![
        (missing.clone(), start.clone(), "nowhere"),
        (gate.clone(), missing, "nowhere"),
        (
            gate.clone(),
            folder.path().to_owned(),
            folder.path().to_str().expect("text"),
        ),
        (gate.clone(), file("no.json", b"{\"type\":"), "JSON"),
        (gate.clone(), file("empty.json", b""), "JSON"),
        (gate.clone(), file("list.json", b"[]"), "object"),
        (
            gate.clone(),
            file("less.json", b"{\"type\":\"StartWebHookPayload\"}"),
            "agentId",
        ),
        (
            gate.clone(),
            file(
                "wrong.json",
                b"{\"type\":\"StartWebHookPayload\",\"callId\":7,\"agentId\":\"a\"}",
            ),
            "callId",
        ),
        (file("text.wasm", b"not wasm"), start.clone(), "WebAssembly"),
        (
            file("module.wasm", &components::core_module()),
            start.clone(),
            "core module",
        ),
        (
            file("empty.wasm", &components::exports_nothing()),
            start.clone(),
            "export",
        ),
        (
            file("half.wasm", &components::truncated()),
            start.clone(),
            "half.wasm",
        ),
        // A plugin that has no handler for this payload.
        (gate, sample("tool"), "tool"),
    ];
    for (plugin, payload, named) in rows {
        let output = invoke(&[&plugin, &"--payload", &payload]);
        let errors = refused(&output);
        println!("{} {}: {errors}", shown(&plugin), shown(&payload));
        assert!(errors.contains(named), "{named} is not in: {errors}");
        assert!(!errors.contains("panicked"), "{errors}");
    }
}

fn shown(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[test]
fn a_command_line_that_makes_no_sense_is_explained() {
    let gate = guests::path("start-gate");
    for arguments in [
        vec![gate.as_os_str()],
        vec![gate.as_os_str(), OsStr::new("--payload")],
        vec![
            gate.as_os_str(),
            OsStr::new("--playload"),
            sample("start").as_os_str(),
        ],
    ] {
        let mut command = binary::command();
        let output = command
            .arg("invoke")
            .args(&arguments)
            .output()
            .expect("the host runs");
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            errors(&output)
        );
        assert!(errors(&output).contains("--payload"), "{}", errors(&output));
    }
    let start = sample("start");
    let output = invoke(&[&gate, &"--payload", &start, &"--set", &"no-equals-sign"]);
    assert!(!output.status.success());
    assert!(
        errors(&output).contains("no-equals-sign"),
        "{}",
        errors(&output)
    );
}
