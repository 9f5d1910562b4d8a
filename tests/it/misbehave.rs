//! The guest that does what its setting `mode` says, and bindings to it.
//!
//! Its modes are described in `tests/guests/misbehave/src/lib.rs`.

use serde_json::{Value, json};

use crate::client::Source;
use crate::guests;
use crate::payload::With;
use crate::server::{Launch, Server};

/// A server with the guest uploaded, a source, and an endpoint `echo` that is owed and
/// sent nothing.
pub(crate) async fn server() -> (Server, Source) {
    server_of(Launch::new()).await
}

/// The same, started in that way.
pub(crate) async fn server_of(launch: Launch) -> (Server, Source) {
    let server = launch.start();
    server.install("misbehave").await;
    server.waiting_endpoint("echo").await;
    let source = server.source("main-line").await;
    (server, source)
}

/// A binding of the guest in that mode, to be refined with [`With`].
pub(crate) fn mode(mode: &str) -> Value {
    json!({"plugin": "misbehave", "config": {"mode": mode}, "grants": {"kv": {}}})
}

/// A binding that wants one slow call: busy for so long, then as without a mode.
pub(crate) fn slow(ms: u32) -> Value {
    mode("sleep").with(json!({
        "config": {"mode": "sleep", "ms": ms},
        "limits": {"cpu_ms": 30_000},
    }))
}

/// What the guest answers to a tool call when it behaves.
pub(crate) fn behaved() -> Value {
    json!({"ok": true})
}

/// Replaces the only binding.
pub(crate) async fn rebind(server: &Server, binding: &Value) -> String {
    for old in server.all("/bindings").await {
        let id = old["id"].as_str().expect("an id");
        assert_eq!(server.delete(&format!("/bindings/{id}")).await.status, 204);
    }
    server.bind(binding).await
}

/// Uploads the guest a second time, under another name.
pub(crate) async fn install_as(server: &Server, name: &str) {
    server
        .upload(name, guests::component("misbehave"))
        .await
        .expect(201);
}
