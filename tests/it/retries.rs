//! What comes of a delivery to an endpoint that does not simply take it.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::assert_none_wrong;
use crate::payload::{self, With};
use crate::sink::{self, Act, Sink, status};

/// An endpoint that is bad in one way, and what is to come of a delivery there.
struct Bad {
    name: &'static str,
    endpoint: Value,
    state: &'static str,
    status: Option<u16>,
    error: Option<&'static str>,
    attempts: u32,
}

/// Two attempts, at once.
fn at_once() -> Value {
    json!({"delays_seconds": [0, 0], "jitter_percent": 0})
}

fn bad(name: &'static str, url: &str, state: &'static str, attempts: u32) -> Bad {
    Bad {
        name,
        endpoint: json!({"name": name, "url": url, "schedule": at_once()}),
        state,
        status: None,
        error: None,
        attempts,
    }
}

impl Bad {
    fn with(mut self, settings: Value) -> Self {
        self.endpoint = self.endpoint.with(settings);
        self
    }

    fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    fn error(mut self, error: &'static str) -> Self {
        self.error = Some(error);
        self
    }

    /// How the delivery differs from what was expected.
    fn difference(&self, delivery: &Value) -> Option<String> {
        let expected = json!({
            "id": delivery["id"], "endpoint": delivery["endpoint"],
            "endpoint_name": self.endpoint["name"], "state": self.state,
            "status": self.status, "error": self.error, "attempts": self.attempts,
        });
        (*delivery != expected).then(|| format!("{}: {delivery} is not {expected}", self.name))
    }
}

/// A port at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    format!("http://{address}/")
}

#[tokio::test]
async fn each_bad_endpoint_comes_to_its_end() {
    let server = sink::server();
    let source = server.source("main-line").await;
    let innocent = Sink::start().await;
    let hanging = Sink::script([Act::Hang]).await;
    let dripping = Sink::script([Act::Drip]).await;
    let flooding = Sink::script([Act::Flood]).await;
    let resetting = Sink::script([Act::Reset]).await;
    let redirect = status(302).with("location", innocent.url("/followed"));
    let redirecting = Sink::script([redirect]).await;
    let away = status(307).with("location", "http://10.0.0.1/");
    let away = Sink::script([away]).await;
    let (untrusted, _) = Sink::tls().await;
    // It does not understand the greeting, and leaves.
    let encrypted_only = innocent.url("/").replace("http:", "https:");
    let mut refusing = Vec::new();
    for code in [400, 401, 404, 408, 422] {
        refusing.push((code, Sink::script([status(code)]).await));
    }
    let mut failing = Vec::new();
    for code in [500, 502, 503, 504, 429, 304] {
        failing.push((code, Sink::script([status(code)]).await));
    }
    let soon = json!({"timeout_ms": 300});
    let mut rows = vec![
        bad("refuses", &nobody(), "exhausted", 2).error("connection_refused"),
        bad("resets", &resetting.url("/"), "exhausted", 2).error("broken"),
        bad("hangs", &hanging.url("/"), "exhausted", 2)
            .error("timeout")
            .with(soon.clone()),
        bad("drips", &dripping.url("/"), "delivered", 1)
            .status(200)
            .with(soon),
        bad("floods", &flooding.url("/"), "delivered", 1).status(200),
        bad("redirects", &redirecting.url("/"), "exhausted", 2).status(302),
        bad("redirects-away", &away.url("/"), "exhausted", 2).status(307),
        bad("untrusted", &untrusted.url("/"), "refused", 1).error("certificate"),
        bad("not-tls", &encrypted_only, "exhausted", 2).error("unconnected"),
        bad(
            "no-such-name",
            "http://no-such-host.invalid/",
            "exhausted",
            2,
        )
        .error("unresolved"),
        bad("private", "http://10.0.0.1/", "exhausted", 2).error("prohibited"),
    ];
    for (code, sink) in &refusing {
        let name: &str = format!("says-{code}").leak();
        rows.push(bad(name, &sink.url("/"), "refused", 1).status(*code));
    }
    for (code, sink) in &failing {
        let name: &str = format!("says-{code}").leak();
        rows.push(bad(name, &sink.url("/"), "exhausted", 2).status(*code));
    }
    let mut ids = Vec::new();
    for row in &rows {
        ids.push(server.endpoint(&row.endpoint).await["id"].clone());
    }
    let event = server.hook(&source, &payload::failed()).await.event();
    let event = server.settled(&event).await;
    let deliveries = event["deliveries"].as_array().expect("deliveries");
    assert_eq!(deliveries.len(), rows.len());
    let wrong: Vec<String> = rows
        .iter()
        .zip(&ids)
        .filter_map(|(row, id)| {
            let delivery = deliveries.iter().find(|one| one["endpoint"] == *id);
            row.difference(delivery.expect("it was owed"))
        })
        .collect();
    assert_none_wrong(&wrong);
    assert_eq!(innocent.requests().len(), 0, "no redirect is followed");
}

#[tokio::test]
async fn a_certificate_that_the_operator_trusts_is_trusted() {
    let (sink, pem) = Sink::tls().await;
    let launch = crate::server::Launch::new();
    let roots = launch.directory().join("roots.pem");
    std::fs::write(&roots, pem).expect("a file");
    let settings = format!(
        "[egress]\nallow = [\"127.0.0.0/8\", \"::1/128\"]\nextra_roots = {:?}\n",
        roots.display().to_string()
    );
    let server = launch.configuration(&settings).start();
    let source = server.source("main-line").await;
    server.endpoint(&sink.endpoint("crm")).await;
    let id = server.hook(&source, &payload::failed()).await.event();
    let event = server.settled(&id).await;
    assert_eq!(event["deliveries"][0]["state"], "delivered", "{event}");
}

#[tokio::test]
async fn a_wish_to_wait_is_honoured() {
    let server = sink::server();
    let source = server.source("main-line").await;
    let until = jiff::Timestamp::now() + Duration::from_secs(4);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new();
    let date = date.timestamp_to_rfc9110_string(&until).expect("a date");
    let mut sinks = Vec::new();
    for (name, act) in [
        ("seconds-503", status(503).with("retry-after", "2")),
        ("seconds-429", status(429).with("retry-after", "2")),
        ("date-503", status(503).with("retry-after", date)),
    ] {
        let sink = Sink::script([act, status(200)]).await;
        let endpoint = sink.endpoint(name).with(json!({"schedule": at_once()}));
        server.endpoint(&endpoint).await;
        sinks.push((name, sink));
    }
    let id = server.hook(&source, &payload::failed()).await.event();
    let event = server.settled(&id).await;
    for delivery in event["deliveries"].as_array().expect("deliveries") {
        assert_eq!(delivery["state"], "delivered");
        assert_eq!(delivery["attempts"], 2);
    }
    for (name, sink) in sinks {
        let requests = sink.requests();
        if name.starts_with("seconds") {
            let waited = requests[1].at - requests[0].at;
            // Times in the store are in milliseconds, rounded down.
            assert!(waited >= Duration::from_millis(1_990), "{name}: {waited:?}");
        } else {
            // The date has no parts of a second.
            let now = jiff::Timestamp::now() + Duration::from_secs(1);
            assert!(now >= until, "{name}: the second attempt was too early");
        }
    }
}

#[tokio::test]
async fn a_wish_is_no_reason_to_try_a_refusal_again() {
    let server = sink::server();
    let source = server.source("main-line").await;
    let sink = Sink::script([status(404).with("retry-after", "1")]).await;
    server.endpoint(&sink.endpoint("crm")).await;
    let id = server.hook(&source, &payload::failed()).await.event();
    let event = server.settled(&id).await;
    assert_eq!(event["deliveries"][0]["state"], "refused");
    assert_eq!(event["deliveries"][0]["attempts"], 1);
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled() {
    let server = sink::server();
    let source = server.source("main-line").await;
    let sink = Sink::script([status(410), status(200)]).await;
    let endpoint = server.endpoint(&sink.endpoint("crm")).await;
    let id = server.hook(&source, &payload::failed()).await.event();
    let event = server.settled(&id).await;
    let delivery = &event["deliveries"][0];
    assert_eq!(
        (&delivery["state"], &delivery["status"]),
        (&json!("refused"), &json!(410))
    );
    let standing = loop {
        let now = server.endpoint_now(&endpoint).await;
        if now["enabled"] == false {
            break now["standing"].clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(standing["state"], "disabled");
    assert_eq!(standing["reason"], "gone");
    let later = server.hook(&source, &payload::failed()).await.event();
    assert_eq!(server.event(&later).await["deliveries"], json!([]));

    server
        .patch_endpoint(&endpoint, &json!({"enabled": true}))
        .await;
    let again = server.hook(&source, &payload::failed()).await.event();
    let again = server.settled(&again).await;
    assert_eq!(again["deliveries"][0]["state"], "delivered");
}

#[tokio::test]
async fn a_retry_goes_on_after_a_restart() {
    let server = sink::server();
    let source = server.source("main-line").await;
    let sink = Sink::script([status(500), status(200)]).await;
    let schedule = json!({"delays_seconds": [0, 3], "jitter_percent": 0});
    let endpoint = sink.endpoint("crm").with(json!({"schedule": schedule}));
    server.endpoint(&endpoint).await;
    let id = server.hook(&source, &payload::failed()).await.event();
    sink.wait_for(1).await;
    while server.event(&id).await["deliveries"][0]["attempts"] != 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let server = server.stop().start();
    let event = server.settled(&id).await;
    assert_eq!(event["deliveries"][0]["state"], "delivered");
    assert_eq!(event["deliveries"][0]["attempts"], 2);
    let requests = sink.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(2_990));
}
