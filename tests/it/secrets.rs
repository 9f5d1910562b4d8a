//! Secrets go in, are used, and are never shown.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Reply, send};
use crate::server::Server;

impl Server {
    /// Sets a secret.
    pub(crate) async fn put_secret(&self, name: &str, value: &str) {
        let reply = self.try_secret(name, &json!({"value": value})).await;
        assert_eq!(reply.status, 204, "{}", reply.text);
    }

    async fn try_secret(&self, name: &str, body: &Value) -> Reply {
        send(
            self.admin(Method::PUT, &format!("/secrets/{name}"))
                .json(body),
        )
        .await
    }
}

#[tokio::test]
async fn a_secret_is_listed_by_name_only() {
    let server = Server::start();
    server.put_secret("crm", "abc-value").await;
    server.put_secret("billing", "other-value").await;
    let reply = server.get("/secrets").await;
    assert!(!reply.text.contains("value"), "{}", reply.text);
    let names: Vec<_> = reply.body["data"]
        .as_array()
        .expect("data")
        .iter()
        .map(|secret| secret["name"].clone())
        .collect();
    assert_eq!(names, ["billing", "crm"]);
    assert_eq!(server.delete("/secrets/crm").await.status, 204);
    server
        .delete("/secrets/crm")
        .await
        .expect_problem(404, "not_found", None);
}

#[tokio::test]
async fn what_cannot_be_a_secret_is_refused() {
    let server = Server::start();
    for (name, body, status, code, field) in [
        (
            "Crm",
            json!({"value": "x"}),
            400,
            "invalid_parameter",
            "name",
        ),
        ("crm", json!({"value": ""}), 422, "invalid_field", "value"),
        (
            "crm",
            json!({"value": "a\nb"}),
            422,
            "invalid_field",
            "value",
        ),
        ("crm", json!({"value": 5}), 422, "invalid_field", "value"),
        ("crm", json!({}), 422, "missing_field", "value"),
        (
            "crm",
            json!({"value": "x", "more": 1}),
            422,
            "invalid_field",
            "more",
        ),
    ] {
        let reply = server.try_secret(name, &body).await;
        reply.expect_problem(status, code, Some(field));
    }
    assert_eq!(server.get("/secrets").await.body["data"], json!([]));
}

#[tokio::test]
async fn a_secret_in_use_stays_and_a_missing_one_cannot_be_used() {
    let server = Server::start();
    server.install("misbehave").await;
    let binding = json!({
        "plugin": "misbehave",
        "grants": {"http": [{"host": "crm.example.com", "headers": {"authorization": "Bearer ${secret:crm}"}}]},
    });
    let refused = server.post("/bindings", &binding).await;
    refused.expect_problem(
        422,
        "invalid_field",
        Some("grants.http[0].headers.authorization"),
    );
    server.put_secret("crm", "x").await;
    let id = server.bind(&binding).await;
    let used = server.delete("/secrets/crm").await;
    used.expect_problem(409, "in_use", None);
    assert!(used.text.contains(&id), "{}", used.text);
    server.delete(&format!("/bindings/{id}")).await;
    assert_eq!(server.delete("/secrets/crm").await.status, 204);
}
