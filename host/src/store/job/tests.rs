//! What jobs change, what they leave alone, and what each statement reads.

use super::*;
use crate::domain::decision::EventAnswer;
use crate::domain::event::Kind;
use crate::domain::job::Failed;
use crate::store::fixture::Fixture;
use crate::store::plan::plan;

async fn begin(fixture: &Fixture, task: Task) -> Job {
    let new = NewJob {
        organization: fixture.organization,
        id: JobId::from(Uuid::now_v7()),
        task,
        created_at: Timestamp::now(),
    };
    let creation = Creation::of_host(new.organization, new.created_at);
    let created = fixture.store().create_job(new, creation).await.unwrap();
    created.into_new().unwrap()
}

/// Works a retry off, and gives the job as it is then.
async fn retry_all(fixture: &Fixture, selection: Selection) -> Job {
    let mut job = begin(fixture, Task::Retry(selection.clone())).await;
    while job.state == JobState::Running {
        let batch = fixture.store().retry_batch(&job, &selection, fixture.begin);
        batch.await.unwrap();
        job = fixture.store().job(job.organization, job.id).await.unwrap();
    }
    job
}

#[tokio::test]
async fn failed_deliveries_are_owed_again_and_no_others() {
    let fixture = Fixture::new().await;
    let exhausted = fixture.failed("").await;
    let refused = fixture.owed("").await;
    fixture.end(refused, 0, State::Refused).await;
    let delivered = fixture.owed("").await;
    fixture.end(delivered, 0, State::Delivered).await;
    let job = retry_all(&fixture, Selection::default()).await;
    assert_eq!((job.total, job.looked_at, job.changed), (2, 2, 2));
    for (id, state) in [
        (exhausted, State::Owed),
        (refused, State::Owed),
        (delivered, State::Delivered),
    ] {
        assert_eq!(fixture.state(id).await, state);
    }
}

#[tokio::test]
async fn a_selection_leaves_out_what_it_does_not_name() {
    let mut fixture = Fixture::new().await;
    let crm = fixture.endpoint;
    let of_crm = fixture.failed("a").await;
    fixture.endpoint = fixture.another_endpoint("other").await;
    let of_other = fixture.failed("b").await;
    let rows = [
        (
            Selection {
                endpoint: Some(crm),
                ..Selection::default()
            },
            vec![of_crm],
        ),
        (
            Selection {
                call: Some("b".to_owned()),
                ..Selection::default()
            },
            vec![of_other],
        ),
        (
            Selection {
                kind: Some(Kind::START),
                ..Selection::default()
            },
            vec![],
        ),
        (
            Selection {
                state: Some(Failed::Refused),
                ..Selection::default()
            },
            vec![],
        ),
        (
            Selection {
                since: Some(fixture.at(100)),
                ..Selection::default()
            },
            vec![],
        ),
        (
            Selection {
                until: Some(fixture.at(-1)),
                ..Selection::default()
            },
            vec![],
        ),
        (
            Selection {
                since: Some(fixture.at(-1)),
                until: Some(fixture.at(100)),
                ..Selection::default()
            },
            vec![of_crm, of_other],
        ),
    ];
    for (selection, expected) in rows {
        let job = retry_all(&fixture, selection.clone()).await;
        assert_eq!(job.changed, expected.len() as u64, "{selection:?}");
        for id in expected {
            assert_eq!(fixture.state(id).await, State::Owed, "{selection:?}");
            let (delivery, ..) = fixture
                .store()
                .delivery(fixture.organization, id)
                .await
                .unwrap();
            fixture.end(id, delivery.attempts, State::Exhausted).await;
        }
    }
}

#[tokio::test]
async fn a_job_that_was_broken_off_goes_on_where_it_stood() {
    let fixture = Fixture::new().await;
    let batch = usize::from(Store::JOB_BATCH);
    let mut failed = Vec::new();
    for _ in 0..=batch {
        failed.push(fixture.failed("").await);
    }
    let all = Selection::default();
    let job = begin(&fixture, Task::Retry(all.clone())).await;
    let first = fixture.store().retry_batch(&job, &all, fixture.begin);
    assert!(!first.await.unwrap().done);
    // What fails again meanwhile is not looked at twice.
    fixture.end(failed[0], 1, State::Exhausted).await;
    let [job] = fixture
        .store()
        .running_jobs(9)
        .await
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(job.looked_at, batch as u64);
    let last = fixture.store().retry_batch(&job, &all, fixture.begin);
    assert!(last.await.unwrap().done);
    let job = fixture.store().job(job.organization, job.id).await.unwrap();
    assert_eq!(
        (job.total, job.changed),
        (batch as u64 + 1, batch as u64 + 1)
    );
    assert_eq!(fixture.state(failed[0]).await, State::Exhausted);
    assert_eq!(fixture.state(failed[batch]).await, State::Owed);
    assert!(fixture.store().running_jobs(9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_recovery_knows_what_an_event_came_to() {
    let fixture = Fixture::new().await;
    let owes_nothing = fixture.handled("", EventAnswer::Unchanged {}, &[]).await;
    fixture.failed("").await;
    fixture.handled("", EventAnswer::Drop {}, &[]).await;
    let deliveries = Vec::new();
    fixture
        .handled("", EventAnswer::Deliver { deliveries }, &[])
        .await;
    fixture.store().accept(&fixture.event("")).await.unwrap();
    let endpoint = fixture.endpoint;
    let since = fixture.begin;
    let job = begin(&fixture, Task::Recover { endpoint, since }).await;
    let passed = fixture.store().passed_events(&job, endpoint).await.unwrap();
    let found: Vec<_> = passed
        .iter()
        .map(|it| (it.for_everybody, it.owed))
        .collect();
    let expected = [
        (true, false),
        (true, true),
        (false, false),
        (false, false),
        (false, false),
    ];
    assert_eq!(found, expected);

    let recovery = || Recovery {
        endpoint,
        looked_at: passed.iter().map(|it| it.event).collect(),
        missed: vec![(owes_nothing, DeliveryId::from(Uuid::now_v7()))],
    };
    let store = fixture.store();
    let batch = store.recover_batch(&job, recovery(), fixture.begin).await;
    assert_eq!(
        batch.unwrap(),
        Batch {
            owed: vec![endpoint],
            done: true
        }
    );
    let job = store.job(job.organization, job.id).await.unwrap();
    assert_eq!((job.total, job.looked_at, job.changed), (5, 5, 2));
    assert_eq!(fixture.claim(1, false).await.len(), 2);
    // Once more, nothing is missing.
    let job = begin(&fixture, Task::Recover { endpoint, since }).await;
    let batch = store.recover_batch(&job, recovery(), fixture.begin).await;
    assert!(batch.unwrap().owed.is_empty());
}

#[tokio::test]
async fn no_more_jobs_run_than_may() {
    let fixture = Fixture::new().await;
    let task = || Task::Retry(Selection::default());
    for _ in 0..Store::MAX_RUNNING_JOBS {
        begin(&fixture, task()).await;
    }
    let new = NewJob {
        organization: fixture.organization,
        id: JobId::from(Uuid::now_v7()),
        task: task(),
        created_at: Timestamp::now(),
    };
    let refused = fixture
        .store()
        .create_job(new, Creation::of_host(fixture.organization, fixture.begin))
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::TooMany { .. }), "{refused}");
}

/// A batch costs the same with ten million rows beside it as with ten.
#[tokio::test]
async fn batches_walk_indexes_in_their_order() {
    let fixture = Fixture::new().await;
    let by_id = "SEARCH delivery USING PRIMARY KEY (organization_id=? AND id=?)";
    let by_event = "delivery_by_event (event_id=? AND organization_id=?";
    let everybody = Selection::default();
    let of_one = Selection {
        endpoint: Some(fixture.endpoint),
        ..Selection::default()
    };
    let by_state = "delivery_by_state (organization_id=? AND state=? AND id>? AND id<?)";
    let failed = "delivery_failed (endpoint_id=? AND state=? AND id>? AND id<?)";
    let rows = [
        (
            next_candidates(&everybody),
            vec![by_state, "MERGE (UNION ALL)"],
        ),
        (next_candidates(&of_one), vec![failed, "MERGE (UNION ALL)"]),
        (count_candidates(&everybody), vec![by_state]),
        (count_candidates(&of_one), vec![failed]),
        (OWE_AGAIN.to_owned(), vec![by_id]),
        (
            PASSED.to_owned(),
            vec![
                "SEARCH event USING PRIMARY KEY (organization_id=? AND id>? AND id<?)",
                by_event,
            ],
        ),
        (FAILED_OF_EVENTS.to_owned(), vec![by_event]),
        (
            OWE_MISSED.to_owned(),
            vec![
                "SEARCH event USING PRIMARY KEY (organization_id=? AND id=?)",
                by_event,
            ],
        ),
        (
            COUNT_EVENTS.to_owned(),
            vec!["SEARCH event USING PRIMARY KEY (organization_id=? AND id>? AND id<?)"],
        ),
        (
            PROGRESS.to_owned(),
            vec!["SEARCH job USING PRIMARY KEY (organization_id=? AND id=?)"],
        ),
    ];
    for (statement, parts) in rows {
        let plan = plan(fixture.store(), &statement).await;
        for part in parts {
            assert!(plan.contains(part), "{statement}\n{part}\n{plan}");
        }
        // What is passed as JSON is read as it comes.
        let given = [
            "SCAN json_each",
            "SCAN looked_at",
            "SCAN missed",
            "SCAN (subquery",
        ];
        let scans = given
            .iter()
            .fold(plan.clone(), |plan, it| plan.replace(it, ""));
        assert!(
            !scans.contains("SCAN") && !plan.contains("TEMP B-TREE"),
            "{statement}\n{plan}"
        );
    }
    // Those of all that run, which are few.
    assert!(plan(fixture.store(), RUNNING).await.contains("job_to_do"));
}
