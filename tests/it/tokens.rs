//! Tokens: what each scope may do, for how long, and who did it.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{assert_none_wrong, send};
use crate::organizations::User;
use crate::server::Server;

#[tokio::test]
async fn a_token_is_shown_once_and_known_by_its_prefix() {
    let server = Server::start();
    let owner = server.organization("acme").await;
    let created = owner.token("viewer").await;
    let text = created["token"].as_str().expect("a token");
    assert!(text.starts_with(created["prefix"].as_str().expect("a prefix")));
    let listed = owner.get("/tokens").await;
    assert!(!listed.text.contains(text), "it is shown again");
    let id = created["id"].as_str().expect("an id");
    let shown = owner.get(&format!("/tokens/{id}")).await.expect(200);
    assert_eq!(shown["prefix"], created["prefix"]);
    assert_eq!(shown["token"], Value::Null);
    let data = server.directory().join("data");
    for file in std::fs::read_dir(data).expect("the data folder") {
        let path = file.expect("a file").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("a file");
            let found = bytes.windows(text.len()).any(|it| it == text.as_bytes());
            assert!(!found, "{} has it", path.display());
        }
    }
}

#[tokio::test]
async fn a_token_is_refused_once_it_is_revoked_or_has_expired() {
    let server = Server::start();
    let owner = server.organization("acme").await;
    let created = owner.token("viewer").await;
    let viewer = server.user(&created);
    viewer.get("/whoami").await.expect(200);
    let id = created["id"].as_str().expect("an id");
    let path = format!("/tokens/{id}");
    send(owner.request(Method::DELETE, &path)).await.expect(204);
    viewer
        .get("/whoami")
        .await
        .expect_problem(401, "unauthorized", None);
    send(owner.request(Method::DELETE, &path))
        .await
        .expect_problem(404, "not_found", None);

    let soon = Timestamp::now() + Duration::from_millis(700);
    let brief = json!({"label": "brief", "scope": "viewer", "expires_at": soon});
    let created = owner.post("/tokens", &brief).await.expect(201);
    let brief = server.user(&created);
    brief.get("/whoami").await.expect(200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let refused = brief.get("/whoami").await;
    refused.expect_problem(401, "unauthorized", None);
    assert!(refused.text.contains("expired"), "{}", refused.text);
}

#[tokio::test]
async fn the_last_operators_token_stays() {
    let server = Server::start();
    let tokens = server.get("/tokens").await.expect(200);
    let id = tokens["data"][0]["id"].as_str().expect("an id");
    let path = format!("/tokens/{id}");
    server
        .delete(&path)
        .await
        .expect_problem(409, "last_operator", None);
    let another = json!({"label": "another", "scope": "operator"});
    server.post("/tokens", &another).await.expect(201);
    server.delete(&path).await.expect(204);
}

/// What a scope may do, by one operation each: the least that may, and the operation.
const OPERATIONS: [(&str, Method, &str); 14] = [
    ("viewer", Method::GET, "/sources"),
    ("viewer", Method::GET, "/events"),
    ("viewer", Method::GET, "/secrets"),
    ("developer", Method::POST, "/bindings"),
    ("developer", Method::POST, "/plugins/gate/versions"),
    ("developer", Method::POST, "/deliveries/retry"),
    ("owner", Method::POST, "/sources"),
    ("owner", Method::POST, "/endpoints"),
    ("owner", Method::PUT, "/secrets/crm"),
    ("owner", Method::GET, "/tokens"),
    ("owner", Method::POST, "/tokens"),
    ("owner", Method::GET, "/audit"),
    ("operator", Method::GET, "/organizations"),
    ("operator", Method::POST, "/organizations"),
];

#[tokio::test]
async fn a_scope_includes_those_below_it_and_nothing_above() {
    const SCOPES: [&str; 4] = ["viewer", "developer", "owner", "operator"];
    let server = Server::start();
    let rank = |scope: &str| SCOPES.iter().position(|it| *it == scope).expect("a scope");
    let mut wrong = Vec::new();
    for scope in SCOPES {
        let token = json!({"label": scope, "scope": scope});
        let token = server.post("/tokens", &token).await.expect(201);
        let user = server.user(&token);
        for (least, method, path) in &OPERATIONS {
            let may = rank(scope) >= rank(least);
            let status = send(user.request(method.clone(), path)).await.status;
            if (status == 403) == may {
                wrong.push(format!("{scope} {method} {path}: {status}"));
            }
        }
    }
    assert_none_wrong(&wrong);
}

#[tokio::test]
async fn every_operation_says_which_scope_it_needs_and_holds_to_it() {
    let server = Server::start();
    let document = send(server.request(Method::GET, "/openapi.json")).await;
    let document = document.expect(200);
    let viewer = json!({"label": "viewer", "scope": "viewer"});
    let viewer = server.post("/tokens", &viewer).await.expect(201);
    let viewer = server.user(&viewer);
    let mut wrong = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let Some(rest) = path.strip_prefix("/api/v1") else {
            continue;
        };
        for (method, operation) in item.as_object().expect("operations") {
            let row = format!("{method} {path}");
            let needed = operation["security"][0]["token"][0].as_str();
            let Some(needed) = needed else {
                wrong.push(format!("{row} says no scope"));
                continue;
            };
            if needed == "viewer" {
                continue;
            }
            let path = rest.replace(['{', '}'], "");
            let method: Method = method.to_uppercase().parse().expect("a method");
            let status = send(viewer.request(method, &path)).await.status;
            if status != 403 {
                wrong.push(format!("{row} answers a viewer {status}"));
            }
        }
    }
    assert_none_wrong(&wrong);
}

#[tokio::test]
async fn nobody_gives_more_than_they_have() {
    let server = Server::start();
    let owner = server.organization("acme").await;
    let operator = json!({"label": "x", "scope": "operator"});
    owner
        .post("/tokens", &operator)
        .await
        .expect_problem(422, "invalid_field", Some("scope"));
    let request = server.admin(Method::POST, "/tokens").json(&operator);
    let created = send(request.header("hookswitch-organization", "acme")).await;
    let created = created.expect(201);
    let path = format!("/tokens/{}", created["id"].as_str().expect("an id"));
    send(owner.request(Method::DELETE, &path))
        .await
        .expect_problem(403, "forbidden", None);
}

#[tokio::test]
async fn what_a_token_cannot_be_is_refused() {
    let server = Server::start();
    for (token, status, code, field) in [
        (json!({"scope": "viewer"}), 422, "missing_field", "label"),
        (json!({"label": "x"}), 422, "missing_field", "scope"),
        (
            json!({"label": "", "scope": "viewer"}),
            422,
            "invalid_field",
            "label",
        ),
        (
            json!({"label": "x", "scope": "root"}),
            422,
            "invalid_field",
            "scope",
        ),
        (
            json!({"label": "x", "scope": "viewer", "expires_at": "2020-01-01T00:00:00Z"}),
            422,
            "invalid_field",
            "expires_at",
        ),
        (
            json!({"label": "x", "scope": "viewer", "expires_at": "soon"}),
            422,
            "invalid_field",
            "expires_at",
        ),
    ] {
        let refused = server.post("/tokens", &token).await;
        refused.expect_problem(status, code, Some(field));
    }
}

#[tokio::test]
async fn the_audit_log_tells_who_changed_what_from_what_to_what() {
    let server = Server::start();
    let owner = server.organization("acme").await;
    let source = json!({"name": "line", "proof": [{"type": "hmac", "header": "x-sig", "secrets": ["canary"]}]});
    let source = owner.post("/sources", &source).await.expect(201);
    let path = format!("/sources/{}", source["id"].as_str().expect("an id"));
    let change = owner
        .request(Method::PATCH, &path)
        .header("if-match", "\"1\"");
    send(change.json(&json!({"name": "main"})))
        .await
        .expect(200);
    send(owner.request(Method::DELETE, &path)).await.expect(204);
    let lines = owner.get("/audit?what=source").await;
    assert!(!lines.text.contains("canary"), "a secret is in it");
    let lines = lines.expect(200);
    let names: Vec<_> = lines["data"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| {
            assert_eq!(line["actor"], "owner");
            assert_eq!(line["subject"], source["id"]);
            json!([
                line["action"],
                line["before"]["name"],
                line["after"]["name"]
            ])
        })
        .collect();
    assert_eq!(
        Value::from(names),
        json!([
            ["delete", "main", null],
            ["update", "line", "main"],
            ["create", null, "line"],
        ])
    );
    let tokens = owner.get("/audit?what=token").await.expect(200);
    assert_eq!(tokens["data"][0]["actor"], "environment");
}

#[tokio::test]
async fn a_refused_change_leaves_no_line() {
    let server = Server::start();
    let owner = server.organization("acme").await;
    let count = async |owner: &User<'_>| {
        let lines = owner.get("/audit").await.expect(200);
        lines["data"].as_array().expect("lines").len()
    };
    let before = count(&owner).await;
    owner
        .post("/sources", &json!({"name": "line"}))
        .await
        .expect(201);
    owner
        .post("/sources", &json!({"name": "line"}))
        .await
        .expect(409);
    assert_eq!(count(&owner).await, before + 1);
}
