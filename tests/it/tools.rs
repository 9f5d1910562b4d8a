//! Tool calls, answered by `appointment-tools`.

use serde_json::{Value, json};

use crate::client::Source;
use crate::payload::{self, With, tool_call};
use crate::server::Server;

/// A business that is open on the Saturday of the sample. The sample's date is
/// long past, so time is ignored.
fn desk() -> Value {
    json!({
        "plugin": "appointment-tools",
        "selector": {"kind": "tool.call"},
        "grants": {"kv": {}},
        "config": {
            "time_zone": "America/Los_Angeles",
            "hours": {"saturday": ["10:00-14:00"]},
            "slot_minutes": 60,
            "services": ["consultation"],
            "past_dates": "allow",
        },
    })
}

async fn server() -> (Server, Source) {
    let server = Server::start();
    server.install("appointment-tools").await;
    server.bind(&desk()).await;
    let source = server.source("main-line").await;
    (server, source)
}

/// The fields of every answer about the sample's day, and more.
fn about_saturday(more: Value) -> Value {
    json!({
        "date": "2025-10-25",
        "weekday": "Saturday",
        "slot_minutes": 60,
        "time_zone": "America/Los_Angeles",
    })
    .with(more)
}

fn book(call: &str, time: &str) -> Value {
    let arguments = json!({"date": "2025-10-25", "time": time, "service": "consultation"});
    tool_call("book_appointment", &arguments).with(json!({"callId": call}))
}

fn check() -> Value {
    payload::tool()
}

#[tokio::test]
async fn the_sample_asks_which_slots_are_free() {
    let (server, source) = server().await;
    let reply = server.hook(&source, &check()).await;
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(
        reply.expect(200),
        about_saturday(json!({
            "service": "consultation",
            "available": true,
            "slots": ["10:00", "11:00", "12:00", "13:00"],
        }))
    );
}

#[tokio::test]
async fn a_slot_is_booked_offered_no_more_and_given_back() {
    let (server, source) = server().await;
    let booked = server
        .hook(&source, &book("call_1", "11:00"))
        .await
        .expect(200);
    let reference = booked["reference"].clone();
    assert_eq!(
        booked,
        about_saturday(json!({
            "booked": true, "reference": reference, "time": "11:00", "service": "consultation",
        }))
    );
    let free = server.hook(&source, &check()).await.expect(200);
    assert_eq!(free["slots"], json!(["10:00", "12:00", "13:00"]));

    let cancel = tool_call("cancel_appointment", &json!({"date": "2025-10-25"}))
        .with(json!({"callId": "call_1"}));
    let cancelled = server.hook(&source, &cancel).await.expect(200);
    let expected = json!({"cancelled": true, "reference": reference, "time": "11:00"});
    assert_eq!(cancelled, about_saturday(expected));
    let free = server.hook(&source, &check()).await.expect(200);
    assert_eq!(free["slots"], json!(["10:00", "11:00", "12:00", "13:00"]));
    let again = server.hook(&source, &cancel).await.expect(200);
    assert_eq!(
        (&again["cancelled"], &again["reason"]),
        (&json!(false), &json!("not_found"))
    );
}

#[tokio::test]
async fn a_slot_that_is_taken_is_refused_with_others_nearby() {
    let (server, source) = server().await;
    server
        .hook(&source, &book("call_1", "11:00"))
        .await
        .expect(200);
    let taken = server
        .hook(&source, &book("call_2", "11:00"))
        .await
        .expect(200);
    assert_eq!(
        taken,
        about_saturday(json!({
            "booked": false,
            "reason": "taken",
            "message": "11:00 is already taken.",
            "alternatives": ["10:00", "12:00", "13:00"],
        }))
    );
}

#[tokio::test]
async fn a_call_that_repeats_itself_gets_its_booking_again() {
    let (server, source) = server().await;
    let first = server
        .hook(&source, &book("call_1", "11:00"))
        .await
        .expect(200);
    let second = server
        .hook(&source, &book("call_1", "11:00"))
        .await
        .expect(200);
    assert_eq!(first["booked"], true);
    assert_eq!(second, first);
}

#[tokio::test]
async fn bookings_survive_the_server() {
    let (server, source) = server().await;
    server
        .hook(&source, &book("call_1", "11:00"))
        .await
        .expect(200);
    let server = server.kill().start();
    let taken = server
        .hook(&source, &book("call_2", "11:00"))
        .await
        .expect(200);
    assert_eq!(taken["reason"], "taken");
}

#[tokio::test]
async fn arguments_a_model_got_wrong_are_answered_for_the_model() {
    let (server, source) = server().await;
    for (tool, arguments, field) in [
        ("check_availability", json!({"date": "next week"}), "date"),
        (
            "check_availability",
            json!({"date": "2025-10-25", "service": "surgery"}),
            "service",
        ),
        ("book_appointment", json!({"date": "2025-10-25"}), "time"),
        (
            "book_appointment",
            json!({"date": "2025-10-25", "time": "noon"}),
            "time",
        ),
        ("cancel_appointment", json!({}), "date"),
    ] {
        let answer = server
            .hook(&source, &tool_call(tool, &arguments))
            .await
            .expect(200);
        assert_eq!(answer["field"], field, "{tool} {arguments}: {answer}");
        assert!(
            answer["error"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_tool_the_plugin_does_not_have_is_passed_on() {
    let (server, source) = server().await;
    let reply = server
        .hook(&source, &tool_call("order_pizza", &json!({})))
        .await;
    reply.expect_problem(503, "no_answer", None);
    assert_eq!(
        server.event(&reply.event()).await["decision"]["reason"],
        "all_passed"
    );
}

/// Books one slot from so many calls at once, and gives how many were told that
/// it is theirs.
async fn race(calls: usize) -> usize {
    let (server, source) = server().await;
    let answers = futures::future::join_all((0..calls).map(|call| {
        let (server, source, book) = (&server, &source, book(&format!("call_{call}"), "12:00"));
        async move { server.hook(source, &book).await.expect(200) }
    }))
    .await;
    for answer in &answers {
        let (booked, reason) = (answer["booked"] == true, &answer["reason"]);
        assert!(
            booked || *reason == "taken" || *reason == "busy",
            "{answer}"
        );
    }
    let free = server.hook(&source, &check()).await.expect(200);
    assert_eq!(free["slots"], json!(["10:00", "11:00", "13:00"]));
    answers
        .iter()
        .filter(|answer| answer["booked"] == true)
        .count()
}

#[tokio::test]
async fn two_calls_at_once_never_book_one_slot() {
    // Whether two requests really meet is chance, so they get several.
    for _ in 0..5 {
        assert_eq!(race(2).await, 1);
    }
}

#[tokio::test]
async fn twenty_calls_at_once_never_book_one_slot() {
    assert_eq!(race(20).await, 1);
}
