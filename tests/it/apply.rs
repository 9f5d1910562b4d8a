//! `hookswitch apply`: a server is set up as a file says, again and again.

use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};

use crate::command_line::{assert_printed, complaint, parsed, printed, text};
use crate::guests;
use crate::payload;
use crate::server::{Launch, Server};

/// A server, and a file to apply to it.
struct Setup {
    server: Server,
    file: PathBuf,
}

/// Something of everything.
const WHOLE: &str = r#"
[secrets]
crm = "${env:CRM_TOKEN}"

[sources.main-line]
repeat_window_ms = 0
timeouts_ms = { start = 8000 }

[[sources.main-line.proof]]
type = "header"
name = "X-Key"
values = ["${env:HOOK_KEY}"]

[plugins.start-gate]
file = "gate.wasm"

[endpoints.crm]
url = "http://127.0.0.1:1/crm"
filter = { kinds = ["call.completed"] }
headers = { authorization = "Bearer ${secret:crm}" }

[[bindings]]
plugin = "start-gate"
selector = { source = "main-line", kind = "call.start" }
config = { blocked = ["+14155551234"] }
grants = { kv = {} }
on_failure = { start = { decision = "reject", reason = "Please call again later." } }
"#;

impl Setup {
    fn new(text: &str) -> Self {
        let configuration = "[egress]\nplain_endpoints = true\n";
        let server = Launch::new().configuration(configuration).start();
        let file = server.directory().join("setup.toml");
        let setup = Self { server, file };
        setup.write(text);
        setup.component("start-gate");
        setup
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.file, text).unwrap();
    }

    /// Puts a guest where the file's plugin is.
    fn component(&self, guest: &str) {
        let path = self.server.directory().join("gate.wasm");
        std::fs::copy(guests::path(guest), path).unwrap();
    }

    async fn apply(&self, options: &[&str]) -> Output {
        let variables = [("CRM_TOKEN", "s3cret"), ("HOOK_KEY", "k3y")];
        self.apply_with(&variables, options).await
    }

    async fn apply_with(&self, variables: &[(&str, &str)], options: &[&str]) -> Output {
        let file = self.file.to_str().unwrap();
        let mut command = self.server.command(&["apply", file]);
        command.args(options).envs(variables.iter().copied());
        crate::command_line::ended(command).await
    }

    /// Everything that the server has.
    async fn everything(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for list in [
            "/sources",
            "/plugins",
            "/endpoints",
            "/bindings",
            "/secrets",
        ] {
            all.push(self.server.get(list).await.expect(200));
        }
        all
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_applied_and_then_there_is_nothing_to_change() {
    let setup = Setup::new(WHOLE);
    assert_printed!("apply_first", printed(&setup.apply(&[]).await));
    let server = &setup.server;
    let source = &server.all("/sources").await[0];
    let hook = format!("{}{}", server.url(), source["hook_path"].as_str().unwrap());
    let request = server.http.post(&hook).json(&payload::start());
    let reply = crate::client::send(request.header("x-key", "k3y")).await;
    assert_eq!(reply.expect(200)["accept"], false);
    let request = server.http.post(&hook).json(&payload::start());
    crate::client::send(request).await.expect(401);

    let before = setup.everything().await;
    // Who changes nothing needs no secrets.
    let again = setup.apply_with(&[], &[]).await;
    assert_eq!(
        printed(&again),
        "nothing to change: 5 things are as the file says\n"
    );
    let check = setup.apply_with(&[], &["--dry-run", "--exit-code"]).await;
    assert_eq!(check.status.code(), Some(0), "{}", text(&check.stderr));
    assert_eq!(setup.everything().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_the_difference_and_writes_nothing() {
    let setup = Setup::new(WHOLE);
    let before = setup.everything().await;
    let shown = printed(&setup.apply(&["--dry-run"]).await);
    assert!(shown.contains("+ source main-line"), "{shown}");
    assert!(
        !shown.contains("k3y") && !shown.contains("s3cret"),
        "a secret is shown: {shown}"
    );
    let check = setup.apply(&["--dry-run", "--exit-code"]).await;
    assert_eq!(check.status.code(), Some(2), "{}", text(&check.stderr));
    assert_eq!(setup.everything().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_different_is_shown_field_by_field_and_changed() {
    let setup = Setup::new(WHOLE);
    printed(&setup.apply(&[]).await);
    let changed = WHOLE
        .replace("start = 8000", "start = 9000")
        .replace(
            "headers = { authorization = \"Bearer ${secret:crm}\" }",
            "ordered = true",
        )
        .replace("blocked = [\"+14155551234\"]", "blocked = []")
        .replace("name = \"X-Key\"", "name = \"X-Other-Key\"");
    setup.write(&changed);
    assert_printed!("apply_changes", printed(&setup.apply(&[]).await));
    let server = &setup.server;
    assert_eq!(
        server.all("/sources").await[0]["timeouts_ms"]["start"],
        9000
    );
    assert_eq!(server.all("/endpoints").await[0]["headers"], json!({}));
    assert_eq!(
        server.all("/bindings").await[0]["config"],
        json!({"blocked": []})
    );
    let again = printed(&setup.apply(&[]).await);
    assert!(again.starts_with("nothing to change"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_component_is_another_version_that_the_bindings_run() {
    let setup = Setup::new(WHOLE);
    printed(&setup.apply(&[]).await);
    setup.component("misbehave");
    // It wants more than the one before, which somebody has to confirm.
    let refused = complaint(&setup.apply(&[]).await);
    for part in [
        "1 of 2 changes are made",
        "what remains: binding",
        "--confirm http",
    ] {
        assert!(refused.contains(part), "{part} is missing: {refused}");
    }
    let applied = parsed(&setup.apply(&["--confirm", "http", "--json"]).await);
    assert_eq!(applied["unchanged"], 4);
    let change = &applied["changes"][0];
    assert_eq!(change["fields"][0]["field"], "version");
    assert_eq!(
        (&change["state"], &change["answer"]["version"]),
        (&json!("done"), &json!(2))
    );
    // What has been uploaded before is gone back to.
    setup.component("start-gate");
    printed(&setup.apply(&[]).await);
    assert_eq!(setup.server.all("/bindings").await[0]["version"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_set_again_only_when_that_is_wanted() {
    let setup = Setup::new(WHOLE);
    printed(&setup.apply(&[]).await);
    let other = [("CRM_TOKEN", "0ther"), ("HOOK_KEY", "n3w")];
    let kept = printed(&setup.apply_with(&other, &[]).await);
    assert!(kept.starts_with("nothing to change"), "{kept}");
    let rotated = printed(&setup.apply_with(&other, &["--rotate-secrets"]).await);
    for part in [
        "~ secret crm",
        "~ source main-line",
        "proof: ",
        "(set again)",
    ] {
        assert!(rotated.contains(part), "{part} is missing:\n{rotated}");
    }
    let source = &setup.server.all("/sources").await[0];
    let path = source["hook_path"].as_str().unwrap();
    for (key, status) in [("k3y", 401), ("n3w", 200)] {
        let request = setup.server.request(reqwest::Method::POST, path);
        let request = request.header("x-key", key).json(&payload::start());
        assert_eq!(crate::client::send(request).await.status, status, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_file_does_not_name_is_deleted_only_when_that_is_wanted() {
    let setup = Setup::new(WHOLE);
    setup.server.source("old-line").await;
    setup.server.waiting_endpoint("old-crm").await;
    printed(&setup.apply(&[]).await);
    setup.server.bind(&json!({"plugin": "start-gate"})).await;
    let kept = printed(&setup.apply(&[]).await);
    assert!(kept.starts_with("nothing to change"), "{kept}");
    let shown = printed(&setup.apply(&["--prune", "--dry-run"]).await);
    for part in [
        "- binding start-gate (bnd_",
        "- endpoint old-crm",
        "- source old-line",
    ] {
        assert!(shown.contains(part), "{part} is missing:\n{shown}");
    }
    printed(&setup.apply(&["--prune"]).await);
    for list in ["/sources", "/endpoints", "/bindings"] {
        assert_eq!(setup.server.all(list).await.len(), 1, "{list}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_says_what_is_done_and_what_remains() {
    let text = format!("{WHOLE}\n[endpoints.zero]\nurl = \"ftp://nowhere\"\n");
    let setup = Setup::new(&text);
    // A mistake that this program finds: nothing has been done.
    let said = complaint(&setup.apply(&[]).await);
    assert!(
        said.contains("setup.toml:") && said.contains("endpoints.zero.url"),
        "{said}"
    );
    assert!(setup.server.all("/sources").await.is_empty());
    // One that only the server finds.
    setup.write(&WHOLE.replace("kind = \"call.start\"", "tool = \"book\""));
    let output = setup.apply(&["--json"]).await;
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let states = report["changes"].as_array().unwrap().iter();
    let states: Vec<_> = states.map(|it| it["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["done", "done", "done", "done", "failed"]);
    let said = complaint(&setup.apply(&[]).await);
    for part in [
        "0 of 1 changes are made",
        "what remains: binding",
        "selector.tool",
    ] {
        assert!(said.contains(part), "{part} is missing: {said}");
    }
    setup.write(WHOLE);
    let said = printed(&setup.apply(&[]).await);
    assert!(
        said.contains("1 to create, 0 to change, 0 to delete, 4 unchanged"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_refused_with_their_place_before_anything_is_done() {
    let setup = Setup::new("");
    for (text, said) in [
        ("[sources\n", "setup.toml:1:9: "),
        (
            "[sources.main]\nname = \"x\"",
            "setup.toml:2:1: sources.main.name: unknown field",
        ),
        (
            "[plugins.gate]\nfile = \"nowhere.wasm\"",
            "setup.toml:2:1: plugins.gate.file: cannot read",
        ),
        (
            "[[bindings]]\nplugin = \"nobody\"",
            "setup.toml:2:1: bindings[0].plugin: there is no plugin nobody",
        ),
        (
            "[plugins.gate]\nfile = \"gate.wasm\"\n[[bindings]]\nplugin = \"gate\"\nselector = { source = \"x\" }",
            "setup.toml:5:14: bindings[0].selector.source: there is no source x",
        ),
        (
            "[plugins.gate]\nfile = \"gate.wasm\"\n[[bindings]]\nplugin = \"gate\"\n[[bindings]]\nplugin = \"gate\"",
            "setup.toml:5:1: bindings[1]: there is a binding of this plugin with this selector above",
        ),
        (
            "[secrets]\ncrm = \"${env:NOBODY_SETS_THIS}\"",
            "setup.toml:2:1: secrets.crm: the environment has no variable NOBODY_SETS_THIS",
        ),
    ] {
        setup.write(text);
        let complaint = complaint(&setup.apply(&[]).await);
        assert!(complaint.contains(said), "{text}\n{complaint}");
    }
    assert!(setup.server.all("/plugins").await.is_empty());
}
