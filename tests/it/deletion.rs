//! What goes with a deleted object, and what stays.

use serde_json::json;

use crate::payload;
use crate::server::Server;

#[tokio::test]
async fn a_deleted_source_takes_no_events_and_its_old_ones_stay() {
    let server = Server::start();
    let source = server.source("main-line").await;
    server.install("start-gate").await;
    let binding = server
        .bind(&json!({"plugin": "start-gate", "selector": {"source": source.id}}))
        .await;
    let elsewhere = server.bind(&json!({"plugin": "start-gate"})).await;
    let event = server.hook(&source, &payload::start()).await.event();

    assert_eq!(
        server
            .delete(&format!("/sources/{}", source.id))
            .await
            .status,
        204
    );

    server
        .hook(&source, &payload::start())
        .await
        .expect_problem(404, "unknown_source", None);
    assert_eq!(server.event(&event).await["source"], source.id);
    server
        .get(&format!("/bindings/{binding}"))
        .await
        .expect_problem(404, "not_found", None);
    server
        .get(&format!("/bindings/{elsewhere}"))
        .await
        .expect(200);
    let again = server.delete(&format!("/sources/{}", source.id)).await;
    again.expect_problem(404, "not_found", None);
}

#[tokio::test]
async fn a_deleted_binding_is_not_asked() {
    let server = Server::start();
    let source = server.source("main-line").await;
    server.install("start-gate").await;
    let binding = server
        .bind(&json!({"plugin": "start-gate", "config": {"blocked": ["+14155551234"]}}))
        .await;
    let reply = server.hook(&source, &payload::start()).await.expect(200);
    assert_eq!(reply["accept"], false);

    assert_eq!(
        server.delete(&format!("/bindings/{binding}")).await.status,
        204
    );

    let reply = server.hook(&source, &payload::start()).await.expect(200);
    assert_eq!(reply["accept"], true);
}
