//! What happened on the platform arrives at the endpoints that want it, as they want
//! it.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Source, send};
use crate::payload::{self, With};
use crate::server::Server;
use crate::sink::{self, Request, Sink, reply};

async fn server() -> (Server, Source) {
    let server = sink::server();
    let source = server.source("main-line").await;
    (server, source)
}

fn state_of<'e>(event: &'e Value, endpoint: &Value) -> &'e str {
    let deliveries = event["deliveries"].as_array().expect("deliveries");
    let found = deliveries
        .iter()
        .find(|one| one["endpoint"] == endpoint["id"]);
    found.map_or("not owed", |one| one["state"].as_str().expect("a state"))
}

#[tokio::test]
async fn a_notice_arrives_byte_for_byte_with_headers_that_say_what_it_is() {
    let (server, source) = server().await;
    let sink = Sink::start().await;
    server.endpoint(&sink.endpoint("archive")).await;
    let sent = "{\"type\": \"CompletedWebHookPayload\",\r\n \"agentId\":\"a\",\"callId\":\"c\\u00e9\", \"n\":1.10}\n";
    let id = server.hook_bytes(&source, sent).await.event();
    let event = server.settled(&id).await;
    let request = &sink.wait_for(1).await[0];
    assert_eq!(String::from_utf8_lossy(&request.body), sent);
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/")
    );
    let delivery = &event["deliveries"][0];
    let expected = [
        ("content-type", "application/json"),
        ("x-hookswitch-event", &id),
        ("x-hookswitch-kind", "call.completed"),
        ("x-hookswitch-attempt", "1"),
        ("webhook-id", delivery["id"].as_str().expect("an id")),
    ];
    for (name, value) in expected {
        assert_eq!(request.header(name), value, "{name}");
    }
    assert_eq!(
        (&delivery["state"], &delivery["status"], &delivery["error"]),
        (&json!("delivered"), &json!(200), &Value::Null)
    );
    assert_eq!(sink.requests().len(), 1, "sent once");
}

#[tokio::test]
async fn what_a_plugin_delivers_arrives_with_its_body_and_nowhere_else() {
    let (server, source) = server().await;
    let (crm, other) = (Sink::start().await, Sink::start().await);
    server.endpoint(&crm.endpoint("crm")).await;
    server.endpoint(&other.endpoint("other")).await;
    server.install("crm-sync").await;
    let config = json!({"endpoints": {"appointment_booked": ["crm"]}});
    server
        .bind(&json!({"plugin": "crm-sync", "config": config}))
        .await;
    let id = server.hook(&source, &payload::completed()).await.event();
    let event = server.settled(&id).await;
    let request = &crm.wait_for(1).await[0];
    let said = &event["decision"]["answer"]["deliveries"][0];
    assert_eq!(request.json(), said["body"]);
    assert_eq!(request.json()["outcome"], "appointment_booked");
    assert_eq!(other.requests().len(), 0);
}

#[tokio::test]
async fn a_question_is_answered_and_then_arrives() {
    let (server, source) = server().await;
    let sink = Sink::start().await;
    server.endpoint(&sink.endpoint("archive")).await;
    server.install("start-gate").await;
    server.bind(&json!({"plugin": "start-gate"})).await;
    let answer = server.hook(&source, &payload::start()).await;
    let id = answer.event();
    assert_eq!(answer.expect(200), json!({"accept": true}));
    let request = &sink.wait_for(1).await[0];
    assert_eq!(request.json(), payload::start());
    assert_eq!(request.header("x-hookswitch-kind"), "call.start");
    server.settled(&id).await;
}

#[tokio::test]
async fn endpoints_get_what_their_filter_lets_through() {
    let (server, source) = server().await;
    let sink = Sink::start().await;
    let filters = [
        (json!({}), "start completed other-agent failed unknown"),
        (
            json!({"kinds": ["*"]}),
            "start completed other-agent failed unknown",
        ),
        (
            json!({"kinds": ["call.*"]}),
            "start completed other-agent failed",
        ),
        (
            json!({"kinds": ["call.failed", "unknown"]}),
            "failed unknown",
        ),
        (json!({"agents": ["agent_b"]}), "other-agent"),
        (
            json!({"where": {"result.postCallAnalysis.satisfactionScore": {"above": 8}}}),
            "completed other-agent",
        ),
        (
            json!({
                "kinds": ["call.completed"], "agents": ["agent_xyz789"],
                "where": {"durationSeconds": {"equals": 312}, "error": {"exists": false}},
            }),
            "completed",
        ),
        (json!({"kinds": ["endpoint.*"]}), ""),
    ];
    for (number, (filter, _)) in filters.iter().enumerate() {
        let url = sink.url(&format!("/{number}"));
        let endpoint = sink
            .endpoint(&format!("e{number}"))
            .with(json!({"url": url, "filter": filter}));
        server.endpoint(&endpoint).await;
    }
    let mut names = BTreeMap::new();
    for (name, sent) in [
        ("start", payload::start()),
        ("completed", payload::completed()),
        (
            "other-agent",
            payload::completed().with(json!({"agentId": "agent_b"})),
        ),
        ("failed", payload::failed()),
        ("unknown", payload::unknown()),
    ] {
        let id = server.hook(&source, &sent).await.event();
        server.settled(&id).await;
        names.insert(id, name);
    }
    let requests = sink.requests();
    for (number, (filter, expected)) in filters.iter().enumerate() {
        let path = format!("/{number}");
        let here = requests.iter().filter(|request| request.path == path);
        let mut found: Vec<&str> = here
            .map(|request| names[request.header("x-hookswitch-event")])
            .collect();
        let mut expected: Vec<&str> = expected.split_whitespace().collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{filter}");
    }
}

#[tokio::test]
async fn a_request_has_the_form_that_the_endpoint_wants() {
    let (server, source) = server().await;
    let sink = Sink::start().await;
    let secret = server.admin(Method::PUT, "/secrets/crm-key");
    let secret = send(secret.json(&json!({"value": "s3cret"}))).await;
    assert!(secret.status < 300, "{}", secret.text);
    let endpoint = sink.endpoint("crm").with(json!({
        "url": sink.url("/in?a=1"),
        "method": "PUT",
        "query": {"from": "hook switch", "b&c": "d"},
        "headers": {"authorization": "Bearer ${secret:crm-key}", "x-plain": "text"},
        "body": "{\"who\": {{ callId }}, \"booked\": {{ result.postCallAnalysis.extractedInfo }}, \"none\": {{ a.b }}}",
    }));
    let created = server.endpoint(&endpoint).await;
    assert!(!created.to_string().contains("s3cret"));
    let completed = payload::completed();
    let id = server.hook(&source, &completed).await.event();
    server.settled(&id).await;
    let request = &sink.wait_for(1).await[0];
    assert_eq!(request.method, "PUT");
    assert_eq!(request.path, "/in?a=1&b%26c=d&from=hook+switch");
    assert_eq!(request.header("authorization"), "Bearer s3cret");
    assert_eq!(request.header("x-plain"), "text");
    let expected = json!({
        "who": completed["callId"],
        "booked": completed["result"]["postCallAnalysis"]["extractedInfo"],
        "none": null,
    });
    assert_eq!(request.json(), expected);
}

#[tokio::test]
async fn a_disabled_endpoint_is_owed_what_a_plugin_says_and_gets_it_when_enabled() {
    let (server, source) = server().await;
    let sink = Sink::start().await;
    let endpoint = server
        .endpoint(&sink.endpoint("crm").with(json!({"enabled": false})))
        .await;
    let unasked = server.hook(&source, &payload::failed()).await.event();
    server.install("crm-sync").await;
    let config = json!({"endpoints": {"failed": ["crm"]}});
    server
        .bind(&json!({"plugin": "crm-sync", "config": config}))
        .await;
    let asked = server.hook(&source, &payload::failed()).await.event();
    let asked_event = server.handled(&asked).await;
    assert_eq!(state_of(&asked_event, &endpoint), "owed");
    assert_eq!(
        state_of(&server.event(&unasked).await, &endpoint),
        "not owed"
    );
    assert_eq!(sink.requests().len(), 0);

    server
        .patch_endpoint(&endpoint, &json!({"enabled": true}))
        .await;
    assert_eq!(
        state_of(&server.settled(&asked).await, &endpoint),
        "delivered"
    );
    let requests = sink.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("x-hookswitch-event"), asked);
}

#[tokio::test]
async fn a_changed_endpoint_is_sent_to_as_it_is_now() {
    let (server, source) = server().await;
    let (before, after) = (Sink::start().await, Sink::start().await);
    let endpoint = server.endpoint(&before.endpoint("crm")).await;
    let first = server.hook(&source, &payload::failed()).await.event();
    server.settled(&first).await;
    let changed = server
        .patch_endpoint(
            &endpoint,
            &json!({"url": after.url("/new"), "filter": {"kinds": ["call.failed"]}}),
        )
        .await;
    assert_eq!(changed["url"], after.url("/new"));
    assert_eq!(changed["schedule"], endpoint["schedule"], "it keeps that");
    let completed = server.hook(&source, &payload::completed()).await.event();
    let failed = server.hook(&source, &payload::failed()).await.event();
    server.settled(&failed).await;
    server.settled(&completed).await;
    let paths: Vec<String> = after.requests().into_iter().map(|it| it.path).collect();
    assert_eq!(paths, ["/new"]);
    assert_eq!(before.requests().len(), 1);
}

#[tokio::test]
async fn what_is_owed_to_a_deleted_endpoint_is_cancelled() {
    let (server, source) = server().await;
    let sink = Sink::script([sink::status(500)]).await;
    let endpoint = sink
        .endpoint("crm")
        .with(json!({"schedule": {"delays_seconds": [0, 3600]}}));
    let endpoint = server.endpoint(&endpoint).await;
    let id = server.hook(&source, &payload::failed()).await.event();
    sink.wait_for(1).await;
    let path = format!("/endpoints/{}", endpoint["id"].as_str().expect("an id"));
    assert_eq!(server.delete(&path).await.status, 204);
    assert_eq!(state_of(&server.settled(&id).await, &endpoint), "cancelled");
    let later = server.hook(&source, &payload::failed()).await.event();
    let later = server.event(&later).await;
    assert_eq!(state_of(&later, &endpoint), "not owed");
    assert_eq!(sink.requests().len(), 1);
}

#[tokio::test]
async fn a_retry_has_the_same_id_and_a_number_of_its_own() {
    let (server, source) = server().await;
    let sink = Sink::script([sink::status(500), reply(&json!({}))]).await;
    server.endpoint(&sink.endpoint("crm")).await;
    let id = server.hook(&source, &payload::failed()).await.event();
    let event = server.settled(&id).await;
    assert_eq!(event["deliveries"][0]["attempts"], 2);
    let requests = sink.requests();
    let ids: Vec<&str> = requests.iter().map(Request::id).collect();
    assert_eq!(ids[0], ids[1]);
    let numbers = requests
        .iter()
        .map(|request| request.header("x-hookswitch-attempt"));
    assert_eq!(numbers.collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(requests[0].body, requests[1].body);
}
