//! Uploads that are no plugin.

use reqwest::Method;

use crate::client::{assert_none_wrong, send};
use crate::server::Server;
use crate::{components, guests, raw};

/// The cap on an uploaded component.
const PLUGIN_CAP: usize = 64 * 1024 * 1024;

#[tokio::test]
async fn bytes_that_are_no_plugin_are_refused_each_with_its_own_code() {
    let server = Server::start();
    let before = server.contents().await;
    let rows: [(&str, Vec<u8>, &str); 11] = [
        ("nothing", Vec::new(), "not_wasm"),
        ("text", b"fn on_start() {}".to_vec(), "not_wasm"),
        ("WebAssembly as text", b"(component)".to_vec(), "not_wasm"),
        ("compiled code", components::compiled_code(), "not_wasm"),
        ("a core module", components::core_module(), "core_module"),
        (
            "half a component",
            components::truncated(),
            "truncated_component",
        ),
        (
            "a garbled component",
            components::garbled(),
            "invalid_component",
        ),
        (
            "a component without exports",
            components::exports_nothing(),
            "no_known_export",
        ),
        (
            "another export",
            components::exports_something_else(),
            "no_known_export",
        ),
        (
            "a handler of another form",
            components::exports_a_handler_of_another_form(),
            "no_known_export",
        ),
        (
            "an unknown import",
            components::imports_something_unknown(),
            "unsupported_import",
        ),
    ];
    let mut wrong = Vec::new();
    for (what, bytes, code) in rows {
        let reply = server.upload("gate", bytes).await;
        if let Err(difference) = reply.is_problem(422, code, None) {
            wrong.push(format!("{what}: {difference}"));
        }
    }
    assert_none_wrong(&wrong);
    assert_eq!(
        server.contents().await,
        before,
        "a refused upload left something behind"
    );
}

#[tokio::test]
async fn a_truncation_anywhere_is_refused() {
    let server = Server::start();
    let component = guests::component("start-gate");
    let before = server.contents().await;
    // Whole sections may be missing then, so that the code may differ, but it
    // never is a plugin.
    for part in 1..20 {
        let length = component.len() * part / 20;
        let reply = server.upload("gate", component[..length].to_vec()).await;
        assert_eq!(
            reply.status,
            422,
            "{length} of {} bytes: {}",
            component.len(),
            reply.text
        );
    }
    assert_eq!(server.contents().await, before);
}

#[tokio::test]
async fn a_component_that_never_finishes_its_start_is_refused_in_time() {
    let server = Server::start();
    let before = server.contents().await;
    let sent = std::time::Instant::now();
    let reply = server.upload("gate", components::starts_for_ever()).await;
    assert_eq!(reply.status, 422, "{}", reply.text);
    assert!(
        sent.elapsed() < std::time::Duration::from_secs(30),
        "{:?}",
        sent.elapsed()
    );
    assert_eq!(server.contents().await, before);
}

#[tokio::test]
async fn a_bad_plugin_name_is_refused() {
    let server = Server::start();
    let component = guests::component("start-gate");
    let before = server.contents().await;
    let long = "x".repeat(64);
    let mut wrong = Vec::new();
    for name in [
        "Gate",
        "-gate",
        "start_gate",
        "start%20gate",
        "%C3%BC",
        "..%2Fgate",
        &long,
    ] {
        let reply = server.upload(name, component.clone()).await;
        if let Err(difference) = reply.is_problem(400, "invalid_parameter", Some("name")) {
            wrong.push(format!("{name}: {difference}"));
        }
    }
    assert_none_wrong(&wrong);
    assert_eq!(server.contents().await, before);
}

#[tokio::test]
async fn an_upload_of_another_media_type_is_refused() {
    let server = Server::start();
    let before = server.contents().await;
    for media_type in [Some("application/json"), Some("text/plain"), None] {
        let mut request = server
            .admin(Method::POST, "/plugins/gate/versions")
            .body(guests::component("start-gate"));
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        send(request)
            .await
            .expect_problem(415, "unsupported_media_type", None);
    }
    assert_eq!(server.contents().await, before);
}

#[tokio::test]
async fn an_upload_over_the_cap_is_refused_before_it_is_read() {
    let server = Server::start();
    let before = server.contents().await;
    let head = format!(
        "POST /api/v1/plugins/gate/versions HTTP/1.1\r\nhost: hookswitch\r\n\
         authorization: Bearer {}\r\ncontent-type: application/wasm\r\ncontent-length: {}\r\n\r\n",
        server.token,
        PLUGIN_CAP + 1
    );
    let reply = raw::exchange(server.address, head.as_bytes());
    assert_eq!(
        (reply.status, reply.code()),
        (413, "body_too_large".to_owned()),
        "{}",
        reply.text
    );
    assert_eq!(server.contents().await, before);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let server = Server::start();
    let before = server.contents().await;
    let component = guests::component("start-gate");
    let mut request = format!(
        "POST /api/v1/plugins/gate/versions HTTP/1.1\r\nhost: hookswitch\r\n\
         authorization: Bearer {}\r\ncontent-type: application/wasm\r\ncontent-length: {}\r\n\r\n",
        server.token,
        component.len()
    )
    .into_bytes();
    request.extend_from_slice(&component[..component.len() / 2]);
    raw::send_and_leave(server.address, &request);
    assert_eq!(server.contents().await, before);
    server.upload("gate", component).await.expect(201);
}
