//! What an organization may have: what is more is refused, and leaves nothing behind.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Reply, send};
use crate::server::{Launch, Server};
use crate::{guests, payload};

/// The organization that the administrator's token belongs to.
async fn own_organization(server: &Server) -> String {
    let me = server.get("/whoami").await.expect(200);
    me["organization"]["id"].as_str().expect("an id").to_owned()
}

async fn set_quotas(server: &Server, quotas: &Value) -> Reply {
    let path = format!("/organizations/{}", own_organization(server).await);
    let request = server
        .admin(Method::PATCH, &path)
        .header("if-match", "*")
        .json(&json!({"quotas": quotas}));
    send(request).await
}

/// The same plugin in other bytes.
fn rebuilt(guest: &str) -> Vec<u8> {
    let mut component = guests::component(guest);
    component.extend([0, 2, 1, b'r']);
    component
}

#[tokio::test]
async fn a_plugin_more_than_the_quota_is_refused_whole() {
    let server = Server::start();
    let gate = guests::component("start-gate");
    server.upload("gate", gate.clone()).await.expect(201);
    set_quotas(&server, &json!({"plugins": 1}))
        .await
        .expect(200);
    let before = (server.contents().await, server.all("/audit").await);

    let reply = server.upload("another", gate.clone()).await;
    reply.expect_problem(409, "quota_exceeded", None);
    assert_eq!(
        reply.body["quota"],
        json!({"name": "plugins", "used": 1, "most": 1})
    );
    let after = (server.contents().await, server.all("/audit").await);
    assert_eq!(after, before);

    // Versions of the one there is are none more, and what is raised holds at once.
    server.upload("gate", gate.clone()).await.expect(200);
    server
        .upload("gate", rebuilt("start-gate"))
        .await
        .expect(201);
    set_quotas(&server, &json!({"plugins": 2}))
        .await
        .expect(200);
    server.upload("another", gate).await.expect(201);
}

#[tokio::test]
async fn bytes_are_counted_over_all_versions_of_all_plugins() {
    let server = Server::start();
    let (gate, again) = (guests::component("start-gate"), rebuilt("start-gate"));
    let both = (gate.len() + again.len()) as u64;
    let quotas = json!({"plugin_bytes": both + 1});
    set_quotas(&server, &quotas).await.expect(200);
    server.upload("gate", gate.clone()).await.expect(201);
    server.upload("gate", again).await.expect(201);
    let before = (server.contents().await, server.all("/audit").await);

    for plugin in ["gate", "another"] {
        let reply = server.upload(plugin, guests::component("misbehave")).await;
        reply.expect_problem(409, "quota_exceeded", None);
        assert_eq!(
            reply.body["quota"],
            json!({"name": "plugin_bytes", "used": both, "most": both + 1})
        );
    }
    let after = (server.contents().await, server.all("/audit").await);
    assert_eq!(after, before);
    // What is known takes no more room.
    server.upload("gate", gate).await.expect(200);
}

#[tokio::test]
async fn usage_is_shown_beside_the_quotas_that_hold() {
    let everybodys = "[quotas]\nplugins = 5\ncalls_per_second = 1000\n";
    let server = Launch::new().configuration(everybodys).start();
    let gate = guests::component("start-gate");
    let bytes = gate.len();
    server.upload("gate", gate).await.expect(201);
    let source = server.source("main-line").await;
    for _ in 0..3 {
        server.hook(&source, &payload::start()).await.expect(200);
    }
    let expected = |plugins: u32, events: Value| {
        json!({
            "plugins": {"used": 1, "quota": plugins},
            "plugin_bytes": {"used": bytes, "quota": null},
            "events": {"used": 3, "quota": events},
            "calls_per_second": {"quota": 1000},
        })
    };
    let usage = server.get("/usage").await.expect(200);
    assert_eq!(usage, expected(5, Value::Null));

    let own = json!({"plugins": 7, "events_kept": 9});
    set_quotas(&server, &own).await.expect(200);
    let usage = server.get("/usage").await.expect(200);
    assert_eq!(usage, expected(7, json!(9)));
}

#[tokio::test]
async fn quotas_of_the_configuration_hold_for_who_has_none() {
    let launch = Launch::new().configuration("[quotas]\nplugins = 0\n");
    let server = launch.start();
    let gate = guests::component("start-gate");
    let reply = server.upload("gate", gate.clone()).await;
    reply.expect_problem(409, "quota_exceeded", None);
    set_quotas(&server, &json!({"plugins": 1}))
        .await
        .expect(200);
    server.upload("gate", gate).await.expect(201);
}

#[tokio::test]
async fn a_quota_that_is_none_is_refused_and_named() {
    let server = Server::start();
    for (quotas, field) in [
        (json!({"calls_per_second": 0}), "quotas.calls_per_second"),
        (json!({"plugins": -1}), "quotas.plugins"),
        (json!({"event_kept": 1}), "quotas.event_kept"),
    ] {
        let reply = set_quotas(&server, &quotas).await;
        reply.expect_problem(422, "invalid_field", Some(field));
    }
}

/// What a repetition may ask for is never pruned, and all of this is younger.
#[tokio::test]
async fn events_of_the_last_hour_stay_beyond_the_quota() {
    let server = Launch::new()
        .configuration("[quotas]\nevents_kept = 1\n")
        .start();
    let source = server.source("main-line").await;
    for _ in 0..3 {
        server.hook(&source, &payload::start()).await.expect(200);
    }
    let server = server.stop().start();
    assert_eq!(server.all("/events").await.len(), 3);
    let usage = server.get("/usage").await.expect(200);
    assert_eq!(usage["events"], json!({"used": 3, "quota": 1}));
    server.stop();
}
