use std::time::Duration;

use super::*;
use crate::domain::binding::PluginVersion;
use crate::domain::decision::{
    EventAnswer, Failure, FailureCode, Invocation, InvocationOutcome, Outcome, Why,
};
use crate::domain::delivery::State;
use crate::domain::log::{Level, LogLine};
use crate::domain::plugin::{Handler, Name};
use crate::domain::seed::Seed;
use crate::domain::timeline::What;
use crate::store::fixture::Fixture;
use crate::store::journal::{AttemptRecord, DecisionRecord, EventRecord, ForwardRecord, Next};
use crate::store::plan::plan;
use crate::store::{Durability, OpenStore};

const ALL: PageRequest = PageRequest {
    limit: 200,
    after: None,
};

/// Each entry in a word or two.
fn words(entries: &[Entry]) -> Vec<String> {
    let word = |entry: &Entry| match &entry.what {
        What::Event { .. } => "event".to_owned(),
        What::Log(said) => format!("log {}", said.message),
        What::LeftOut { .. } => "left out".to_owned(),
        What::Forward(tried) => format!("forward {:?}", tried.status),
        What::Decision(decided) => format!("decision {}", decided.decision),
        What::Delivery(owed) => format!("delivery {}", owed.state.as_str()),
        What::Attempt(tried) => format!("attempt {}", tried.number),
    };
    entries.iter().map(word).collect()
}

/// The events that entries are of.
fn events(entries: &[Entry]) -> Vec<EventId> {
    let mut events: Vec<_> = entries.iter().map(|entry| entry.about.event).collect();
    events.sort_unstable();
    events.dedup();
    events
}

fn invocation(number: u128, error: Option<Failure>) -> Invocation {
    let digest = format!("sha256:{}", "0".repeat(64));
    Invocation {
        binding: Uuid::from_u128(number).into(),
        plugin: PluginVersion {
            name: "gate".parse().unwrap(),
            version: 3,
            digest: digest.parse().unwrap(),
        },
        handler: Handler::Event,
        outcome: InvocationOutcome::Failed,
        error,
        elapsed: Duration::from_micros(180),
        memory_bytes: 1,
        seed: Seed([0; 16]),
    }
}

impl Fixture {
    /// A decision that a plugin which failed has said so many lines for.
    fn failed_after(&self, event: &EventRecord, lines: usize) -> DecisionRecord {
        let error = Failure {
            code: FailureCode::Trap,
            message: "unreachable".to_owned(),
        };
        let mut record = self.decision(event, EventAnswer::Drop {});
        record.decision.outcome = Outcome::Verdict(Why::PluginFailed);
        record.decision.invocations = vec![invocation(7, Some(error))];
        let line = |number| LogLine {
            level: Level::Warn,
            message: format!("{number}"),
        };
        let binding = Uuid::from_u128(7).into();
        record.log = (0..lines).map(|number| (binding, line(number))).collect();
        record
    }
}

#[tokio::test]
async fn a_call_is_what_was_recorded_of_it_in_the_order_of_time() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    let asked = fixture.event("c");
    let decision = fixture.failed_after(&asked, 2);
    let forward = ForwardRecord {
        delivery: fixture.owe(),
        state: State::Refused,
        attempt: AttemptRecord {
            started_at: decision.decision.decided_at,
            elapsed: Duration::from_millis(3),
            status: Some(500),
            error: None,
            detail: Some("there is no reply with a status of success".to_owned()),
            response: None,
        },
    };
    let recorded = store.record(&asked, &decision, &[], Some(&forward));
    recorded.await.unwrap();
    let told = fixture.owed("c").await;
    fixture.owed("another").await;
    let due = fixture.at(60);
    fixture.settle(told, 0, Next::Attempt { due }).await;
    fixture.end(told, 1, State::Delivered).await;

    let call = store.call(fixture.organization, "c", ALL).await.unwrap();
    assert_eq!(
        words(&call.entries),
        [
            "event",
            "log 0",
            "log 1",
            "forward Some(500)",
            "decision drop",
            "event",
            "decision unchanged",
            "delivery delivered",
            "attempt 1",
            "attempt 2",
        ]
    );
    assert_eq!(
        call.summary,
        CallSummary {
            events: 2,
            decisions: 2,
            verdicts: 2,
            failures: 1,
            deliveries: 2,
            owed: 0,
            delivered: 1,
            failed: 1,
        }
    );
    assert_eq!((call.next, call.agent_id.as_str()), (None, ""));
    assert!(
        call.ended_at.is_some(),
        "the fixture's events say that it failed"
    );
    let What::Decision(decided) = &call.entries[4].what else {
        panic!("{:?}", call.entries[4]);
    };
    assert_eq!(decided.reason.as_deref(), Some("plugin_failed"));
    let asked = &decided.invocations[0];
    assert_eq!((asked.plugin.as_str(), asked.version), ("gate", 3));
    let error = asked.error.as_ref().unwrap();
    assert_eq!((&*error.code, &*error.message), ("trap", "unreachable"));
    let What::Log(said) = &call.entries[1].what else {
        panic!("{:?}", call.entries[1]);
    };
    assert_eq!(said.plugin.as_ref().map(Name::as_str), Some("gate"));
    let states: Vec<_> = call
        .entries
        .iter()
        .filter_map(|entry| match &entry.what {
            What::Forward(tried) | What::Attempt(tried) => Some(tried.state),
            _ => None,
        })
        .collect();
    let end = |state| Some(state);
    assert_eq!(states, [end(State::Refused), None, end(State::Delivered)]);
}

#[tokio::test]
async fn a_call_of_somebody_else_is_not_there() {
    let fixture = Fixture::new().await;
    fixture.owed("c").await;
    let other = OrganizationId::from(Uuid::from_u128(1));
    for (organization, call) in [(other, "c"), (fixture.organization, "d")] {
        let found = fixture.store().call(organization, call, ALL).await;
        assert!(matches!(found, Err(StoreError::NotFound { .. })), "{call}");
    }
    // What Hookswitch says itself is of no call.
    let found = fixture.store().call(fixture.organization, "", ALL).await;
    assert!(matches!(found, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn pages_are_of_events_and_leave_out_none() {
    let fixture = Fixture::new().await;
    for _ in 0..5 {
        fixture.owed("c").await;
    }
    let mut found = Vec::new();
    let mut page = PageRequest {
        limit: 2,
        after: None,
    };
    loop {
        let call = fixture.store().call(fixture.organization, "c", page);
        let call = call.await.unwrap();
        assert_eq!(call.summary.events, 5);
        found.push(events(&call.entries).len());
        match call.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    assert_eq!(found, [2, 2, 1]);
}

#[tokio::test]
async fn a_page_ends_before_what_has_more_rows_than_are_read() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    for lines in [3, 3, 9, 1] {
        let event = fixture.event("c");
        let decision = fixture.failed_after(&event, lines);
        store.accept_handled(&event, &decision, &[]).await.unwrap();
    }
    let of_call: Vec<EventRow> = sqlx::query_as(EVENTS_OF_CALL)
        .bind(fixture.organization.uuid())
        .bind("c")
        .bind(Uuid::nil())
        .bind(10)
        .fetch_all(store.journal_readers().await.unwrap())
        .await
        .unwrap();
    let rows = Rows { lines: 7, ..PAGE };
    let mut rest = of_call.as_slice();
    let mut pages = Vec::new();
    while !rest.is_empty() {
        let (entries, covered) = store
            .entries(fixture.organization, rest, rows)
            .await
            .unwrap();
        let lines = words(&entries)
            .iter()
            .filter(|it| it.starts_with("log"))
            .count();
        let cut = words(&entries).contains(&"left out".to_owned());
        assert_eq!(events(&entries).len(), covered);
        pages.push((covered, lines, cut));
        rest = &rest[covered..];
    }
    // The third has more lines than any page; the fourth is for the next one.
    assert_eq!(pages, [(2, 6, false), (1, 7, true), (1, 1, false)]);
}

#[tokio::test]
async fn deliveries_and_attempts_are_cut_the_same_way() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    for _ in 0..3 {
        let owed = [fixture.owe(), fixture.owe()];
        let ids = owed.clone().map(|owed| owed.id);
        fixture.handled("c", EventAnswer::Unchanged {}, &owed).await;
        for id in ids {
            fixture.end(id, 0, State::Delivered).await;
        }
    }
    let of_call: Vec<EventRow> = sqlx::query_as(EVENTS_OF_CALL)
        .bind(fixture.organization.uuid())
        .bind("c")
        .bind(Uuid::nil())
        .bind(10)
        .fetch_all(store.journal_readers().await.unwrap())
        .await
        .unwrap();
    for rows in [
        Rows {
            deliveries: 5,
            ..PAGE
        },
        Rows {
            attempts: 5,
            ..PAGE
        },
    ] {
        let entries = store.entries(fixture.organization, &of_call, rows);
        let (entries, covered) = entries.await.unwrap();
        assert_eq!(covered, 2, "{rows:?}");
        // Of each: the event, its decision, two deliveries with an attempt each.
        assert_eq!(entries.len(), 2 * 6, "{:?}", words(&entries));
    }
}

#[tokio::test]
async fn who_was_away_reads_what_was_recorded_since_and_nothing_of_others() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    let long_ago = arrived_ago(&fixture, SignedDuration::from_mins(10));
    let before = arrived_ago(&fixture, SignedDuration::from_mins(1));
    for event in [&long_ago, &before] {
        store.accept(event).await.unwrap();
    }
    let last = arrived_ago(&fixture, SignedDuration::from_secs(20));
    store.accept(&last).await.unwrap();
    // It came before, and is decided now.
    let decision = fixture.failed_after(&before, 1);
    store.complete(&before, &decision, &[]).await.unwrap();
    let after = fixture.event("c");
    store.accept(&after).await.unwrap();

    let read = store.recorded_since(fixture.organization, last.id);
    let read = read.await.unwrap();
    assert!(read.complete);
    assert_eq!(
        words(&read.entries),
        ["event", "event", "log 0", "decision drop", "event"]
    );
    assert_eq!(events(&read.entries), [before.id, last.id, after.id]);
    let other = OrganizationId::from(Uuid::from_u128(1));
    let read = store.recorded_since(other, last.id).await.unwrap();
    assert_eq!((read.entries.len(), read.complete), (0, true));
}

fn arrived_ago(fixture: &Fixture, ago: SignedDuration) -> EventRecord {
    let at = Timestamp::now().checked_sub(ago).unwrap();
    let random = Uuid::now_v7().as_u128() & ((1 << 80) - 1);
    EventRecord {
        id: Uuid::from_u128(row::first_id(at).as_u128() | random).into(),
        received_at: at,
        ..fixture.event("c")
    }
}

#[tokio::test]
async fn who_was_away_for_long_reads_the_newest() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    let first = fixture.event("c");
    store.accept(&first).await.unwrap();
    let sent: Vec<_> = (0..MISSED_EVENTS).map(|_| fixture.event("c")).collect();
    let accepted = sent.iter().map(|event| store.accept(event));
    for accepted in futures_util::future::join_all(accepted).await {
        accepted.unwrap();
    }
    let read = store.recorded_since(fixture.organization, first.id);
    let read = read.await.unwrap();
    assert!(!read.complete);
    let newest: Vec<_> = sent.iter().map(|event| event.id).collect();
    assert_eq!(events(&read.entries), newest);
}

/// A timeline is as quick in a store of ten million events as in one of ten.
#[tokio::test]
async fn only_what_is_of_the_call_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let open = OpenStore::open(
        folder.path(),
        Durability::Process,
        &crate::store::KeySource::DataFolder,
    )
    .await
    .unwrap();
    let by_call = "event USING INDEX event_by_call (organization_id=? AND call_id=?";
    for (statement, expected) in [
        (FIRST_OF_CALL, by_call),
        (
            EVENTS_OF_CALL,
            "event_by_call (organization_id=? AND call_id=? AND id>?",
        ),
        (COUNT_EVENTS, by_call),
        (
            COUNT_EVENTS,
            "decision USING PRIMARY KEY (organization_id=? AND event_id=?",
        ),
        (
            COUNT_DELIVERIES,
            "delivery_by_call (organization_id=? AND call_id=?",
        ),
        (
            EVENTS_SINCE,
            "event USING PRIMARY KEY (organization_id=? AND id>?",
        ),
        (
            DECIDED_SINCE,
            "decision USING PRIMARY KEY (organization_id=? AND event_id>? AND event_id<?",
        ),
        (
            DECIDED_SINCE,
            "event USING PRIMARY KEY (organization_id=? AND id=?",
        ),
        (ABOUT, "event USING PRIMARY KEY (organization_id=? AND id=?"),
        (
            DECISIONS,
            "decision USING PRIMARY KEY (organization_id=? AND event_id=?",
        ),
        (LINES, "log_line USING PRIMARY KEY (event_id=?"),
        (
            DELIVERIES,
            "delivery_by_event (event_id=? AND organization_id=?",
        ),
        (ATTEMPTS, "attempt USING PRIMARY KEY (delivery_id=?"),
    ] {
        let plan = plan(&open.store, statement).await;
        assert!(plan.contains(expected), "{statement}: {plan}");
        for bad in [
            "SCAN event",
            "SCAN decision",
            "SCAN delivery",
            "TEMP B-TREE",
        ] {
            assert!(!plan.contains(bad), "{statement}: {plan}");
        }
    }
}
