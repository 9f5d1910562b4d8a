//! Requests of an administrator that say something the server cannot take.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{assert_none_wrong, send};
use crate::payload::With;
use crate::server::Server;

/// A row: what is wrong, as changes to a sound body, and the problem it makes.
type Row = (Value, &'static str, &'static str);

#[tokio::test]
async fn a_source_with_a_fault_is_refused_and_the_field_is_named() {
    let server = Server::start();
    let before = server.contents().await;
    let header =
        |name: Value, values: Value| json!([{"type": "header", "name": name, "values": values}]);
    let hmac = |header: Value, secrets: Value| json!([{"type": "hmac", "header": header, "secrets": secrets}]);
    let rows: Vec<Row> = vec![
        (json!({"name": null}), "missing_field", "name"),
        (json!({"name": 7}), "invalid_field", "name"),
        (json!({"name": ""}), "invalid_field", "name"),
        (json!({"name": "x".repeat(2000)}), "invalid_field", "name"),
        (json!({"nmae": "main-line"}), "invalid_field", "nmae"),
        (json!({"dialect": "morse"}), "invalid_field", "dialect"),
        (json!({"proof": "secret"}), "invalid_field", "proof"),
        (
            json!({"proof": [{"type": "handshake"}]}),
            "invalid_field",
            "proof[0].type",
        ),
        (
            json!({"proof": [{"name": "x"}]}),
            "missing_field",
            "proof[0].type",
        ),
        (
            json!({"proof": header(json!("X-Key"), json!([]))}),
            "invalid_field",
            "proof[0].values",
        ),
        (
            json!({"proof": header(json!("X-Key"), json!([""]))}),
            "invalid_field",
            "proof[0].values[0]",
        ),
        (
            json!({"proof": header(json!("X-Key"), json!(["one", "two\nlines"]))}),
            "invalid_field",
            "proof[0].values[1]",
        ),
        (
            json!({"proof": header(json!("X-Key"), json!(["ends in a space "]))}),
            "invalid_field",
            "proof[0].values[0]",
        ),
        (
            json!({"proof": header(json!("X Key"), json!(["s"]))}),
            "invalid_field",
            "proof[0].name",
        ),
        (
            json!({"proof": hmac(json!("X-Sig"), json!([]))}),
            "invalid_field",
            "proof[0].secrets",
        ),
        (
            json!({"proof": hmac(json!("X-Sig"), json!([""]))}),
            "invalid_field",
            "proof[0].secrets[0]",
        ),
        (
            json!({"proof": hmac(json!(""), json!(["s"]))}),
            "invalid_field",
            "proof[0].header",
        ),
        (
            json!({"proof": [{"type": "hmac", "header": "X-Sig"}]}),
            "missing_field",
            "proof[0].secrets",
        ),
        (
            json!({"timeouts_ms": {"start": "soon"}}),
            "invalid_field",
            "timeouts_ms.start",
        ),
        (
            json!({"timeouts_ms": {"start": 0}}),
            "invalid_field",
            "timeouts_ms.start",
        ),
        (
            json!({"timeouts_ms": {"tool": -1}}),
            "invalid_field",
            "timeouts_ms.tool",
        ),
        (
            json!({"timeouts_ms": {"call": 5}}),
            "invalid_field",
            "timeouts_ms.call",
        ),
        (json!({"margin_ms": "x"}), "invalid_field", "margin_ms"),
        // Nothing would be left for the plugin.
        (
            json!({"margin_ms": 60_000}),
            "invalid_field",
            "timeouts_ms.start",
        ),
    ];
    refuses_each(&server, "/sources", &json!({"name": "main-line"}), rows).await;
    assert_eq!(server.contents().await, before);
}

#[tokio::test]
async fn a_binding_with_a_fault_is_refused_and_the_field_is_named() {
    let server = Server::start();
    server.install("start-gate").await;
    let source = server.source("main-line").await;
    let before = server.contents().await;
    let rows: Vec<Row> = vec![
        (json!({"plugin": null}), "missing_field", "plugin"),
        (json!({"plugin": 7}), "invalid_field", "plugin"),
        (
            json!({"plugin": "no-such-plugin"}),
            "invalid_field",
            "plugin",
        ),
        (json!({"version": 2}), "invalid_field", "version"),
        (json!({"version": 0}), "invalid_field", "version"),
        (json!({"version": "one"}), "invalid_field", "version"),
        (json!({"confg": {}}), "invalid_field", "confg"),
        (json!({"config": "x"}), "invalid_field", "config"),
        (json!({"selector": "x"}), "invalid_field", "selector"),
        (
            json!({"selector": {"source": "src_nowhere"}}),
            "invalid_field",
            "selector.source",
        ),
        (
            json!({"selector": {"kind": "Call Begin"}}),
            "invalid_field",
            "selector.kind",
        ),
        (
            json!({"selector": {"agnet": "a"}}),
            "invalid_field",
            "selector.agnet",
        ),
        (
            json!({"selector": {"agent": ["a"]}}),
            "invalid_field",
            "selector.agent",
        ),
        (
            json!({"selector": {"tool": "no name"}}),
            "invalid_field",
            "selector.tool",
        ),
        (
            json!({"limits": {"time_ms": 0}}),
            "invalid_field",
            "limits.time_ms",
        ),
        (
            json!({"limits": {"time_ms": "x"}}),
            "invalid_field",
            "limits.time_ms",
        ),
        (
            json!({"limits": {"memory_bytes": 0}}),
            "invalid_field",
            "limits.memory_bytes",
        ),
        (
            json!({"limits": {"memory_bytes": -1}}),
            "invalid_field",
            "limits.memory_bytes",
        ),
        (
            json!({"limits": {"fuel": 1}}),
            "invalid_field",
            "limits.fuel",
        ),
    ];
    let sound = json!({"plugin": "start-gate", "selector": {"source": source.id}});
    refuses_each(&server, "/bindings", &sound, rows).await;
    assert_eq!(server.contents().await, before);
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused() {
    let server = Server::start();
    server.source("main-line").await;
    let before = server.contents().await;
    let reply = server.post("/sources", &json!({"name": "main-line"})).await;
    reply.expect_problem(409, "name_taken", Some("name"));
    assert_eq!(server.contents().await, before);
}

#[tokio::test]
async fn a_body_that_is_not_json_or_not_an_object_is_refused() {
    let server = Server::start();
    let before = server.contents().await;
    for path in ["/sources", "/bindings"] {
        for (body, status, code) in [
            ("", 400, "invalid_json"),
            ("{\"name\":", 400, "invalid_json"),
            ("name=main-line", 400, "invalid_json"),
            ("[]", 422, "invalid_field"),
            ("null", 422, "invalid_field"),
        ] {
            let request = server
                .admin(Method::POST, path)
                .header("content-type", "application/json")
                .body(body);
            let reply = send(request).await;
            println!("{path} {body:?}: {}", reply.text);
            assert_eq!(
                (reply.status, reply.body["code"].as_str()),
                (status, Some(code))
            );
        }
    }
    assert_eq!(server.contents().await, before);
}

#[tokio::test]
async fn a_body_of_another_media_type_is_refused() {
    let server = Server::start();
    let before = server.contents().await;
    for media_type in [
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        None,
    ] {
        for path in ["/sources", "/bindings"] {
            let mut request = server
                .admin(Method::POST, path)
                .body("{\"name\":\"main-line\"}");
            if let Some(media_type) = media_type {
                request = request.header("content-type", media_type);
            }
            send(request)
                .await
                .expect_problem(415, "unsupported_media_type", None);
        }
    }
    assert_eq!(server.contents().await, before);
}

#[tokio::test]
async fn a_request_over_the_cap_is_refused() {
    let server = Server::start();
    let before = server.contents().await;
    let padded = json!({"name": "main-line", "padding": "x".repeat(1024 * 1024)});
    let reply = server.post("/sources", &padded).await;
    reply.expect_problem(413, "body_too_large", None);
    assert_eq!(server.contents().await, before);
}

/// Sends the sound body with each of the changes and checks the problem.
async fn refuses_each(server: &Server, path: &str, sound: &Value, rows: Vec<Row>) {
    let mut wrong = Vec::new();
    for (change, code, field) in rows {
        let reply = server.post(path, &sound.clone().with(change.clone())).await;
        if let Err(difference) = reply.is_problem(422, code, Some(field)) {
            wrong.push(format!("{change}: {difference}"));
        }
    }
    assert_none_wrong(&wrong);
}
