//! `hookswitch source`, `plugin`, `binding`, `endpoint`, `secret`, `event`, …: everything a
//! server has, at the command line.

use serde_json::json;

use crate::binary;
use crate::command_line::{assert_printed, complaint, ended, parsed, printed, told};
use crate::guests;
use crate::payload;
use crate::server::{ADMIN_TOKEN, Launch, Server};

/// A server that may deliver to this machine.
fn server() -> Server {
    Launch::new()
        .configuration("[egress]\nplain_endpoints = true\n")
        .start()
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_are_created_shown_changed_and_deleted() {
    let server = server();
    assert_eq!(
        printed(&server.run(&["source", "list"]).await),
        "no sources\n"
    );
    let create = [
        "source",
        "create",
        "main",
        "--set",
        "timeouts_ms.start=8000",
    ];
    assert_printed!("cli_source", printed(&server.run(&create).await));
    assert_printed!(
        "cli_sources",
        printed(&server.run(&["source", "list"]).await)
    );
    let update = [
        "source",
        "update",
        "main",
        "--set",
        "timeouts_ms.tool=3000",
        "--json",
    ];
    let updated = parsed(&server.run(&update).await);
    let timeouts = json!({"start": 8000, "transfer": 10_000, "tool": 3000});
    assert_eq!(updated["timeouts_ms"], timeouts);
    let id = updated["id"].as_str().unwrap();
    let shown = parsed(&server.run(&["source", "show", id, "--json"]).await);
    assert_eq!(
        shown,
        server.get(&format!("/sources/{id}")).await.expect(200)
    );
    let unset = [
        "source",
        "update",
        "main",
        "--unset",
        "timeouts_ms",
        "--json",
    ];
    let updated = parsed(&server.run(&unset).await);
    assert_eq!(updated["timeouts_ms"]["start"], 10_000);
    let said = printed(&server.run(&["source", "delete", "main"]).await);
    assert_eq!(said, "source main is deleted\n");
    let gone = complaint(&server.run(&["source", "show", "main"]).await);
    assert!(gone.contains("there is no source \"main\""), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_come_from_a_file() {
    let server = server();
    let file = server.directory().join("source.toml");
    std::fs::write(
        &file,
        "margin_ms = 700\n[[proof]]\ntype = \"hmac\"\nheader = \"X-Sig\"\nsecrets = [\"s\"]\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let create = ["source", "create", "main", "--file", file, "--json"];
    let source = parsed(&server.run(&create).await);
    assert_eq!(source["margin_ms"], 700);
    assert_eq!(
        source["proof"],
        json!([{"type": "hmac", "header": "x-sig"}])
    );
    let create = ["source", "create", "other", "--file", "-", "--json"];
    let source = told(server.command(&create), "{\"margin_ms\": 800}").await;
    assert_eq!(parsed(&source)["margin_ms"], 800);
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_are_uploaded_bound_and_asked() {
    let server = server();
    let source = server.source("main").await;
    let gate = guests::path("start-gate");
    let gate = gate.to_str().unwrap();
    let pushed = printed(&server.run(&["plugin", "push", gate]).await);
    for part in ["start-gate version 1", "start-handler", "wants kv"] {
        assert!(pushed.contains(part), "{part} is missing:\n{pushed}");
    }
    let again = parsed(&server.run(&["plugin", "push", gate, "--json"]).await);
    assert_eq!(again["version"], 1);
    assert_printed!(
        "cli_plugins",
        printed(&server.run(&["plugin", "list"]).await)
    );
    assert_printed!(
        "cli_plugin",
        printed(&server.run(&["plugin", "show", "start-gate"]).await)
    );
    let config = server.directory().join("gate.json");
    std::fs::write(&config, "{\"blocked\": [\"+14155551234\"]}").unwrap();
    let create = [
        "binding",
        "create",
        "start-gate",
        "--source",
        "main",
        "--kind",
        "call.start",
        "--config",
        config.to_str().unwrap(),
        "--set",
        "grants.kv={}",
    ];
    assert_printed!("cli_binding", printed(&server.run(&create).await));
    assert_printed!(
        "cli_bindings",
        printed(&server.run(&["binding", "list"]).await)
    );
    let answer = server.hook(&source, &payload::start()).await.expect(200);
    assert_eq!(answer["accept"], false);

    let update = [
        "binding",
        "update",
        "start-gate",
        "--set",
        "config.blocked=[]",
        "--json",
    ];
    let binding = parsed(&server.run(&update).await);
    assert_eq!(binding["config"], json!({"blocked": []}));
    assert_eq!(binding["grants"]["kv"]["entries"], 100_000);
    let answer = server.hook(&source, &payload::start()).await.expect(200);
    assert_eq!(answer["accept"], true);

    let events = printed(&server.run(&["event", "list", "--source", "main"]).await);
    assert_printed!("cli_events", events);
    let list = [
        "event",
        "list",
        "--kind",
        "call.start",
        "--limit",
        "1",
        "--json",
    ];
    let event = parsed(&server.run(&list).await);
    let id = event["data"][0]["id"].as_str().unwrap();
    let shown = printed(&server.run(&["event", "show", id]).await);
    for part in [
        id,
        "call.start",
        "payload",
        "start-gate version 1: answered",
    ] {
        assert!(shown.contains(part), "{part} is missing:\n{shown}");
    }
    let decisions = printed(&server.run(&["decision", "list"]).await);
    for part in ["answered", "start-gate v1", "\"decision\":\"accept\""] {
        assert!(decisions.contains(part), "{part} is missing:\n{decisions}");
    }
    let all = parsed(&server.run(&["decision", "list", "--all", "--json"]).await);
    assert_eq!(all["data"].as_array().unwrap().len(), 2);
    let deleted = printed(&server.run(&["binding", "delete", "start-gate"]).await);
    assert_eq!(deleted, "binding start-gate is deleted\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_logs_is_read_from_its_end() {
    let server = server();
    let source = server.source("main").await;
    server.install("start-gate").await;
    server.install("transfer-router").await;
    let none = printed(&server.run(&["plugin", "logs", "start-gate"]).await);
    assert_eq!(none, "no log lines\n");
    let config = json!({"blocked": ["+14155551234"]});
    let id = server
        .bind(&json!({"plugin": "start-gate", "config": config}))
        .await;
    let mut events = Vec::new();
    for _ in 0..3 {
        events.push(server.hook(&source, &payload::start()).await.event());
    }
    let table = printed(&server.run(&["plugin", "logs", "start-gate"]).await);
    assert!(
        table.contains("info") && table.contains("rejected"),
        "{table}"
    );
    let first = ["plugin", "logs", "start-gate", "--limit", "2", "--json"];
    let first = parsed(&server.run(&first).await);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = ["plugin", "logs", "start-gate", "--cursor", cursor, "--json"];
    let rest = parsed(&server.run(&rest).await);
    assert_eq!(rest["next_cursor"], json!(null));
    let lines = [&first, &rest].map(|page| page["data"].as_array().unwrap().clone());
    let lines = lines.concat();
    events.reverse();
    let of: Vec<_> = lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(of, events);
    assert!(lines.iter().all(|line| line["binding"] == *id), "{lines:?}");
    let all = ["plugin", "logs", "start-gate", "--all", "--json"];
    assert_eq!(parsed(&server.run(&all).await)["data"], json!(lines));
    let other = printed(&server.run(&["plugin", "logs", "transfer-router"]).await);
    assert_eq!(other, "no log lines\n");
    let bad = server.get("/plugins/start-gate/logs?cursor=x").await;
    bad.expect_problem(400, "invalid_parameter", Some("cursor"));
    let nobody = server.get("/plugins/nobody/logs").await;
    nobody.expect_problem(404, "not_found", None);
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_are_created_changed_rotated_and_deleted() {
    let server = server();
    let create = [
        "endpoint",
        "create",
        "crm",
        "http://127.0.0.1:1/crm",
        "--kind",
        "call.*",
    ];
    assert_printed!("cli_endpoint", printed(&server.run(&create).await));
    assert_printed!(
        "cli_endpoints",
        printed(&server.run(&["endpoint", "list"]).await)
    );
    let update = [
        "endpoint",
        "update",
        "crm",
        "--set",
        "enabled=false",
        "--json",
    ];
    let updated = parsed(&server.run(&update).await);
    assert_eq!(updated["enabled"], false);
    let rotate = ["endpoint", "rotate", "crm", "--overlap-seconds", "60"];
    let rotated = printed(&server.run(&rotate).await);
    assert!(rotated.contains("whsec_"), "{rotated}");
    let health = parsed(&server.run(&["endpoint", "health", "crm", "--json"]).await);
    assert_eq!(health["owed"], 0);
    let recovered = ["endpoint", "recover", "crm", "--since", "1h"];
    let said = printed(&server.run(&recovered).await);
    assert!(
        said.ends_with("is done: 0 looked at, 0 owed now\n"),
        "{said}"
    );
    let jobs = parsed(&server.run(&["job", "list", "--json"]).await);
    let id = jobs["data"][0]["id"].as_str().unwrap();
    let shown = printed(&server.run(&["job", "show", id, "--wait"]).await);
    assert!(
        shown.contains("recover") && shown.contains("done"),
        "{shown}"
    );
    let deleted = printed(&server.run(&["endpoint", "delete", "crm"]).await);
    assert_eq!(deleted, "endpoint crm is deleted\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_come_from_standard_input_or_a_file_and_are_never_shown() {
    let server = server();
    let set = server.command(&["secret", "set", "crm"]);
    let said = printed(&told(set, "s3cret\n").await);
    assert_eq!(said, "secret crm is set\n");
    let file = server.directory().join("secret");
    std::fs::write(&file, "0ther\n").unwrap();
    let set = ["secret", "set", "other", "--file", file.to_str().unwrap()];
    printed(&server.run(&set).await);
    let list = printed(&server.run(&["secret", "list"]).await);
    assert_printed!("cli_secrets", list);
    let empty = complaint(&told(server.command(&["secret", "set", "crm"]), "\n").await);
    assert!(empty.contains("the secret is empty"), "{empty}");
    printed(&server.run(&["secret", "delete", "crm"]).await);
    let gone = complaint(&server.run(&["secret", "delete", "crm"]).await);
    assert!(gone.contains("there is no secret"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_go_on_and_are_given_whole() {
    let server = server();
    for number in 0..5 {
        server.source(&format!("line-{number}")).await;
    }
    let first = parsed(
        &server
            .run(&["source", "list", "--limit", "2", "--json"])
            .await,
    );
    let cursor = first["next_cursor"].as_str().unwrap().to_owned();
    let cursor = cursor.as_str();
    let second = [
        "source", "list", "--limit", "2", "--cursor", cursor, "--json",
    ];
    let second = parsed(&server.run(&second).await);
    let all = parsed(&server.run(&["source", "list", "--all", "--json"]).await);
    let [first, second, all] =
        [first, second, all].map(|page| page["data"].as_array().unwrap().clone());
    assert_eq!(all[..4], [first, second].concat());
    assert_eq!(all.len(), 5);
    let table = printed(&server.run(&["source", "list", "--limit", "2"]).await);
    assert!(
        table.contains(&format!("--cursor {cursor}, or --all")),
        "{table}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_answered_with_the_next_step() {
    let server = server();
    server.install("start-gate").await;
    server.bind(&json!({"plugin": "start-gate"})).await;
    server
        .bind(&json!({"plugin": "start-gate", "selector": {"agent": "a"}}))
        .await;
    for (arguments, part) in [
        (
            &["binding", "create", "nobody"][..],
            "there is no plugin nobody",
        ),
        (
            &["binding", "show", "start-gate"],
            "which binding? \"start-gate\" may mean bnd_",
        ),
        (
            &["binding", "create", "start-gate", "--source", "nowhere"],
            "there is no source \"nowhere\"",
        ),
        (&["plugin", "show", "nobody"], "there is no plugin nobody"),
        (
            &["plugin", "push", "/nowhere.wasm"],
            "cannot read /nowhere.wasm",
        ),
        (&["source", "create", "main", "--set", "margin=1"], "margin"),
        (&["source", "update", "main"], "there is no source \"main\""),
        (
            &["event", "show", "src_1"],
            "is no id of an event; such an id begins with evt_",
        ),
        (&["endpoint", "create", "crm", "nowhere"], "url"),
        (
            &["endpoint", "update", "crm", "--file", "/nowhere"],
            "there is no endpoint",
        ),
    ] {
        let said = complaint(&server.run(arguments).await);
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
    server.source("main").await;
    let said = complaint(&server.run(&["source", "update", "main"]).await);
    assert!(said.contains("what is to be changed?"), "{said}");
    let broken = server.directory().join("broken.toml");
    std::fs::write(&broken, "margin_ms = \n").unwrap();
    let create = ["source", "create", "x", "--file", broken.to_str().unwrap()];
    let said = complaint(&server.run(&create).await);
    assert!(
        said.contains("broken.toml is not valid TOML") && said.contains("line 1"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_wants_more_is_confirmed_by_the_command_that_is_shown() {
    let server = server();
    server
        .upload("gate", guests::component("start-gate"))
        .await
        .expect(201);
    let id = server
        .bind(&json!({"plugin": "gate", "selector": {"kind": "call.start"}}))
        .await;
    let misbehave = guests::path("misbehave");
    let push = [
        "plugin",
        "push",
        misbehave.to_str().unwrap(),
        "--name",
        "gate",
    ];
    let pushed = printed(&server.run(&push).await);
    let difference = format!("{id} runs version 1, and would want more: http");
    assert!(pushed.contains(&difference), "{pushed}");
    let activate = ["binding", "activate", &id, "2"];
    let said = complaint(&server.run(&activate).await);
    assert!(said.contains("+ http"), "{said}");
    let command = said.split_once("to let it: hookswitch ").unwrap().1.trim();
    let arguments: Vec<&str> = command.split(' ').collect();
    let activated = printed(&server.run(&arguments).await);
    assert_eq!(activated, format!("{id} runs gate version 2 from now on\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_nobody_reads_to_its_end_is_no_error() {
    let server = server();
    for number in 0..20 {
        server.source(&format!("line-{number}")).await;
    }
    let mut shell = std::process::Command::new("sh");
    let line = format!(
        "set -o pipefail 2>/dev/null; '{}' source list --all | true",
        binary::hookswitch().display()
    );
    shell
        .args(["-c", &line])
        .env("HOOKSWITCH_SERVER", server.url())
        .env("HOOKSWITCH_TOKEN", ADMIN_TOKEN);
    let output = ended(shell).await;
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
