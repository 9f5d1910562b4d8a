//! Who gets which delivery, and what each statement reads.

use jiff::Timestamp;
use uuid::Uuid;

use super::health::{COUNT_OWED, HEALTH};
use super::log::list_deliveries;
use super::queue::{CLAIM, CLAIM_IN_ORDER, NEXT_DUE, READ_CLAIMED, RELEASE, WITH_WORK};
use super::retry::{OWE_ONE, READ_RETRYABLE};
use super::*;
use crate::domain::decision::EventAnswer;
use crate::domain::delivery::State;
use crate::domain::event::Kind;
use crate::domain::id::EventId;
use crate::store::StoreError;
use crate::store::fixture::Fixture;
use crate::store::journal::Next;
use crate::store::page::PageRequest;
use crate::store::plan::plan;
use crate::store::rows::Table;
use crate::store::setup::{Author, By};

fn ids(claimed: &[Claimed]) -> Vec<DeliveryId> {
    claimed.iter().map(|it| it.id).collect()
}

#[tokio::test]
async fn what_was_claimed_comes_up_again_when_its_lease_ends() {
    let fixture = Fixture::new().await;
    let id = fixture.owed("").await;
    assert_eq!(ids(&fixture.claim(1, false).await), [id]);
    assert!(fixture.claim(5, false).await.is_empty());
    assert_eq!(ids(&fixture.claim(11, false).await), [id]);
}

#[tokio::test]
async fn nothing_is_claimed_before_it_is_due() {
    let fixture = Fixture::new().await;
    let id = fixture.owed("").await;
    assert_eq!(ids(&fixture.claim(1, false).await), [id]);
    let due = fixture.at(100);
    fixture.settle(id, 0, Next::Attempt { due }).await;
    assert!(fixture.claim(99, false).await.is_empty());
    let next = fixture
        .store()
        .next_due(fixture.endpoint, false, fixture.at(50));
    let expected = Timestamp::from_millisecond(due.as_millisecond()).unwrap();
    assert_eq!(next.await.unwrap(), Some(expected));
    assert_eq!(fixture.claim(101, false).await[0].made, 1);
}

#[tokio::test]
async fn who_lost_its_lease_changes_nothing_any_more() {
    let fixture = Fixture::new().await;
    let id = fixture.owed("").await;
    fixture.claim(1, false).await;
    fixture.claim(20, false).await;
    fixture.end(id, 0, State::Delivered).await;
    // The first one answers late, for the same number of attempts.
    fixture.end(id, 0, State::Refused).await;
    let store = fixture.store();
    let (delivery, _, attempts) = store.delivery(fixture.organization, id).await.unwrap();
    assert_eq!(delivery.state, State::Delivered);
    assert_eq!((delivery.attempts, attempts.len()), (1, 1));
}

#[tokio::test]
async fn in_order_the_oldest_of_each_call_is_claimed() {
    let fixture = Fixture::new().await;
    let first = fixture.owed("a").await;
    let second = fixture.owed("a").await;
    let other = fixture.owed("b").await;
    let of_no_call = [fixture.owed("").await, fixture.owed("").await];
    let mut expected = vec![first, other];
    expected.extend(of_no_call);
    assert_eq!(ids(&fixture.claim(1, true).await), expected);
    assert!(fixture.claim(2, true).await.is_empty());
    fixture.end(first, 0, State::Delivered).await;
    assert_eq!(ids(&fixture.claim(3, true).await), [second]);
}

#[tokio::test]
async fn in_order_a_delivery_waits_for_older_notices_of_its_call() {
    let fixture = Fixture::new().await;
    let older = fixture.event("a");
    fixture.store().accept(&older).await.unwrap();
    let id = fixture.owed("a").await;
    assert!(fixture.claim(1, true).await.is_empty());
    let decision = fixture.decision(&older, EventAnswer::Drop {});
    let handled = fixture.store().complete(&older, &decision, &[]);
    handled.await.unwrap();
    assert_eq!(ids(&fixture.claim(1, true).await), [id]);
}

#[tokio::test]
async fn at_start_all_leases_end_and_none_waits_longer_than_it_may() {
    let fixture = Fixture::new().await;
    let leased = fixture.owed("").await;
    let late = fixture.owed("").await;
    fixture.claim(1, false).await;
    let due = fixture.at(1_000_000);
    fixture.settle(late, 0, Next::Attempt { due }).await;
    let (now, latest) = (fixture.at(2), fixture.at(60));
    fixture
        .store()
        .release_deliveries(now, latest)
        .await
        .unwrap();
    assert_eq!(ids(&fixture.claim(3, false).await), [leased]);
    assert_eq!(ids(&fixture.claim(61, false).await), [leased, late]);
}

#[tokio::test]
async fn what_is_given_back_can_be_claimed_at_once() {
    let fixture = Fixture::new().await;
    let id = fixture.owed("").await;
    let claimed = ids(&fixture.claim(1, false).await);
    let given_back = fixture
        .store()
        .release_claims(fixture.organization, claimed);
    given_back.await.unwrap();
    assert_eq!(ids(&fixture.claim(2, false).await), [id]);
}

#[tokio::test]
async fn with_its_endpoint_what_is_owed_is_cancelled_and_the_log_stays() {
    let fixture = Fixture::new().await;
    let (owed, failed) = (fixture.owed("").await, fixture.failed("").await);
    let store = fixture.store();
    let deleted = store.delete_endpoint(
        fixture.organization,
        fixture.endpoint,
        By::of_host(fixture.organization, fixture.at(1)),
    );
    deleted.await.unwrap();
    assert_eq!(fixture.state(owed).await, State::Cancelled);
    assert_eq!(fixture.state(failed).await, State::Exhausted);
    assert!(fixture.claim(2, false).await.is_empty());
    let author = Author::host(fixture.organization, fixture.at(2));
    for id in [owed, failed] {
        let retried = store.retry_delivery(fixture.organization, id, true, fixture.at(2), author);
        let error = retried.await.unwrap_err();
        assert!(matches!(error, StoreError::NotRetryable { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_retry_begins_the_schedule_anew_and_goes_on_counting() {
    let fixture = Fixture::new().await;
    let id = fixture.failed("").await;
    let (store, organization) = (fixture.store(), fixture.organization);
    let author = Author::host(organization, fixture.at(3));
    let retried = store.retry_delivery(organization, id, false, fixture.at(3), author);
    retried.await.unwrap();
    let claimed = fixture.claim(3, false).await;
    assert_eq!((claimed[0].made, claimed[0].forgiven), (1, 1));
    // Being attempted, it stays with whoever has it.
    let again = store.retry_delivery(organization, id, false, fixture.at(4), author);
    again.await.unwrap();
    assert!(fixture.claim(5, false).await.is_empty());
    fixture.end(id, 1, State::Delivered).await;
    let refused = store.retry_delivery(organization, id, false, fixture.at(6), author);
    let refused = refused.await.unwrap_err();
    assert!(
        matches!(refused, StoreError::NotRetryable { .. }),
        "{refused}"
    );
    let meant = store.retry_delivery(organization, id, true, fixture.at(6), author);
    meant.await.unwrap();
    assert_eq!(fixture.claim(6, false).await[0].made, 2);
}

#[tokio::test]
async fn health_is_that_of_the_attempts_since_then() {
    let fixture = Fixture::new().await;
    let id = fixture.owed("").await;
    for made in 0..20 {
        let due = fixture.begin;
        fixture.settle(id, made, Next::Attempt { due }).await;
    }
    let health = fixture.store().health(fixture.endpoint, fixture.begin);
    let health = health.await.unwrap();
    assert_eq!((health.attempts, health.successes, health.owed), (20, 0, 1));
    // Attempts took 1 to 20 ms.
    assert_eq!(
        (health.mean_us, health.p95_us),
        (Some(10_500), Some(19_000))
    );
    let later = fixture.store().health(fixture.endpoint, fixture.at(100));
    let later = later.await.unwrap();
    assert_eq!(
        (later.attempts, later.mean_us, later.p95_us),
        (0, None, None)
    );
}

/// Lists stay as fast with ten million deliveries as with ten.
#[tokio::test]
async fn lists_walk_an_index_in_its_order() {
    let fixture = Fixture::new().await;
    let any = DeliveryFilter::default;
    let endpoint = Some(fixture.endpoint);
    let rows = [
        (any(), "USING PRIMARY KEY (organization_id=?"),
        (
            DeliveryFilter { endpoint, ..any() },
            "delivery_by_endpoint (endpoint_id=?",
        ),
        (
            DeliveryFilter {
                event: Some(EventId::from(Uuid::from_u128(2))),
                ..any()
            },
            "delivery_by_event (event_id=? AND organization_id=?",
        ),
        (
            DeliveryFilter {
                kind: Some(Kind::COMPLETED),
                ..any()
            },
            "delivery_by_kind (organization_id=? AND kind=?",
        ),
        (
            DeliveryFilter {
                call: Some("c".to_owned()),
                ..any()
            },
            "delivery_by_call (organization_id=? AND call_id=?",
        ),
        (
            DeliveryFilter {
                state: Some(State::Owed),
                ..any()
            },
            "delivery_by_state (organization_id=? AND state=?",
        ),
        (
            DeliveryFilter {
                state: Some(State::Refused),
                endpoint,
                ..any()
            },
            "delivery_failed (endpoint_id=? AND state=?",
        ),
    ];
    for (filter, index) in rows {
        for (since, after) in [
            (None, None),
            (None, Some(Uuid::from_u128(3))),
            (Some(fixture.begin), None),
        ] {
            let filter = DeliveryFilter {
                since,
                ..filter.clone()
            };
            let page = PageRequest { limit: 50, after };
            let query = list_deliveries(fixture.organization, &filter, page);
            let plan = plan(fixture.store(), query.sql().as_str()).await;
            assert!(plan.contains(index), "{filter:?}: {plan}");
            assert!(
                !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
                "{plan}"
            );
        }
    }
}

/// The queue stays as fast with a million deliveries that wait as with ten.
#[tokio::test]
async fn the_queue_is_read_by_its_indexes() {
    let fixture = Fixture::new().await;
    let due = "SEARCH delivery USING INDEX delivery_due (endpoint_id=? AND due_at<?)";
    let by_id = "SEARCH delivery USING PRIMARY KEY (organization_id=? AND id=?)";
    for (statement, parts) in [
        (CLAIM, vec![due, by_id]),
        (
            CLAIM_IN_ORDER,
            vec![
                "SEARCH owed USING INDEX delivery_due (endpoint_id=? AND due_at<?)",
                "SEARCH older USING COVERING INDEX delivery_in_order \
                 (endpoint_id=? AND call_id=? AND event_id<?)",
                "SEARCH event USING COVERING INDEX event_by_call \
                 (organization_id=? AND call_id=? AND id<?)",
                "SEARCH pending_notice USING PRIMARY KEY (event_id=?)",
                by_id,
            ],
        ),
        (READ_CLAIMED, vec![by_id]),
        (Table::Settled.statement(), vec![by_id]),
        (
            NEXT_DUE,
            vec!["SEARCH delivery USING INDEX delivery_due (endpoint_id=?)"],
        ),
        (
            WITH_WORK,
            vec!["SEARCH delivery EXISTS USING INDEX delivery_due (endpoint_id=? AND due_at<?)"],
        ),
        (READ_RETRYABLE, vec![by_id]),
        (OWE_ONE, vec![by_id]),
        (
            HEALTH,
            vec![
                "SEARCH attempt USING COVERING INDEX attempt_by_endpoint \
                  (endpoint_id=? AND started_at>?)",
            ],
        ),
        (
            COUNT_OWED,
            vec!["SEARCH delivery USING COVERING INDEX delivery_due (endpoint_id=?)"],
        ),
    ] {
        let plan = plan(fixture.store(), statement).await;
        for part in parts {
            assert!(plan.contains(part), "{statement}\n{part}\n{plan}");
        }
        // Endpoints are few, and what is passed as JSON, or counted, is read as it comes.
        let given = ["SCAN endpoint", "SCAN json_each", "SCAN (subquery"];
        let scans = given
            .iter()
            .fold(plan.clone(), |plan, it| plan.replace(it, ""));
        assert!(
            !scans.contains("SCAN") && !plan.contains("TEMP B-TREE"),
            "{statement}\n{plan}"
        );
    }
    // Once, at start: what is owed and nothing else.
    let release = plan(fixture.store(), RELEASE).await;
    assert_eq!(release, "SCAN delivery USING INDEX delivery_due");
}
