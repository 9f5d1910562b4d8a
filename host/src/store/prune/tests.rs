use jiff::SignedDuration;

use super::*;
use crate::domain::decision::EventAnswer;
use crate::domain::delivery::State;
use crate::domain::id::DeliveryId;
use crate::domain::repeat::Basis;
use crate::store::fixture::Fixture;
use crate::store::plan::plan;

/// A time at which nothing of now is looked for by a repetition.
fn later() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(48)
}

async fn oldest(fixture: &Fixture, now: Timestamp) -> Oldest {
    let oldest = fixture
        .store()
        .oldest_events(fixture.organization, None, 100, now);
    oldest.await.unwrap()
}

async fn unowed(fixture: &Fixture, call: &str) -> EventId {
    fixture.handled(call, EventAnswer::Unchanged {}, &[]).await
}

/// How many rows each table has that an event's traces are in.
async fn rows(store: &Store) -> Vec<(&'static str, i64)> {
    let mut rows = Vec::new();
    for table in [
        "event",
        "payload",
        "decision",
        "log_line",
        "delivery",
        "delivery_body",
        "attempt",
    ] {
        let count = format!("SELECT count(*) FROM {table}");
        let count: (i64,) = sqlx::query_as(sqlx::AssertSqlSafe(count))
            .fetch_one(store.journal_readers().await.unwrap())
            .await
            .unwrap();
        rows.push((table, count.0));
    }
    rows
}

#[tokio::test]
async fn pruning_reads_and_deletes_by_keys() {
    let fixture = Fixture::new().await;
    let by_key = DELETE_ALL_OF_EVENTS.into_iter().chain([
        OLDEST,
        STILL_DONE,
        DELETE_DECISIONS,
        DELETE_EVENTS,
    ]);
    for statement in by_key {
        let plan = plan(fixture.store(), statement).await;
        for table in [
            "event",
            "payload",
            "decision",
            "log_line",
            "delivery",
            "delivery_body",
            "attempt",
            "pending_notice",
            "pending_question",
        ] {
            let scans = plan.split("; ").any(|step| {
                step == format!("SCAN {table}") || step.starts_with(&format!("SCAN {table} "))
            });
            assert!(!scans, "{statement}: {plan}");
        }
        assert!(!plan.contains("TEMP B-TREE"), "{statement}: {plan}");
    }
    let plan = plan(fixture.store(), COUNTS).await;
    assert!(!plan.contains("SCAN event;"), "{plan}");
    assert!(
        plan.contains("SEARCH organization USING PRIMARY KEY"),
        "{plan}"
    );
}

#[tokio::test]
async fn an_event_goes_with_all_that_is_known_of_it_and_with_nothing_else() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    let with_all = async |call: &str| {
        let delivery = crate::store::journal::OwedDelivery {
            body: Some(serde_json::value::RawValue::from_string("1".to_owned()).unwrap()),
            ..fixture.owe()
        };
        let id = delivery.id;
        let owes = [delivery];
        let event = fixture.handled(call, EventAnswer::Unchanged {}, &owes);
        let event = event.await;
        fixture.end(id, 0, State::Exhausted).await;
        event
    };
    let gone = with_all("gone").await;
    let one = rows(store).await;
    let stays = with_all("stays").await;
    let pruned = store.prune(fixture.organization, &[gone]).await.unwrap();
    assert_eq!(pruned, 1);
    assert_eq!(rows(store).await, one);
    assert!(store.event(fixture.organization, gone).await.is_err());
    let stays = store.event(fixture.organization, stays).await.unwrap();
    assert_eq!(stays.deliveries.len(), 1);
    assert_eq!(store.usage(fixture.organization).await.unwrap().events, 1);
}

#[tokio::test]
async fn what_is_pending_or_owed_stays_until_it_is_done() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    let (notice, question) = (fixture.event("notice"), fixture.event("question"));
    store.accept(&notice).await.unwrap();
    store.reserve(&question, &[]).await.unwrap();
    let owed = fixture.owed("owed").await;
    let free = unowed(&fixture, "free").await;

    let found = oldest(&fixture, later()).await;
    assert_eq!((found.looked_at, found.to_prune), (4, vec![free]));

    let decision = |event| fixture.decision(event, EventAnswer::Unchanged {});
    let handled = decision(&notice);
    let completed = store.complete(&notice, &handled, &[]);
    completed.await.unwrap();
    let answered = decision(&question);
    store.answer(&answered, None).await.unwrap();
    fixture.end(owed, 0, State::Delivered).await;
    let found = oldest(&fixture, later()).await;
    assert_eq!(found.to_prune.len(), 4);
}

#[tokio::test]
async fn what_came_to_be_owed_after_it_was_looked_at_stays() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    let failed: DeliveryId = fixture.failed("call").await;
    let found = oldest(&fixture, later()).await;
    assert_eq!(found.to_prune.len(), 1);
    let author = crate::store::Author::host(fixture.organization, Timestamp::now());
    let again = store.retry_delivery(fixture.organization, failed, false, fixture.begin, author);
    again.await.unwrap();
    let pruned = store.prune(fixture.organization, &found.to_prune);
    assert_eq!(pruned.await.unwrap(), 0);
    assert_eq!(fixture.state(failed).await, State::Owed);
}

#[tokio::test]
async fn what_a_repetition_may_ask_for_stays() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    let plain = unowed(&fixture, "plain").await;
    let mut named = fixture.event("named");
    named.fingerprint = Some(Fingerprint {
        basis: Basis::Identified,
        digest: [7; Fingerprint::BYTES],
    });
    let decision = fixture.decision(&named, EventAnswer::Unchanged {});
    let accepted = store.accept_handled(&named, &decision, &[]);
    accepted.await.unwrap();
    // What is younger than a named one is not looked at before that.
    let young = unowed(&fixture, "young").await;

    let after = async |minutes| {
        let now = Timestamp::now() + SignedDuration::from_mins(minutes);
        oldest(&fixture, now).await.to_prune
    };
    assert_eq!(after(62).await, []);
    assert_eq!(after(64).await, [plain]);
    assert_eq!(after(24 * 60 + 2).await, [plain]);
    assert_eq!(after(24 * 60 + 4).await, [plain, named.id, young]);
}

/// As after a crash: the platform may only now come again.
#[tokio::test]
async fn what_was_decided_late_is_known_for_as_long_as_what_came_late() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    let question = fixture.event("question");
    store.reserve(&question, &[]).await.unwrap();
    let mut decision = fixture.decision(&question, EventAnswer::Unchanged {});
    decision.decision.decided_at = later();
    store.answer(&decision, None).await.unwrap();
    let after = async |minutes| {
        let now = later() + SignedDuration::from_mins(minutes);
        oldest(&fixture, now).await.to_prune.len()
    };
    assert_eq!((after(59).await, after(61).await), (0, 1));
}

#[tokio::test]
async fn a_batch_takes_few_large_events_and_many_small_ones() {
    let fixture = Fixture::new().await;
    for call in 0..3 {
        let mut large = fixture.event(&call.to_string());
        large.payload = format!("\"{}\"", "x".repeat(700 << 10)).into();
        let decision = fixture.decision(&large, EventAnswer::Unchanged {});
        let stored = fixture.store().accept_handled(&large, &decision, &[]);
        stored.await.unwrap();
    }
    let found = oldest(&fixture, later()).await;
    assert_eq!((found.looked_at, found.to_prune.len()), (1, 1));
}
