//! Large bodies to many endpoints: all of it arrives, and little of it is in memory.

use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use crate::client::send;
use crate::payload::{self, With};
use crate::server::Server;
use crate::sink::{self, Act, Sink};

/// The most memory that the server ever had, in bytes.
fn peak(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id()));
    let status = status.expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.expect("a line").trim().trim_end_matches(" kB");
    kilobytes.parse::<u64>().expect("a number") << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_transcript_reaches_every_endpoint_and_is_not_in_memory_for_each() {
    const ENDPOINTS: usize = 5;
    const SIZE: usize = 10 << 20;
    let server = sink::server();
    let source = server.source("main-line").await;
    let sink = Sink::start().await;
    for number in 0..ENDPOINTS {
        server
            .endpoint(&sink.endpoint(&format!("archive-{number}")))
            .await;
    }
    let utterance =
        json!({"speaker": "user", "text": "Ich hätte gern über das Wetter gesprochen."});
    let count = SIZE / utterance.to_string().len();
    let transcript = json!({"transcription": vec![utterance; count]});
    let sent = payload::completed().with(transcript).to_string();
    // What a first request costs is not what a large one costs.
    server.hook(&source, &payload::failed()).await.expect(200);
    sink.wait_for(ENDPOINTS).await;
    let before = peak(&server);
    let request = server.request(reqwest::Method::POST, &source.hook_path);
    let request = request.header(CONTENT_TYPE, "application/json");
    send(request.body(sent.clone())).await.expect(200);
    let requests = sink.wait_for(2 * ENDPOINTS).await;
    let whole = requests
        .iter()
        .filter(|request| request.body == sent.as_bytes());
    assert_eq!(whole.count(), ENDPOINTS, "byte for byte");
    let growth = peak(&server).saturating_sub(before);
    println!(
        "{} bytes to {ENDPOINTS}: {} MiB more",
        sent.len(),
        growth >> 20
    );
    // It is there some times: as it came, in the redo log, on its way into the database and
    // out of it again; but not for each endpoint.
    assert!(growth < 125 << 20, "{growth} bytes more");
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_without_end_are_not_read_to_their_end() {
    const EVENTS: usize = 16;
    let server = sink::server();
    let source = server.source("main-line").await;
    let sink = Sink::script([Act::Flood]).await;
    server.endpoint(&sink.endpoint("floods")).await;
    server.hook(&source, &payload::failed()).await.expect(200);
    sink.wait_for(1).await;
    let before = peak(&server);
    for _ in 0..EVENTS {
        let id = server.hook(&source, &payload::failed()).await.event();
        let event = server.settled(&id).await;
        assert_eq!(event["deliveries"][0]["state"], "delivered");
    }
    let growth = peak(&server).saturating_sub(before);
    println!("{EVENTS} floods: {} MiB more", growth >> 20);
    assert!(growth < 50 << 20, "{growth} bytes more");
}
