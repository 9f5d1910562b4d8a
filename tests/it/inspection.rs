//! What an upload and `hookswitch inspect` say of a component, and the limits of
//! its compilation.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::server::{Launch, Server};
use crate::{binary, components, guests};

fn inspect(component: &Path, arguments: &[&str]) -> Output {
    let mut command = binary::command();
    command.arg("inspect").arg(component).args(arguments);
    command.output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_command_explains_permissions_needs_and_tools() {
    let output = inspect(&guests::path("appointment-tools"), &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for part in [
        "digest     sha256:",
        "contract   hookswitch:plugin@1.0.0",
        "exports    tool-handler",
        "needs      1 memory",
        "keeps values between calls, if the binding grants it a key-value space [grants.kv]",
        "book_appointment: ",
        "\"properties\"",
    ] {
        assert!(shown.contains(part), "{part:?} is not in:\n{shown}");
    }
}

#[tokio::test]
async fn the_command_and_an_upload_say_the_same() {
    let server = Server::start();
    for guest in [
        "start-gate",
        "transfer-router",
        "appointment-tools",
        "crm-sync",
    ] {
        let output = inspect(&guests::path(guest), &["--json"]);
        let mut said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let uploaded = server.upload(guest, guests::component(guest)).await;
        let mut uploaded = uploaded.expect(201);
        let said = said.as_object_mut().expect("an object");
        assert!(said["compile_ms"].as_u64().expect("a time") > 0);
        for different in ["compile_ms", "plugin", "version", "created_at"] {
            said.remove(different);
            uploaded
                .as_object_mut()
                .expect("an object")
                .remove(different);
        }
        assert_eq!(json!(said), uploaded, "{guest}");
    }
}

#[test]
fn a_refusal_says_what_is_wrong_and_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows: [(&str, Vec<u8>, &str); 6] = [
        ("text", b"hello".to_vec(), "upload the .wasm file"),
        ("module", components::core_module(), "wasm32-wasip2"),
        ("cut", components::truncated(), "upload it again"),
        ("nothing", components::exports_nothing(), "at least one of"),
        (
            "import",
            components::imports_something_unknown(),
            "hookswitch:plugin/kw@1.0.0",
        ),
        (
            "version",
            components::built_against_another_version(),
            "hookswitch:plugin/start-handler@2.0.0",
        ),
    ];
    for (name, bytes, said) in rows {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).expect("a file");
        let output = inspect(&file, &[]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let errors = text(&output.stderr);
        assert!(errors.contains(said), "{name}: {errors}");
    }
    let output = inspect(&folder.path().join("absent"), &[]);
    assert!(text(&output.stderr).contains("cannot read"));
}

#[tokio::test]
async fn another_version_of_the_contract_is_refused_as_such() {
    let server = Server::start();
    let component = components::built_against_another_version();
    let reply = server.upload("gate", component).await;
    reply.expect_problem(422, "wrong_contract_version", None);
}

#[tokio::test]
async fn a_component_that_fits_no_sandbox_is_refused() {
    let server = Server::start();
    let component = components::needs_many_memories();
    let reply = server.upload("gate", component).await;
    reply.expect_problem(422, "needs_too_much", None);
}

#[tokio::test]
async fn the_same_bytes_are_the_same_version() {
    let server = Server::start();
    let component = guests::component("start-gate");
    let first = server.upload("gate", component.clone()).await.expect(201);
    let again = server.upload("gate", component).await.expect(200);
    assert_eq!(first, again);
}

/// A server whose compiler has these limits.
fn limited(compile: &str) -> Server {
    let launch = Launch::new();
    let file = launch.directory().join("hookswitch.toml");
    std::fs::write(&file, format!("[compile]\n{compile}\n")).expect("a file");
    launch.argument("--config").argument(file).start()
}

#[tokio::test]
async fn a_compilation_over_its_limits_costs_its_uploader_an_error_and_nobody_else_anything() {
    for (limits, said) in [
        ("seconds = 1", "seconds"),
        ("memory_bytes = 67108864", "bytes of memory"),
    ] {
        let server = limited(limits);
        let before = server.contents().await;
        let reply = server.upload("bomb", components::slow_to_compile()).await;
        reply.expect_problem(422, "compile_limit", None);
        assert!(reply.text.contains(said), "{limits}: {}", reply.text);
        assert_eq!(server.contents().await, before);
        let compiled = server.directory().join("data/compiled");
        assert_eq!(
            crate::server::files_below(&compiled),
            Vec::<std::path::PathBuf>::new(),
            "nothing is left lying about"
        );
    }
}
