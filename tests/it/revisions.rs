//! Changes that meet, creations that are sent twice, versions that are taken back.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Reply, send};
use crate::guests;
use crate::server::Server;

async fn patch(server: &Server, path: &str, if_match: Option<&str>, body: &Value) -> Reply {
    let request = server.admin(Method::PATCH, path).json(body);
    send(match if_match {
        Some(tag) => request.header("if-match", tag),
        None => request,
    })
    .await
}

/// One of each that can be changed, and something to change about it.
async fn changeable(server: &Server) -> Vec<(String, Value, Value)> {
    server
        .upload("gate", guests::component("start-gate"))
        .await
        .expect(201);
    let mut things = Vec::new();
    for (list, thing, first, second) in [
        (
            "/sources",
            json!({"name": "line"}),
            json!({"margin_ms": 600}),
            json!({"margin_ms": 700}),
        ),
        (
            "/bindings",
            json!({"plugin": "gate"}),
            json!({"config": {"a": 1}}),
            json!({"config": {"a": 2}}),
        ),
        (
            "/endpoints",
            json!({"name": "crm", "url": "https://example.invalid/"}),
            json!({"description": "1"}),
            json!({"description": "2"}),
        ),
        (
            "/organizations",
            json!({"name": "acme"}),
            json!({"name": "b"}),
            json!({"name": "c"}),
        ),
    ] {
        let created = server.post(list, &thing).await;
        assert_eq!(created.header("etag"), "\"1\"", "{list}");
        let created = created.expect(201);
        let id = created["id"].as_str().expect("an id");
        things.push((format!("{list}/{id}"), first, second));
    }
    things
}

#[tokio::test]
async fn of_two_changes_that_meet_the_second_is_refused() {
    let server = Server::start();
    for (path, first, second) in changeable(&server).await {
        let read = server.get(&path).await;
        let tag = read.header("etag").to_owned();
        let changed = patch(&server, &path, Some(&tag), &first).await;
        assert_eq!(changed.header("etag"), "\"2\"", "{path}: {}", changed.text);
        let late = patch(&server, &path, Some(&tag), &second).await;
        late.expect_problem(412, "precondition_failed", None);
        assert_eq!(late.body["etag"], "\"2\"");
        let unsaid = patch(&server, &path, None, &second).await;
        unsaid.expect_problem(428, "precondition_required", None);
        let wrong = patch(&server, &path, Some("2"), &second).await;
        wrong.expect_problem(400, "invalid_parameter", Some("if-match"));
        patch(&server, &path, Some("\"1\", \"2\""), &second)
            .await
            .expect(200);
        patch(&server, &path, Some("*"), &first).await.expect(200);
        assert_eq!(server.get(&path).await.header("etag"), "\"4\"");
    }
}

#[tokio::test]
async fn of_many_changes_at_once_each_is_made_or_refused() {
    let server = Server::start();
    let things = changeable(&server).await;
    let (path, change, _) = &things[0];
    let changes = (0..16).map(|_| patch(&server, path, Some("\"1\""), change));
    let replies = futures::future::join_all(changes).await;
    let made = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(made, 1);
    let refused = |reply: &Reply| matches!(reply.status, 200 | 409 | 412);
    assert!(replies.iter().all(refused));
}

#[tokio::test]
async fn a_deletion_may_say_what_it_deletes() {
    let server = Server::start();
    for (path, ..) in changeable(&server).await.into_iter().take(3) {
        let request = server.admin(Method::DELETE, &path);
        let late = send(request.header("if-match", "\"7\"")).await;
        late.expect_problem(412, "precondition_failed", None);
        let request = server.admin(Method::DELETE, &path);
        send(request.header("if-match", "\"1\"")).await.expect(204);
    }
}

#[tokio::test]
async fn a_source_is_changed_in_what_is_named() {
    let server = Server::start();
    let proof = json!([{"type": "header", "name": "x-key", "values": ["canary"]}]);
    let source = json!({
        "name": "line", "proof": proof, "margin_ms": 700, "repeat_window_ms": 5,
        "verdicts": {"tool": {"decision": "answer", "result": {"z": 1, "a": 1.50}}},
    });
    let source = server.post("/sources", &source).await.expect(201);
    let path = format!("/sources/{}", source["id"].as_str().expect("an id"));
    let change = json!({"margin_ms": null, "timeouts_ms": {"start": 3000}});
    let changed = patch(&server, &path, Some("*"), &change).await.expect(200);
    assert_eq!(changed["margin_ms"], 500);
    assert_eq!(changed["timeouts_ms"]["start"], 3000);
    for same in ["name", "proof", "repeat_window_ms", "verdicts"] {
        assert_eq!(changed[same], source[same], "{same}");
    }
    let none = patch(&server, &path, Some("*"), &json!({"proof": []}))
        .await
        .expect(200);
    assert_eq!(none["proof"], json!([]));
    for (change, field) in [
        (json!({"nmae": "x"}), "nmae"),
        (json!({"dialect": "x"}), "dialect"),
        (json!({"margin_ms": 200_000}), "timeouts_ms.start"),
        (json!({"name": "A"}), "name"),
    ] {
        let refused = patch(&server, &path, Some("*"), &change).await;
        refused.expect_problem(422, "invalid_field", Some(field));
    }
}

#[tokio::test]
async fn a_binding_keeps_its_plugin_and_its_version() {
    let server = Server::start();
    server
        .upload("gate", guests::component("start-gate"))
        .await
        .expect(201);
    let id = server.bind(&json!({"plugin": "gate"})).await;
    let path = format!("/bindings/{id}");
    for (change, field) in [
        (json!({"plugin": "gate"}), "plugin"),
        (json!({"version": 1}), "version"),
        (json!({"selector": {"kind": "tool.call"}}), "selector.kind"),
        (json!({"limits": {"time_ms": 0}}), "limits.time_ms"),
    ] {
        let refused = patch(&server, &path, Some("*"), &change).await;
        refused.expect_problem(422, "invalid_field", Some(field));
    }
    let change = json!({"selector": {"agent": "a"}, "limits": {"time_ms": 9}});
    let changed = patch(&server, &path, Some("*"), &change).await.expect(200);
    assert_eq!(changed["selector"]["agent"], "a");
    assert_eq!(changed["limits"]["time_ms"], 9);
}

async fn create(server: &Server, list: &str, key: &str, body: &Value) -> Reply {
    let request = server.admin(Method::POST, list).json(body);
    send(request.header("idempotency-key", key)).await
}

#[tokio::test]
async fn a_creation_that_is_sent_again_creates_once_and_is_answered_as_before() {
    let server = Server::start();
    for (list, thing) in [
        ("/sources", json!({"name": "line"})),
        (
            "/endpoints",
            json!({"name": "crm", "url": "https://example.invalid/"}),
        ),
        ("/tokens", json!({"label": "x", "scope": "viewer"})),
        ("/organizations", json!({"name": "acme"})),
        ("/deliveries/retry", json!({})),
    ] {
        let count = async || server.all(list.trim_end_matches("/retry")).await.len();
        let before = count().await;
        let first = create(&server, list, &format!("k{list}"), &thing).await;
        let again = create(&server, list, &format!("k{list}"), &thing).await;
        assert!(
            (201..=202).contains(&first.status),
            "{list}: {}",
            first.text
        );
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(first.header("idempotency-replayed"), "");
        assert_eq!(again.header("idempotency-replayed"), "true");
        if list != "/deliveries/retry" {
            assert_eq!(count().await, before + 1, "{list}");
        }
        let mut other = thing.clone();
        other["name"] = json!("other");
        let reused = create(&server, list, &format!("k{list}"), &other).await;
        reused.expect_problem(
            422,
            if list == "/tokens" || list == "/deliveries/retry" {
                "invalid_field"
            } else {
                "idempotency_key_reused"
            },
            Some(if list == "/tokens" || list == "/deliveries/retry" {
                "name"
            } else {
                "idempotency-key"
            }),
        );
    }
}

#[tokio::test]
async fn the_same_creation_many_times_at_once_creates_once() {
    let server = Server::start();
    let source = json!({"name": "line"});
    let creations = (0..16).map(|_| create(&server, "/sources", "one", &source));
    let replies = futures::future::join_all(creations).await;
    assert!(replies.iter().all(|reply| reply.status == 201));
    assert!(replies.iter().all(|reply| reply.body == replies[0].body));
    assert_eq!(server.all("/sources").await.len(), 1);
}

#[tokio::test]
async fn a_key_that_failed_may_be_used_again_and_keys_belong_to_an_organization() {
    let server = Server::start();
    let wrong = json!({"name": "line", "margin_ms": 500_000});
    create(&server, "/sources", "k", &wrong).await.expect(422);
    create(&server, "/sources", "k", &json!({"name": "line"}))
        .await
        .expect(201);
    let other = server.organization("acme").await;
    let request = other
        .request(Method::POST, "/sources")
        .json(&json!({"name": "x"}));
    send(request.header("idempotency-key", "k"))
        .await
        .expect(201);
    let long = "k".repeat(256);
    create(&server, "/sources", &long, &json!({"name": "y"}))
        .await
        .expect_problem(400, "invalid_parameter", Some("idempotency-key"));
}

/// The same program with another digest.
fn versions() -> [Vec<u8>; 2] {
    let first = guests::component("start-gate");
    let mut second = first.clone();
    // A custom section of one byte named "v": other bytes, the same program.
    second.extend([0, 3, 1, b'v', b'2']);
    [first, second]
}

async fn two_versions_bound(server: &Server) -> [String; 2] {
    let [first, second] = versions();
    server.upload("gate", first).await.expect(201);
    let one = server.bind(&json!({"plugin": "gate"})).await;
    let other = server
        .bind(&json!({"plugin": "gate", "selector": {"agent": "a"}}))
        .await;
    server.upload("gate", second).await.expect(201);
    [one, other]
}

async fn running(server: &Server) -> Vec<Value> {
    let bindings = server.all("/bindings").await;
    bindings
        .into_iter()
        .map(|it| it["version"].clone())
        .collect()
}

#[tokio::test]
async fn a_version_is_activated_and_rolled_back_in_all_bindings_at_once() {
    let server = Server::start();
    two_versions_bound(&server).await;
    let listed = server.get("/plugins/gate/versions").await.expect(200);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(2));
    let activated = server
        .post("/plugins/gate/activate", &json!({"version": 2}))
        .await;
    assert_eq!(
        activated.expect(200)["bindings"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(running(&server).await, [json!(2), json!(2)]);
    // Once more changes nothing, and there is nothing more to go back to for it.
    server
        .post("/plugins/gate/activate", &json!({"version": 2}))
        .await
        .expect(200);
    server
        .post("/plugins/gate/rollback", &json!({}))
        .await
        .expect(200);
    assert_eq!(running(&server).await, [json!(1), json!(1)]);
    server
        .post("/plugins/gate/rollback", &json!({}))
        .await
        .expect_problem(409, "nothing_before", None);
    server
        .post("/plugins/gate/activate", &json!({"version": 9}))
        .await
        .expect_problem(422, "invalid_field", Some("version"));
}

#[tokio::test]
async fn a_rollback_goes_back_step_by_step() {
    let server = Server::start();
    let [one, _] = two_versions_bound(&server).await;
    let path = format!("/bindings/{one}");
    for version in [2, 1, 2] {
        let activate = json!({"version": version});
        server
            .post(&format!("{path}/activate"), &activate)
            .await
            .expect(200);
    }
    for version in [1, 2, 1] {
        let back = server
            .post(&format!("{path}/rollback"), &json!({}))
            .await
            .expect(200);
        assert_eq!(back["version"], version);
    }
    server
        .post(&format!("{path}/rollback"), &json!({}))
        .await
        .expect_problem(409, "nothing_before", None);
    let lines = server
        .get(&format!("/audit?what=binding&subject={one}"))
        .await
        .expect(200);
    let actions: Vec<_> = lines["data"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| &line["action"])
        .collect();
    assert_eq!(
        json!(actions),
        json!([
            "rollback", "rollback", "rollback", "activate", "activate", "activate", "create"
        ])
    );
}

#[tokio::test]
async fn a_rollback_while_calls_come_in_answers_each_with_one_version_or_the_other() {
    let server = Server::start();
    two_versions_bound(&server).await;
    let source = server.source("line").await;
    let calls = async {
        let mut versions = Vec::new();
        for _ in 0..60 {
            let event = server.hook(&source, &crate::payload::start()).await.event();
            let event = server.event(&event).await;
            let invocation = &event["decision"]["invocations"][0];
            assert_eq!(event["decision"]["outcome"], "answered", "{event}");
            versions.push(invocation["version"].as_u64().expect("a version"));
        }
        versions
    };
    let changes = async {
        for _ in 0..5 {
            server
                .post("/plugins/gate/activate", &json!({"version": 2}))
                .await
                .expect(200);
            server
                .post("/plugins/gate/rollback", &json!({}))
                .await
                .expect(200);
        }
    };
    let (versions, ()) = tokio::join!(calls, changes);
    assert!(versions.iter().all(|version| (1..=2).contains(version)));
    let event = server.hook(&source, &crate::payload::start()).await.event();
    let last = server.event(&event).await;
    assert_eq!(last["decision"]["invocations"][0]["version"], 1);
}

#[tokio::test]
async fn of_two_rotations_of_what_was_read_the_second_is_refused() {
    let server = Server::start();
    let endpoint = json!({"name": "crm", "url": "https://example.invalid/"});
    let endpoint = server.endpoint(&endpoint).await;
    let path = format!(
        "/endpoints/{}/rotate",
        endpoint["id"].as_str().expect("an id")
    );
    let rotate = async || {
        let request = server.admin(Method::POST, &path).json(&json!({}));
        send(request.header("if-match", "\"1\"")).await
    };
    rotate().await.expect(200);
    rotate()
        .await
        .expect_problem(412, "precondition_failed", None);
    server.post(&path, &json!({})).await.expect(200);
}
