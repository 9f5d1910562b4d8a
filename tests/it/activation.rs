//! Another version of a bound plugin: shown as a difference, confirmed, activated,
//! and gone back to.

use serde_json::json;

use crate::guests;
use crate::payload;
use crate::server::Server;

/// A plugin whose second version wants HTTP, which its first did not.
async fn two_versions(server: &Server) -> String {
    let first = guests::component("start-gate");
    server.upload("gate", first).await.expect(201);
    let id = server
        .bind(&json!({"plugin": "gate", "selector": {"kind": "call.start"}}))
        .await;
    let second = server
        .upload("gate", guests::component("misbehave"))
        .await
        .expect(201);
    assert_eq!(
        second["differences"],
        json!([{"binding": id, "version": 1, "added": ["http"], "removed": []}]),
    );
    id
}

#[tokio::test]
async fn a_version_that_wants_more_is_activated_only_when_that_is_confirmed() {
    let server = Server::start();
    let source = server.source("main-line").await;
    let id = two_versions(&server).await;
    let activate = format!("/bindings/{id}/activate");

    let refused = server.post(&activate, &json!({"version": 2})).await;
    refused.expect_problem(409, "confirmation_required", Some("confirm"));
    let difference = json!({"added": ["http"], "removed": []});
    assert_eq!(refused.body["difference"], difference, "{}", refused.text);
    assert_eq!(
        server.get(&format!("/bindings/{id}")).await.body["version"],
        1
    );

    let confirmed = json!({"version": 2, "confirm": ["http"]});
    let binding = server.post(&activate, &confirmed).await.expect(200);
    assert_eq!(binding["version"], 2);
    let reply = server.hook(&source, &payload::start()).await;
    let event = server.event(&reply.event()).await;
    assert_eq!(event["decision"]["invocations"][0]["version"], 2);

    // Back again: nothing is wanted more, so nothing is asked.
    let back = server.post(&activate, &json!({"version": 1})).await;
    assert_eq!(back.expect(200)["version"], 1);
    let reply = server.hook(&source, &payload::start()).await;
    let event = server.event(&reply.event()).await;
    assert_eq!(event["decision"]["invocations"][0]["version"], 1);
}

#[tokio::test]
async fn mistakes_in_an_activation_are_named() {
    let server = Server::start();
    let id = two_versions(&server).await;
    let activate = format!("/bindings/{id}/activate");
    for (body, code, field) in [
        (json!({"version": 3}), "invalid_field", "version"),
        (json!({}), "missing_field", "version"),
        (
            json!({"version": 2, "confirm": ["htp"]}),
            "invalid_field",
            "confirm",
        ),
        (
            json!({"version": 1, "confirm": ["http"]}),
            "invalid_field",
            "confirm",
        ),
        (
            json!({"version": 2, "force": true}),
            "invalid_field",
            "force",
        ),
    ] {
        let reply = server.post(&activate, &body).await;
        reply.expect_problem(422, code, Some(field));
    }
    let nobody = format!("/bindings/bnd_{}/activate", "0".repeat(32));
    let missing = server.post(&nobody, &json!({"version": 1})).await;
    missing.expect_problem(404, "not_found", None);
}

#[tokio::test]
async fn a_version_without_the_handler_that_is_asked_is_not_activated() {
    let server = Server::start();
    let first = guests::component("start-gate");
    server.upload("gate", first).await.expect(201);
    let id = server
        .bind(&json!({"plugin": "gate", "selector": {"kind": "call.start"}}))
        .await;
    let second = guests::component("appointment-tools");
    server.upload("gate", second).await.expect(201);
    let refused = server
        .post(&format!("/bindings/{id}/activate"), &json!({"version": 2}))
        .await;
    refused.expect_problem(422, "invalid_field", Some("selector.kind"));
}
