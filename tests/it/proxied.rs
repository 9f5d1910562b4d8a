//! Everything goes out through the operator's proxy, if there is one.

use serde_json::json;

use crate::payload;
use crate::server::{Launch, Server};
use crate::sink::{self, Sink};

fn server(proxy: &Sink) -> Server {
    let proxy = proxy.url("");
    let configuration = format!("[egress]\nplain_endpoints = true\nproxy = \"{proxy}\"\n");
    Launch::new().configuration(&configuration).start()
}

#[tokio::test]
async fn a_delivery_is_handed_to_the_proxy_which_resolves_its_host() {
    let proxy = Sink::start().await;
    let server = server(&proxy);
    let source = server.source("main-line").await;
    let endpoint = json!({"name": "crm", "url": "http://crm.example/hook?a=b"});
    server.endpoint(&endpoint).await;
    let event = server.hook(&source, &payload::failed()).await.event();
    let event = server.settled(&event).await;
    assert_eq!(event["deliveries"][0]["state"], "delivered", "{event}");
    let requests = proxy.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path, "http://crm.example/hook?a=b");
    assert_eq!(requests[0].json(), payload::failed());
}

#[tokio::test]
async fn a_delivery_with_tls_asks_the_proxy_for_a_tunnel() {
    let proxy = Sink::script([sink::status(403)]).await;
    let server = server(&proxy);
    let source = server.source("main-line").await;
    let endpoint = json!({
        "name": "crm", "url": "https://crm.example/hook",
        "schedule": {"delays_seconds": [0], "jitter_percent": 0},
    });
    server.endpoint(&endpoint).await;
    let event = server.hook(&source, &payload::failed()).await.event();
    let event = server.settled(&event).await;
    assert_eq!(event["deliveries"][0]["state"], "exhausted", "{event}");
    let request = &proxy.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("CONNECT", "crm.example:443")
    );
    assert_eq!(
        request.body, b"",
        "nothing is shown to a proxy that refuses"
    );
}

#[tokio::test]
async fn an_address_that_is_not_public_is_not_asked_of_the_proxy() {
    let proxy = Sink::start().await;
    let server = server(&proxy);
    let source = server.source("main-line").await;
    let endpoint = json!({
        "name": "metadata", "url": "http://169.254.169.254/latest",
        "schedule": {"delays_seconds": [0], "jitter_percent": 0},
    });
    server.endpoint(&endpoint).await;
    let event = server.hook(&source, &payload::failed()).await.event();
    let event = server.settled(&event).await;
    assert_eq!(event["deliveries"][0]["error"], "prohibited", "{event}");
    assert_eq!(proxy.requests().len(), 0);
}
