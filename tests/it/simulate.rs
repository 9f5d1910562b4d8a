//! `hookswitch simulate`: a platform for authors and for load.

use serde_json::json;

use crate::binary;
use crate::client::Source;
use crate::command_line::{parsed, printed};
use crate::server::Server;

fn file(server: &Server, name: &str, text: &str) -> String {
    let path = server.directory().join(name);
    std::fs::write(&path, text).expect("a file");
    path.to_str().unwrap().to_owned()
}

fn target(server: &Server, source: &Source) -> String {
    format!("{}{}", server.url(), source.hook_path)
}

async fn simulate(server: &Server, more: &[&str]) -> std::process::Output {
    let mut arguments = vec!["simulate"];
    arguments.extend(more);
    server.run(&arguments).await
}

const START: &str = "[[steps]]\nevent = \"start\"\nexpect = { decision = \"accept\" }\n";

#[tokio::test]
async fn what_a_platform_would_send_is_shown_without_a_target() {
    let server = Server::start();
    let scenario = file(&server, "call.toml", START);
    let secret = file(&server, "secret", "key\n");
    let output = simulate(
        &server,
        &[
            "--dialect",
            "retell",
            "--scenario",
            &scenario,
            "--secret-file",
            &secret,
        ],
    )
    .await;
    let shown = printed(&output);
    assert!(shown.contains("# start\n"), "{shown}");
    assert!(shown.contains("x-retell-signature: v="), "{shown}");
    assert!(shown.contains("\"call_inbound\":{\"agent_id\":"), "{shown}");
}

#[tokio::test]
async fn a_reply_that_is_not_expected_is_shown_and_ends_with_1() {
    let server = Server::start();
    let source = server.source("main-line").await;
    let scenario = "[[steps]]\nevent = \"start\"\nexpect = { decision = \"reject\" }\n\
                    [[steps]]\nevent = \"tool\"\nname = \"book\"\n\
                    [[steps]]\nevent = \"tool\"\nname = \"book\"\n\
                    expect = { decision = \"unavailable\" }\n\
                    [[steps]]\nevent = \"completed\"\n";
    let scenario = file(&server, "call.toml", scenario);
    let target = target(&server, &source);
    let arguments = [
        "--dialect",
        "dasha",
        "--scenario",
        &scenario,
        "--target",
        &target,
    ];
    let output = simulate(&server, &arguments).await;
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains(r#"expected {"decision":"reject"}, but the answer is {"decision":"accept"}"#),
        "{text}"
    );
    assert!(text.contains("the target answered 503"), "{text}");
    assert!(text.contains("no answer, as expected"), "{text}");
    assert!(text.contains("4 requests, 2 failed"), "{text}");

    let arguments = [&arguments[..], &["--json"]].concat();
    let output = simulate(&server, &arguments).await;
    let steps = parsed_failing(&output);
    assert_eq!(steps[0]["outcome"], "failed");
    assert_eq!(steps[3]["outcome"], "acknowledged");
    assert!(steps[3]["elapsed_ms"].is_number());
}

fn parsed_failing(output: &std::process::Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).expect("JSON although it failed")
}

#[tokio::test]
async fn many_calls_are_added_up() {
    let server = Server::start();
    server.install("start-gate").await;
    server.bind(&json!({"plugin": "start-gate"})).await;
    let source = json!({
        "name": "main-line",
        "proof": [
            {"type": "header", "name": "Authorization", "values": ["Bearer token"]},
            {"type": "hmac", "header": "X-Sig", "secrets": ["key"]},
        ],
    });
    let source = server.create_source(&source).await;
    let scenario = file(&server, "call.toml", START);
    let secret = file(&server, "secret", "key\n");
    let target = target(&server, &source);
    let output = simulate(
        &server,
        &[
            "--dialect",
            "dasha",
            "--scenario",
            &scenario,
            "--target",
            &target,
            "--secret-file",
            &secret,
            "--hmac",
            "X-Sig",
            "--header",
            "Authorization: Bearer token",
            "--calls",
            "40",
            "--at-once",
            "8",
            "--json",
        ],
    )
    .await;
    let summary = parsed(&output);
    assert_eq!(
        (&summary["calls"], &summary["failed"]),
        (&json!(40), &json!(0))
    );
    assert!(summary["steps"]["start"]["p99_ms"].is_number(), "{summary}");
    assert_eq!(
        server.all("/events").await.len(),
        40,
        "each is a call of its own"
    );
}

#[tokio::test]
async fn mistakes_are_told_with_the_way_out() {
    let server = Server::start();
    let scenario = file(&server, "call.toml", START);
    let wrong = file(&server, "wrong.toml", "[[steps]]\nevent = \"ring\"\n");
    for (arguments, said) in [
        (
            &["--dialect", "twilio", "--scenario", &scenario][..],
            "there is: dasha, dsai, generic, retell, vapi",
        ),
        (
            &["--dialect", "dasha", "--scenario", "nowhere.toml"],
            "cannot read nowhere.toml",
        ),
        (
            &["--dialect", "dasha", "--scenario", &wrong],
            "unknown variant `ring`",
        ),
        (
            &[
                "--dialect",
                "dasha",
                "--scenario",
                &scenario,
                "--calls",
                "2",
            ],
            "--calls needs a --target",
        ),
        (
            &[
                "--dialect",
                "dasha",
                "--scenario",
                &scenario,
                "--target",
                "hooks",
            ],
            "hooks",
        ),
        (
            &[
                "--dialect",
                "dasha",
                "--scenario",
                &scenario,
                "--calls",
                "0",
            ],
            "0 is not in 1..=1000000",
        ),
        (
            &[
                "--dialect",
                "generic",
                "--scenario",
                &scenario,
                "--secret-file",
                &wrong,
            ],
            "no secret of generic",
        ),
    ] {
        let output = simulate(&server, arguments).await;
        assert!(!output.status.success(), "{arguments:?}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
    let nobody = [
        "--dialect",
        "dasha",
        "--scenario",
        &scenario,
        "--target",
        "http://127.0.0.1:1/",
    ];
    let output = simulate(&server, &nobody).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("the target cannot be reached"), "{text}");
}

#[tokio::test]
async fn the_demos_call_can_be_played() {
    let scenario = binary::workspace().join("demo/call.toml");
    let server = Server::start();
    let scenario = scenario.to_str().unwrap();
    for dialect in ["dasha", "dsai", "generic", "retell", "vapi"] {
        let arguments = ["--dialect", dialect, "--scenario", scenario];
        printed(&simulate(&server, &arguments).await);
    }
}
