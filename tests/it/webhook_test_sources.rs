//! `POST /api/v1/webhooks/test` of our own sources: a plugin is tried out without its
//! source's secrets.

use serde_json::{Value, json};

use crate::client::Source;
use crate::server::Server;
use crate::sink::{self, Sink};

fn test(name: &str, source: &Source) -> Value {
    json!({"source": source.id, "webhookType": format!("{name}WebHookPayload")})
}

fn by_url(name: &str, url: &str, headers: &Value) -> Value {
    let hook = json!({"url": url, "headers": headers});
    json!({"webHook": hook, "webhookType": format!("{name}WebHookPayload")})
}

/// A source that wants a header and a signature.
async fn proven(server: &Server) -> Source {
    let proof = json!([
        {"type": "header", "name": "Authorization", "values": ["Bearer s3cret", "Bearer old"]},
        {"type": "hmac", "header": "X-Blackbox-Signature", "secrets": ["s3cret-key", "old"]},
    ]);
    server
        .create_source(&json!({"name": "main-line", "proof": proof}))
        .await
}

async fn gated() -> (Server, Source) {
    let server = sink::server();
    server.install("start-gate").await;
    let gate = json!({
        "plugin": "start-gate",
        "selector": {"kind": "call.start", "agent": "agent_7"},
        "config": {"blocked": ["+14155550100"]},
    });
    server.bind(&gate).await;
    let source = proven(&server).await;
    (server, source)
}

#[tokio::test]
async fn a_plugin_answers_through_the_proofs_that_its_source_wants() {
    let (server, source) = gated().await;
    let mut blocked = test("Start", &source);
    blocked["agentId"] = json!("agent_7");
    let result = server.test_webhook(&blocked).await;
    assert!(!result.text.contains("s3cret"), "{}", result.text);
    let result = result.expect(200);
    assert_eq!(result["success"], true, "{result}");
    assert_eq!(result["responseData"]["accept"], false);
    assert_eq!(
        result["validationResult"],
        json!({"isValid": true, "errors": []})
    );

    let event = server.event(result["event"].as_str().expect("an id")).await;
    assert_eq!(
        (&event["kind"], &event["agent_id"]),
        (&json!("call.start"), &json!("agent_7"))
    );
    let call = event["call_id"].as_str().expect("an id");
    assert!(call.starts_with("test-"), "{call}");
    assert_eq!(event["decision"]["invocations"][0]["plugin"], "start-gate");
    assert_eq!(event["decision"]["reply"]["body"], result["responseData"]);

    let other = server
        .test_webhook(&test("Start", &source))
        .await
        .expect(200);
    assert_eq!(
        other["responseData"],
        json!({"accept": true}),
        "no binding is for this agent"
    );
    assert_ne!(
        other["event"], result["event"],
        "every test is an event of its own"
    );
}

#[tokio::test]
async fn every_type_is_told_to_a_source_as_the_platform_would() {
    let server = Server::start();
    let source = proven(&server).await;
    let notices = ["Completed", "Failed", "CallDeadLine", "Unknown"];
    for name in notices {
        let result = server.test_webhook(&test(name, &source)).await.expect(200);
        let event = &result["event"];
        assert_eq!(
            result["responseData"],
            json!({"received": true, "eventId": event}),
            "{name}"
        );
        assert_eq!(result["validationResult"], Value::Null, "{name}");
    }
    let mut tool = test("Tool", &source);
    tool["toolName"] = json!("book");
    tool["toolArguments"] = json!({});
    for question in [tool, test("Transfer", &source)] {
        let result = server.test_webhook(&question).await.expect(200);
        assert_eq!(
            (&result["success"], &result["httpStatus"]),
            (&json!(false), &json!(503))
        );
        assert_eq!(result["responseData"]["code"], "no_answer");
        assert_eq!(
            result["error"],
            "the webhook answered 503 Service Unavailable"
        );
        assert_eq!(result["validationResult"], Value::Null);
    }
    assert_eq!(server.all("/events").await.len(), notices.len() + 2);
}

#[tokio::test]
async fn the_url_of_our_own_hook_is_our_own_source() {
    let (server, source) = gated().await;
    let path = source.hook_path.as_str();
    let whole = format!("http://{}{path}", server.address);
    for url in [path, &whole] {
        let result = server
            .test_webhook(&by_url("Start", url, &json!({})))
            .await
            .expect(200);
        assert_eq!(
            result["responseData"],
            json!({"accept": true}),
            "{url}: {result}"
        );
        assert!(result["event"].is_string(), "{url}");
    }
    // A proof that is given counts, and is not mended.
    for (token, status) in [("Bearer old", 200), ("Bearer wrong", 401)] {
        let headers = json!({"authorization": token});
        let result = server
            .test_webhook(&by_url("Start", path, &headers))
            .await
            .expect(200);
        assert_eq!(result["httpStatus"], status, "{token}: {result}");
    }
    // A template may write what no dialect reads.
    let mut templated = by_url("Start", path, &json!({}));
    templated["webHook"]["customSettings"] = json!({"bodyFormat": {"template": "{}"}});
    let result = server.test_webhook(&templated).await.expect(200);
    assert_eq!(
        (&result["httpStatus"], &result["event"]),
        (&json!(400), &Value::Null)
    );
    assert_eq!(result["responseData"]["field"], "type");
    templated["webHook"]["customSettings"] = json!({"httpMethod": "PUT"});
    let field = Some("webHook.customSettings.httpMethod");
    let refused = server.test_webhook(&templated).await;
    refused.expect_problem(422, "invalid_field", field);
}

#[tokio::test]
async fn a_source_of_another_organization_is_not_there() {
    let server = Server::start();
    let source = proven(&server).await;
    let stranger = server.organization("stranger").await;
    let unknown = Source {
        id: "src_00000000000070008000000000000000".to_owned(),
        hook_path: "/hooks/src_1".to_owned(),
    };
    for it in [&source, &unknown] {
        let whole = format!("http://{}{}", server.address, it.hook_path);
        for test in [
            test("Completed", it),
            by_url("Completed", &it.hook_path, &json!({})),
            by_url("Completed", &whole, &json!({})),
        ] {
            let reply = stranger.post("/webhooks/test", &test).await;
            reply.expect_problem(404, "not_found", None);
        }
    }
    assert_eq!(server.all("/events").await.len(), 0);
}

#[tokio::test]
async fn who_only_looks_may_not_test() {
    let server = Server::start();
    let owner = server.organization("acme").await;
    for (scope, status) in [("viewer", 403), ("developer", 404)] {
        let user = server.user(&owner.token(scope).await);
        let test = json!({"source": "src_1", "webhookType": "StartWebHookPayload"});
        let reply = user.post("/webhooks/test", &test).await;
        assert_eq!(reply.status, status, "{scope}: {}", reply.text);
    }
}

#[tokio::test]
async fn what_comes_of_a_test_is_forwarded_like_anything_else() {
    let (server, source) = gated().await;
    let sink = Sink::start().await;
    server.endpoint(&sink.endpoint("crm")).await;
    let result = server
        .test_webhook(&test("Completed", &source))
        .await
        .expect(200);
    let [request] = sink.wait_for(1).await.try_into().expect("one");
    assert_eq!(request.header("x-hookswitch-event"), result["event"]);
    assert!(request.call().starts_with("test-"), "receivers can tell");
}
