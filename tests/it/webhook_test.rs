//! `POST /api/v1/webhooks/test` of somebody else's webhook: what arrives there, and what
//! is said of its reply.
//!
//! Neighbours: `webhook_test_sources` is about our own sources, `cli_webhook_test` about
//! the command.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Reply, assert_none_wrong, send};
use crate::payload::With;
use crate::server::Server;
use crate::shape::{self, assert_shape};
use crate::sink::{self, Act, Request, Sink};

/// A test of that type at that address.
fn test(name: &str, url: &str) -> Value {
    let test = json!({"webHook": {"url": url}, "webhookType": format!("{name}WebHookPayload")});
    match name {
        "Tool" => test.with(json!({"toolName": "book", "toolArguments": {"day": "Monday"}})),
        _ => test,
    }
}

impl Server {
    /// Has a webhook tested.
    pub(crate) async fn test_webhook(&self, test: &Value) -> Reply {
        self.post("/webhooks/test", test).await
    }
}

const TYPES: [&str; 7] = [
    "Unknown",
    "Start",
    "Failed",
    "Completed",
    "CallDeadLine",
    "Transfer",
    "Tool",
];

#[tokio::test]
async fn each_type_arrives_as_the_platform_would_send_it() {
    let server = sink::server();
    let sink = Sink::start().await;
    let mut settings = shape::settings();
    settings.add_filter(r"\btest-[0-9a-f]{32}\b", "test-[id]");
    for time in ["createdTime", "completedTime", "startTime", "endTime"] {
        settings.add_dynamic_redaction(&format!(".**.{time}"), shape::time_of_day);
    }
    settings.add_redaction(".**.appointmentDate", "[date]");
    for (number, name) in TYPES.into_iter().enumerate() {
        server
            .test_webhook(&test(name, &sink.url("/")))
            .await
            .expect(200);
        let request = sink.requests().pop().expect("a request");
        assert_eq!(request.number, number, "one request for each test");
        let seen = (request.method.as_str(), request.header("content-type"));
        assert_eq!(seen, ("POST", "application/json"));
        let ours: Vec<_> = request
            .headers
            .keys()
            .filter(|name| name.starts_with("x-"))
            .collect();
        assert!(ours.is_empty() && request.id().is_empty(), "{ours:?}");
        let payload = request.json();
        settings.bind(|| insta::assert_json_snapshot!(format!("webhook_test_{name}"), payload));
    }
}

#[tokio::test]
async fn what_was_given_stands_where_the_platform_puts_it() {
    let server = sink::server();
    let sink = Sink::start().await;
    let given = r#"{"n":12345678901234567890123, "x":1.50}"#;
    let body = format!(
        r#"{{"webHook":{{"url":"{}","headers":{{"X-Key":"k"}},"customSettings":null}},
            "webhookType":"ToolWebHookPayload","toolName":"book","toolArguments":{given},
            "agentAdditionalData":{{"tier":"gold"}},"callAdditionalData":{{"lead":7}},
            "agentId":"agent_7"}}"#,
        sink.url("/")
    );
    let request = server.admin(Method::POST, "/webhooks/test");
    let request = request
        .header("content-type", "application/json")
        .body(body);
    send(request).await.expect(200);
    let request = sink.requests().pop().expect("a request");
    let text = String::from_utf8(request.body.clone()).expect("text");
    assert!(text.contains(given), "as it was written: {text}");
    let payload = request.json();
    assert_eq!(payload["agentAdditionalData"], json!({"tier": "gold"}));
    assert_eq!(payload["callAdditionalData"], json!({"lead": 7}));
    assert_eq!(payload["agentId"], "agent_7");
    assert_eq!(request.header("x-key"), "k");
    let other = send(
        server
            .admin(Method::POST, "/webhooks/test")
            .json(&test("Start", &sink.url("/"))),
    );
    other.await.expect(200);
    let calls: Vec<_> = sink.requests().iter().map(Request::call).collect();
    assert!(
        calls.iter().all(|call| call.starts_with("test-")),
        "{calls:?}"
    );
    assert_ne!(calls[0], calls[1]);
}

#[tokio::test]
async fn the_answer_has_the_platforms_shape() {
    let server = sink::server();
    let config = json!({"primaryLanguage": "en-US"});
    let sink = Sink::script([
        sink::reply(&json!({"accept": true})),
        sink::reply(&json!({"accept": true, "overrideAgentConfig": config})),
        sink::status(500),
        Act::Reset,
    ])
    .await;
    for name in ["valid", "invalid", "failed", "unheard"] {
        let result = server.test_webhook(&test("Start", &sink.url("/"))).await;
        assert_shape!(format!("webhook_test_result_{name}"), result.expect(200));
    }
}

/// Of which type, what is replied, and what is said of it: nothing, or the beginning of
/// each error.
type Row = (&'static str, &'static str, Option<&'static [&'static str]>);

const REPLIES: [Row; 22] = [
    ("Start", r#"{"accept":true}"#, Some(&[])),
    (
        "Start",
        r#"{"accept":true,"overrideAgentConfig":null,"more":1}"#,
        Some(&[]),
    ),
    (
        "Start",
        r#"{"accept":false,"reasonMessage":"closed"}"#,
        Some(&[]),
    ),
    (
        "Start",
        r#"{"accept":false}"#,
        Some(&["reasonMessage: required when accept is false"]),
    ),
    (
        "Start",
        r#"{"accept":false,"reasonMessage":""}"#,
        Some(&["reasonMessage: "]),
    ),
    ("Start", r#"{"received":true}"#, Some(&["accept: required"])),
    (
        "Start",
        r#"{"accept":true,"overrideAgentConfig":{"llmConfig":{}},"additionalData":[]}"#,
        Some(&[
            "overrideAgentConfig.primaryLanguage: required",
            "overrideAgentConfig.ttsConfig: required",
            "additionalData: must be a JSON object",
        ]),
    ),
    ("Start", "", Some(&["the reply is empty"])),
    ("Start", "OK", Some(&["the reply is not JSON"])),
    ("Start", "[]", Some(&["the reply must be a JSON object"])),
    (
        "Transfer",
        r#"{"type":"cold","endpointDestination":"+14155550100"}"#,
        Some(&[]),
    ),
    (
        "Transfer",
        r#"{"type":"warm","endpointDestination":"sip:a@b","transferRoutes":[]}"#,
        Some(&[]),
    ),
    (
        "Transfer",
        "{}",
        Some(&["type: required", "endpointDestination: required"]),
    ),
    (
        "Transfer",
        r#"{"type":"hot","endpointDestination":"415"}"#,
        Some(&["type: must be cold or warm", "endpointDestination: "]),
    ),
    ("Tool", r#"{"slots":[]}"#, Some(&[])),
    ("Tool", "null", Some(&[])),
    ("Tool", "booked", Some(&["the reply is not JSON"])),
    ("Tool", "", Some(&["the reply is empty"])),
    ("Completed", "", None),
    ("Failed", "thanks", None),
    ("CallDeadLine", "{}", None),
    ("Unknown", "{}", None),
];

#[tokio::test]
async fn replies_are_checked_where_the_platform_reads_them() {
    let server = sink::server();
    let acts = REPLIES.map(|(_, body, _)| Act::Reply {
        status: 200,
        headers: Vec::new(),
        body: body.to_owned(),
    });
    let sink = Sink::script(acts).await;
    let mut wrong = Vec::new();
    for (name, body, expected) in REPLIES {
        let result = server
            .test_webhook(&test(name, &sink.url("/")))
            .await
            .expect(200);
        let validation = &result["validationResult"];
        let said = validation["errors"].as_array();
        let as_expected = match (expected, said) {
            (None, None) => validation.is_null(),
            (Some(expected), Some(said)) => {
                let begins = |(said, wanted): (&Value, &&str)| {
                    said.as_str().is_some_and(|said| said.starts_with(wanted))
                };
                validation["isValid"] == expected.is_empty()
                    && said.len() == expected.len()
                    && said.iter().zip(expected).all(begins)
            }
            _ => false,
        };
        let data = match body {
            "" => Value::Null,
            body => serde_json::from_str(body).unwrap_or_else(|_| json!(body)),
        };
        let rest = (
            &result["success"],
            &result["error"],
            &result["responseData"],
        );
        if !as_expected || rest != (&json!(true), &Value::Null, &data) {
            wrong.push(format!("{name} {body}: {result}"));
        }
    }
    assert_none_wrong(&wrong);
}

#[tokio::test]
async fn a_reply_that_does_not_come_to_an_end_is_given_up() {
    let server = sink::server();
    let hanging = Sink::script([Act::Hang]).await;
    let dripping = Sink::script([Act::Drip]).await;
    let flooding = Sink::script([Act::Flood]).await;
    let tests = [
        test("Tool", &hanging.url("/")),
        test("Tool", &dripping.url("/")),
        test("Tool", &flooding.url("/")),
        test("Completed", &flooding.url("/")),
    ];
    let results = futures::future::join_all(tests.iter().map(|it| server.test_webhook(it))).await;
    let [hung, dripped, flooded, noted] = results.try_into().expect("four");
    let hung = hung.expect(200);
    assert_eq!(hung["error"], "no reply came within 5 s");
    assert_eq!(
        (&hung["success"], &hung["httpStatus"]),
        (&json!(false), &Value::Null)
    );
    for cut in [dripped.expect(200), flooded.expect(200)] {
        assert_eq!(
            cut["error"],
            "the reply did not end in time, or has more than 1 MiB"
        );
        assert_eq!(
            (&cut["success"], &cut["httpStatus"]),
            (&json!(false), &json!(200))
        );
        assert_eq!(cut["validationResult"], Value::Null);
    }
    let noted = noted.expect(200);
    assert_eq!(
        noted["success"], true,
        "the status of a notice's reply is enough"
    );
    let beginning = noted["responseData"].as_str().expect("a text");
    assert_eq!(beginning.len(), 1 << 20);
}

#[tokio::test]
async fn what_cannot_be_reached_is_a_result_that_says_why() {
    let strict = Server::start();
    let open = sink::server();
    let (distrusted, _) = Sink::tls().await;
    for (server, url, part) in [
        (
            &strict,
            "https://127.0.0.1:1/".to_owned(),
            "not a public one",
        ),
        (
            &strict,
            "https://localhost:1/".to_owned(),
            "not a public one",
        ),
        (
            &strict,
            "https://169.254.169.254/latest/".to_owned(),
            "not a public one",
        ),
        (&open, "http://127.0.0.1:1/".to_owned(), "refused"),
        (&open, "https://nowhere.invalid/".to_owned(), "name"),
        (&open, distrusted.url("/"), "certificate"),
    ] {
        let result = server
            .test_webhook(&test("Completed", &url))
            .await
            .expect(200);
        let error = result["error"].as_str().unwrap_or_default();
        assert!(error.contains(part), "{url}: {result}");
        assert_eq!(result["success"], false, "{url}");
        assert_eq!(result["httpStatus"], Value::Null, "{url}");
    }
    assert!(distrusted.requests().is_empty());
    let refused = strict
        .test_webhook(&test("Completed", "http://127.0.0.1:1/"))
        .await;
    refused.expect_problem(422, "invalid_field", Some("webHook.url"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = sink::server();
    let sink = Sink::script([sink::status(302).with("location", "/elsewhere")]).await;
    let result = server
        .test_webhook(&test("Start", &sink.url("/")))
        .await
        .expect(200);
    assert_eq!(
        (&result["success"], &result["httpStatus"]),
        (&json!(false), &json!(302))
    );
    assert_eq!(result["error"], "the webhook answered 302 Found");
    assert_eq!(sink.requests().len(), 1);
}

#[tokio::test]
async fn a_request_has_the_form_that_its_settings_give_it() {
    let server = sink::server();
    let sink = Sink::start().await;
    let secret = server
        .admin(Method::PUT, "/secrets/crm")
        .json(&json!({"value": "s3cret"}));
    send(secret).await.expect(204);
    let web_hook = |settings: Value| {
        json!({
            "webhookType": "FailedWebHookPayload",
            "webHook": {
                "url": sink.url("/hook?a=b"),
                "headers": {"Authorization": "Bearer ${secret:crm}", "content-type": "text/plain"},
                "customSettings": settings,
            },
        })
    };
    let template = r#"{"text": {{ errorMessage }}, "none": {{ nothing.here }}}"#;
    for settings in [
        json!({"httpMethod": "GET", "queryParams": {"d e": "f&g"}}),
        json!({"httpMethod": "PUT", "bodyFormat": {"type": "custom", "template": template}}),
        json!({"httpMethod": null, "queryParams": null, "bodyFormat": {"template": null}}),
    ] {
        server.test_webhook(&web_hook(settings)).await.expect(200);
    }
    let [get, put, plain] = sink.requests().try_into().expect("three");
    assert_eq!((&*get.method, &*get.path), ("GET", "/hook?a=b&d+e=f%26g"));
    assert!(get.body.is_empty() && get.header("content-length").is_empty());
    assert_eq!(get.header("authorization"), "Bearer s3cret");
    assert_eq!((&*put.method, &*put.path), ("PUT", "/hook?a=b"));
    assert_eq!(put.header("content-type"), "text/plain");
    let text = "Call was not answered within timeout period";
    assert_eq!(put.json(), json!({"text": text, "none": null}));
    assert_eq!(plain.json()["type"], "FailedWebHookPayload");
    assert!(!server.log().contains("s3cret"));
}

#[tokio::test]
#[allow(clippy::too_many_lines)] // A table.
async fn mistakes_in_the_request_name_the_field() {
    let server = sink::server();
    let sink = Sink::start().await;
    let start = test("Start", &sink.url("/"));
    let tool = test("Tool", &sink.url("/"));
    let hook = |more: Value| {
        let hook = json!({"url": sink.url("/")}).with(more);
        start.clone().with(json!({"webHook": hook}))
    };
    let custom = |settings: Value| hook(json!({"customSettings": settings}));
    let many: serde_json::Map<_, _> = (0..33).map(|n| (format!("p{n}"), json!("v"))).collect();
    let long = "x".repeat(257);
    let rows = [
        (
            json!({"webhookType": "StartWebHookPayload"}),
            "missing_field",
            "webHook",
        ),
        (
            json!({"webHook": {"url": "/"}}),
            "missing_field",
            "webhookType",
        ),
        (
            json!({"webHook": {}, "webhookType": "StartWebHookPayload"}),
            "missing_field",
            "webHook.url",
        ),
        (
            start.clone().with(json!({"webhookType": "Start"})),
            "invalid_field",
            "webhookType",
        ),
        (
            start.clone().with(json!({"web_hook": {}})),
            "invalid_field",
            "web_hook",
        ),
        (
            start.clone().with(json!({"callAdditionalData": []})),
            "invalid_field",
            "callAdditionalData",
        ),
        (
            start.clone().with(json!({"agentAdditionalData": "x"})),
            "invalid_field",
            "agentAdditionalData",
        ),
        (
            start.clone().with(json!({"agentId": long})),
            "invalid_field",
            "agentId",
        ),
        (
            start.clone().with(json!({"source": "src_1"})),
            "invalid_field",
            "source",
        ),
        (
            tool.clone().with(json!({"toolName": null})),
            "missing_field",
            "toolName",
        ),
        (
            tool.clone().with(json!({"toolName": "a b"})),
            "invalid_field",
            "toolName",
        ),
        (
            tool.clone().with(json!({"toolArguments": null})),
            "missing_field",
            "toolArguments",
        ),
        (
            tool.clone().with(json!({"toolArguments": 1})),
            "invalid_field",
            "toolArguments",
        ),
        (
            hook(json!({"url": "ftp://example.com/"})),
            "invalid_field",
            "webHook.url",
        ),
        (
            hook(json!({"url": "nowhere"})),
            "invalid_field",
            "webHook.url",
        ),
        (
            hook(json!({"url": "https://user:key@example.com/"})),
            "invalid_field",
            "webHook.url",
        ),
        (hook(json!({"uri": "x"})), "invalid_field", "webHook.uri"),
        (
            hook(json!({"headers": many})),
            "invalid_field",
            "webHook.headers",
        ),
        (
            hook(json!({"url": "/hooks/src_1", "headers": many})),
            "invalid_field",
            "webHook.headers",
        ),
        (
            hook(json!({"headers": {"host": "x"}})),
            "invalid_field",
            "webHook.headers.host",
        ),
        (
            hook(json!({"headers": {"x-a": "${secret:none}"}})),
            "invalid_field",
            "webHook.headers.x-a",
        ),
        (
            custom(json!({"httpMethod": "get"})),
            "invalid_field",
            "webHook.customSettings.httpMethod",
        ),
        (
            custom(json!({"queryParams": {"a": 1}})),
            "invalid_field",
            "webHook.customSettings.queryParams.a",
        ),
        (
            custom(json!({"queryParams": many})),
            "invalid_field",
            "webHook.customSettings.queryParams",
        ),
        (
            custom(json!({"bodyFormat": {"template": "{{ a | upper }}"}})),
            "invalid_field",
            "webHook.customSettings.bodyFormat.template",
        ),
    ];
    let mut wrong = Vec::new();
    for (body, code, field) in rows {
        let reply = server.test_webhook(&body).await;
        if let Err(difference) = reply.is_problem(422, code, Some(field)) {
            wrong.push(difference);
        }
    }
    assert_none_wrong(&wrong);
    assert!(sink.requests().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn a_test_of_somebody_elses_webhook_leaves_no_event() {
    let server = sink::server();
    let sink = Sink::start().await;
    server.endpoint(&sink.endpoint("crm")).await;
    server
        .test_webhook(&test("Completed", &sink.url("/tested")))
        .await
        .expect(200);
    assert_eq!(server.all("/events").await.len(), 0);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let paths: Vec<_> = sink.requests().into_iter().map(|it| it.path).collect();
    assert_eq!(paths, ["/tested"]);
}
