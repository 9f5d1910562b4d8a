//! Acknowledged means stored: the server is killed in the middle of its work, and
//! nothing it has promised is lost.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Source;
use crate::misbehave::{self, mode};
use crate::payload::{self, With};
use crate::server::{Launch, Server};

/// How often the server is killed.
const ROUNDS: u32 = 4;
/// How many platforms send at the same time.
const SENDERS: u32 = 16;
/// Bounds a round that is never killed.
const MOST_PER_SENDER: u32 = 5_000;

/// What was acknowledged: the event's id and the call it was about.
type Acknowledged = Mutex<BTreeMap<String, String>>;

/// Sends notices until the server does not answer any more.
async fn send_until_it_dies(
    server: &Server,
    source: &Source,
    round: u32,
    sender: u32,
    seen: &Acknowledged,
) {
    for number in 0..MOST_PER_SENDER {
        let call = format!("call_{round}_{sender}_{number}");
        let payload = payload::completed().with(json!({"callId": call}));
        let request = server
            .request(reqwest::Method::POST, &source.hook_path)
            .json(&payload);
        let Ok(response) = request.send().await else {
            return;
        };
        assert_eq!(response.status(), 200);
        let id = response.headers()["x-hookswitch-event"]
            .to_str()
            .expect("an id")
            .to_owned();
        // The answer's head may be here and its body cut off: that is no answer.
        let Ok(body) = response.json::<Value>().await else {
            return;
        };
        assert_eq!(body, json!({"received": true, "eventId": id}));
        seen.lock().expect("the list").insert(id, call);
    }
    panic!("the server was never killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_notice_is_lost_by_kill_9() {
    let (mut server, source) = misbehave::server_of(asked_often()).await;
    server.bind(&mode("echo")).await;
    let seen = Acknowledged::default();

    for round in 0..ROUNDS {
        let senders =
            (0..SENDERS).map(|sender| send_until_it_dies(&server, &source, round, sender, &seen));
        let senders = futures::future::join_all(senders);
        let killer = async {
            tokio::time::sleep(Duration::from_millis(250 + 170 * u64::from(round))).await;
            server.kill_at_once();
        };
        tokio::join!(senders, killer);
        server = server.restart();
    }

    let seen = seen.into_inner().expect("the list");
    println!(
        "{} notices were acknowledged in {ROUNDS} rounds",
        seen.len()
    );
    assert!(
        seen.len() > ROUNDS as usize * 10,
        "only {} were acknowledged",
        seen.len()
    );
    for (id, call) in &seen {
        let event = server.handled(id).await;
        assert_eq!(event["call_id"], *call);
        let deliveries = event["deliveries"].as_array().expect("deliveries");
        assert_eq!(
            deliveries.len(),
            1,
            "owed once, neither lost nor doubled: {event}"
        );
        assert_eq!(deliveries[0]["state"], "owed");
        let said = &event["decision"]["answer"]["deliveries"][0];
        assert_eq!(said["endpoint"], "echo");
        assert_eq!(said["body"]["given"]["id"], *id);
        assert_eq!(said["body"]["call"]["callId"], *call);
    }
    no_event_is_half_there(&server).await;
}

/// Also what was stored and not acknowledged any more is whole.
async fn no_event_is_half_there(server: &Server) {
    let events = server.all("/events").await;
    for event in &events {
        let id = event["id"].as_str().expect("an id");
        let event = server.handled(id).await;
        assert_eq!(
            event["deliveries"].as_array().map(Vec::len),
            Some(1),
            "{event}"
        );
        assert_eq!(event["payload"]["callId"], event["call_id"]);
    }
    assert_eq!(server.all("/decisions").await.len(), events.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_decision_on_an_answered_question_is_lost_by_kill_9() {
    let (mut server, source) = misbehave::server_of(asked_often()).await;
    server.bind(&mode("kv-race")).await;
    let answered: Mutex<Vec<(String, Value)>> = Mutex::default();
    for round in 0..ROUNDS {
        let ask = async {
            for _ in 0..MOST_PER_SENDER {
                let request = server.request(reqwest::Method::POST, &source.hook_path);
                let Ok(response) = request.json(&payload::tool()).send().await else {
                    return;
                };
                let id = response.headers()["x-hookswitch-event"]
                    .to_str()
                    .expect("an id")
                    .to_owned();
                let Ok(body) = response.json::<Value>().await else {
                    return;
                };
                answered.lock().expect("the list").push((id, body));
            }
            panic!("the server was never killed");
        };
        let killer = async {
            tokio::time::sleep(Duration::from_millis(200 + 90 * u64::from(round))).await;
            server.kill_at_once();
        };
        tokio::join!(ask, killer);
        server = server.restart();
    }
    let answered = answered.into_inner().expect("the list");
    println!(
        "{} questions were answered in {ROUNDS} rounds",
        answered.len()
    );
    assert!(
        answered.len() > ROUNDS as usize * 5,
        "only {} were answered",
        answered.len()
    );
    let mut highest = 0;
    for (id, body) in answered {
        let event = server.event(&id).await;
        assert_eq!(event["state"], "answered");
        assert_eq!(
            event["decision"]["reply"],
            json!({"status": 200, "body": body})
        );
        assert_eq!(
            event["decision"]["answer"],
            json!({"decision": "answer", "result": body})
        );
        let sum = body["n"].as_i64().expect("a sum");
        assert!(
            sum > highest,
            "the count went back to {sum} after {highest}"
        );
        highest = sum;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_whose_handler_was_killed_is_handled_again() {
    let (server, source) = misbehave::server().await;
    server.bind(&misbehave::slow(1_500)).await;
    let id = server.hook(&source, &payload::failed()).await.event();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        server.event(&id).await["state"],
        "accepted",
        "it is being handled"
    );
    let server = server.kill().start();
    let event = server.handled(&id).await;
    assert_eq!(event["decision"]["outcome"], "answered");
}

/// A server that is asked about every one of thousands of events.
fn asked_often() -> Launch {
    Launch::new().configuration("[limits]\napi_requests_per_second = 1000000\n")
}

#[tokio::test]
async fn what_the_administrator_created_survives_kill_9() {
    let (server, source) = misbehave::server().await;
    server.bind(&mode("none")).await;
    let before = server.contents().await;
    let server = server.kill().start();
    assert_eq!(server.contents().await, before);
    assert_eq!(
        server.hook(&source, &payload::tool()).await.expect(200),
        misbehave::behaved()
    );
}

#[tokio::test]
async fn a_compiled_plugin_that_was_damaged_is_compiled_again() {
    let (server, source) = misbehave::server().await;
    server.bind(&mode("none")).await;
    let launch = server.stop();
    let mut damaged = 0;
    // The store and its keys are the truth; what is compiled is a cache.
    for file in crate::server::files_below(&launch.directory().join("data/compiled")) {
        let content = std::fs::read(&file).expect("the file can be read");
        std::fs::write(&file, &content[..content.len() / 2]).expect("the file can be cut");
        damaged += usize::from(content.len() > 1);
    }
    assert!(damaged > 0, "no compiled plugin was found");
    let server = launch.start();
    assert_eq!(
        server.hook(&source, &payload::tool()).await.expect(200),
        misbehave::behaved()
    );
}
