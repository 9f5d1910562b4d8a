//! `hookswitch test`: webhooks and sources tried out at the command line.

use std::process::Output;

use serde_json::{Value, json};

use crate::binary;
use crate::server::{ADMIN_TOKEN, Server};
use crate::sink::{self, Sink};

/// Runs the command against a server, as its administrator.
async fn run(server: &Server, arguments: &[&str]) -> Output {
    let mut command = binary::command();
    command
        .arg("test")
        .args(arguments)
        .env("HOOKSWITCH_SERVER", format!("http://{}", server.address))
        .env("HOOKSWITCH_TOKEN", ADMIN_TOKEN);
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.expect("it ends").expect("the host runs")
}

/// What it printed, its complaints after that, and its exit code.
fn said(output: &Output) -> (String, Option<i32>) {
    let text = [&*output.stdout, &*output.stderr].concat();
    (
        String::from_utf8_lossy(&text).into_owned(),
        output.status.code(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_tested_by_its_name_or_id() {
    let server = Server::start();
    let tool = json!({"decision": "answer", "result": {"slots": [1]}});
    let source = json!({"name": "main-line", "verdicts": {"tool": tool}});
    let source = server.create_source(&source).await;
    let arguments = ["tool", "--source", "main-line", "--tool", "book"];
    let more = [
        "--arguments",
        r#"{"day":"Monday"}"#,
        "--call-data",
        r#"{"lead":7}"#,
    ];
    let (text, code) = said(&run(&server, &[&arguments[..], &more].concat()).await);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "ok: 200 OK in ",
        "event: evt_",
        "the platform understands",
        "\"slots\"",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    let id = server.all("/events").await[0]["id"].clone();
    let payload = server.event(id.as_str().expect("an id")).await["payload"].clone();
    assert_eq!(payload["arguments"], json!({"day": "Monday"}));
    assert_eq!(payload["callAdditionalData"], json!({"lead": 7}));

    let output = run(&server, &["completed", "--source", &source.id, "--json"]).await;
    assert_eq!(output.status.code(), Some(0));
    let result: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(result["responseData"]["eventId"], result["event"]);
    // Nobody answers, and the verdict leaves it to the platform.
    let (text, code) = said(&run(&server, &["transfer", "--source", "main-line"]).await);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.starts_with("failed: the webhook answered 503"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_tested_and_its_faults_are_listed() {
    let server = sink::server();
    let sink = Sink::script([
        sink::reply(&json!({"accept": true})),
        sink::reply(&json!({"accept": true, "overrideAgentConfig": {}, "additionalData": 1})),
    ])
    .await;
    let url = sink.url("/hook");
    let start = [
        "start",
        "--url",
        &url,
        "--header",
        "X-Key: a: b",
        "--agent-data",
        r#"{"a":1}"#,
    ];
    let (text, code) = said(&run(&server, &start).await);
    assert_eq!(code, Some(0), "{text}");
    let request = sink.requests().pop().expect("a request");
    assert_eq!(request.header("x-key"), "a: b");
    assert_eq!(request.json()["agentAdditionalData"], json!({"a": 1}));
    let (text, code) = said(&run(&server, &["start", "--url", &url]).await);
    assert_eq!(code, Some(1), "{text}");
    let faults = text
        .lines()
        .filter(|line| line.starts_with("  ") && line.contains(": "));
    let faults: Vec<_> = faults.take_while(|line| !line.contains('"')).collect();
    assert_eq!(faults.len(), 4, "one to a line:\n{text}");
    assert!(
        faults[0].starts_with("  overrideAgentConfig.primaryLanguage: required"),
        "{text}"
    );
    for about in ["transfer", "completed", "failed", "deadline", "unknown"] {
        run(&server, &[about, "--url", &url]).await;
        let named = sink.requests().pop().expect("a request").json()["type"].clone();
        let named = named.as_str().expect("a type").to_lowercase();
        assert!(named.contains(about), "{about}: {named}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_said_with_the_next_step() {
    let server = Server::start();
    for (arguments, code, part) in [
        (&["start"][..], 2, "--source"),
        (
            &["start", "--source", "a", "--url", "b"],
            2,
            "cannot be used with",
        ),
        (&["tool", "--source", "a"], 2, "--tool"),
        (&["begin", "--source", "a"], 2, "possible values"),
        (
            &["start", "--url", "b", "--call-data", "[]"],
            2,
            "expected a JSON object",
        ),
        (
            &["start", "--url", "b", "--header", "x"],
            2,
            "expected a name and a value",
        ),
        (
            &["start", "--source", "nobody"],
            1,
            "there is no source \"nobody\"",
        ),
        (
            &["start", "--source", "src_1"],
            1,
            "there is no source src_1",
        ),
        (&["start", "--url", "nowhere"], 1, "webHook.url"),
        (
            &["start", "--url", "https://127.0.0.1/"],
            1,
            "not a public one",
        ),
    ] {
        let (text, found) = said(&run(&server, arguments).await);
        assert_eq!(found, Some(code), "{arguments:?}: {text}");
        assert!(text.contains(part), "{arguments:?}: {text}");
    }
}
