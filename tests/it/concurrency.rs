//! Calls at the same time: shared state is changed by one after the other.

use std::collections::BTreeSet;

use serde_json::json;

use crate::misbehave::{self, mode};
use crate::payload::{self, With};

#[tokio::test]
async fn fifty_increments_at_once_sum_exactly() {
    let (server, source) = misbehave::server().await;
    server.bind(&mode("kv-race")).await;
    let calls = (0..50).map(|call| {
        let payload = payload::tool().with(json!({"callId": format!("call_{call}")}));
        let (server, source) = (&server, &source);
        async move {
            server.hook(source, &payload).await.expect(200)["n"]
                .as_i64()
                .expect("a sum")
        }
    });
    let sums: BTreeSet<i64> = futures::future::join_all(calls).await.into_iter().collect();
    assert_eq!(
        sums,
        (1..=50).collect(),
        "an increment was lost or seen twice"
    );
}

#[tokio::test]
async fn each_plugin_has_keys_of_its_own() {
    let (server, source) = misbehave::server().await;
    misbehave::install_as(&server, "other").await;
    let tool = |name: &str| json!({"selector": {"tool": name}});
    server.bind(&mode("kv-race").with(tool("one"))).await;
    // Two bindings of one plugin share its keys, two plugins do not.
    server.bind(&mode("kv-race").with(tool("two"))).await;
    server
        .bind(
            &mode("kv-race")
                .with(json!({"plugin": "other"}))
                .with(tool("three")),
        )
        .await;
    let mut sums = Vec::new();
    for name in ["one", "two", "three", "one"] {
        let reply = server
            .hook(&source, &payload::tool_call(name, &json!({})))
            .await;
        sums.push(reply.expect(200)["n"].clone());
    }
    assert_eq!(sums, [1, 2, 1, 3]);
}
