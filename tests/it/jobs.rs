//! Jobs: many deliveries sent again, and everything that an endpoint missed.

use serde_json::{Value, json};

use crate::client::assert_none_wrong;
use crate::payload::{self, With};
use crate::receiver::{self, Receiver};
use crate::server::Server;
use crate::shape::assert_shape;

const LONG_AGO: &str = "2020-01-01T00:00:00Z";

#[tokio::test]
async fn all_that_failed_is_sent_again() {
    let (server, source) = receiver::server().await;
    let receiver = Receiver::answering(404).await;
    let crm = server.endpoint_id(&receiver.endpoint("crm")).await;
    server.endpoint_id(&receiver.endpoint("ops")).await;
    for call in ["call_1", "call_2", "call_3"] {
        server.notice(&source, call).await;
    }
    server.deliveries("state=refused", 6).await;
    receiver.answer(200);
    let selection =
        json!({"endpoint": crm, "kind": "call.failed", "state": "refused", "since": LONG_AGO});
    let job = server
        .post("/deliveries/retry", &selection)
        .await
        .expect(202);
    let job = server.done(&job).await;
    assert_shape!("job_retry", job);
    server
        .deliveries(&format!("endpoint={crm}&state=delivered"), 3)
        .await;
    server.deliveries("state=refused", 3).await;
    // Nothing left to retry there.
    let again = server
        .post("/deliveries/retry", &selection)
        .await
        .expect(202);
    assert_eq!(server.done(&again).await["total"], 0);

    let rest = server
        .post("/deliveries/retry", &json!({"call": "call_2"}))
        .await;
    let rest = server.done(&rest.expect(202)).await;
    assert_eq!(
        (&rest["looked_at"], &rest["changed"]),
        (&json!(3), &json!(1))
    );
    server.deliveries("state=delivered", 4).await;
    let jobs = server.all("/jobs").await;
    let newest_first: Vec<&Value> = jobs.iter().map(|job| &job["id"]).collect();
    assert_eq!(newest_first, [&rest["id"], &again["id"], &job["id"]]);
    assert_shape!("jobs", server.get("/jobs?limit=1").await.expect(200));
}

#[tokio::test]
async fn an_endpoint_gets_everything_that_it_missed() {
    let (server, source) = receiver::server().await;
    let receiver = Receiver::answering(404).await;
    // Before there was an endpoint.
    let mut missed = vec![server.notice(&source, "before").await];
    missed.push(server.hook(&source, &payload::tool()).await.event());
    let wants = json!({"where": {"callId": {"not_equals": "unwanted"}}});
    let endpoint = receiver.endpoint("crm").with(json!({"filter": wants}));
    let crm = server.endpoint_id(&endpoint).await;
    // Refused, and while it was disabled.
    missed.push(server.notice(&source, "refused").await);
    server.deliveries("state=refused", 1).await;
    let path = format!("/endpoints/{crm}");
    server
        .patch(&path, &json!({"enabled": false}))
        .await
        .expect(200);
    missed.push(server.notice(&source, "disabled").await);
    server.notice(&source, "unwanted").await;
    receiver.answer(200);
    server
        .patch(&path, &json!({"enabled": true}))
        .await
        .expect(200);
    // This one is delivered anyhow.
    let delivered = server.notice(&source, "after").await;
    server.deliveries("state=delivered", 1).await;

    let recover = format!("/endpoints/{crm}/recover");
    let job = server
        .post(&recover, &json!({"since": LONG_AGO}))
        .await
        .expect(202);
    let job = server.done(&job).await;
    assert_shape!("job_recover", job);
    let all = server.deliveries("state=delivered", 5).await;
    missed.push(delivered);
    let mut events: Vec<_> = all
        .iter()
        .map(|it| it["event"].as_str().expect("an id"))
        .collect();
    events.sort_unstable();
    missed.sort_unstable();
    assert_eq!(events, missed);
    // Nothing is missing any more.
    let again = server
        .post(&recover, &json!({"since": LONG_AGO}))
        .await
        .expect(202);
    assert_eq!(server.done(&again).await["changed"], 0);
    assert_eq!(receiver.requests(), 6);
}

#[tokio::test]
async fn what_a_plugin_dropped_or_addressed_is_not_recovered() {
    let (server, source) = receiver::server().await;
    server.install("misbehave").await;
    server.bind(&crate::misbehave::mode("drop")).await;
    let dropped = server.notice(&source, "dropped").await;
    server.handled(&dropped).await;
    crate::misbehave::rebind(&server, &crate::misbehave::mode("forward")).await;
    let addressed = server.notice(&source, "addressed").await;
    server.handled(&addressed).await;
    let receiver = Receiver::answering(200).await;
    let crm = server.endpoint_id(&receiver.endpoint("crm")).await;
    let recover = format!("/endpoints/{crm}/recover");
    let job = server
        .post(&recover, &json!({"since": LONG_AGO}))
        .await
        .expect(202);
    let job = server.done(&job).await;
    assert_eq!((&job["looked_at"], &job["changed"]), (&json!(2), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_after_kill_9_and_does_nothing_twice() {
    const EVENTS: usize = 2_600;
    let (server, source) = receiver::server().await;
    for round in 0..EVENTS / 100 {
        let notices = (0..100).map(async |n| {
            let call = format!("call_{round}_{n}");
            server.notice(&source, &call).await
        });
        futures::future::join_all(notices).await;
    }
    // Disabled, so that what is owed can be counted.
    let receiver = Receiver::answering(200).await;
    let crm = receiver.endpoint("crm").with(json!({"enabled": false}));
    let crm = server.endpoint_id(&crm).await;
    let recover = format!("/endpoints/{crm}/recover");
    let job = server
        .post(&recover, &json!({"since": LONG_AGO}))
        .await
        .expect(202);
    assert_eq!(job["total"], EVENTS);
    let path = format!("/jobs/{}", job["id"].as_str().expect("an id"));
    let at = loop {
        let job = server.get(&path).await.expect(200);
        if job["looked_at"].as_u64() > Some(0) {
            break job;
        }
    };
    let server = server.kill().start();
    println!("killed after {} of {EVENTS}", at["looked_at"]);
    assert_eq!(at["state"], "running", "it was killed too late to tell");
    let job = server.done(&job).await;
    assert_eq!(
        (&job["looked_at"], &job["changed"]),
        (&json!(EVENTS), &json!(EVENTS))
    );
    let path = format!("/endpoints/{crm}/health");
    assert_eq!(server.get(&path).await.expect(200)["owed"], EVENTS);
}

#[tokio::test]
async fn a_wrong_request_is_refused_and_its_fault_named() {
    let (server, _) = receiver::server().await;
    let crm = server.waiting_endpoint("crm").await;
    let nowhere = "00000000000070008000000000000000";
    let recover = format!("/endpoints/{crm}/recover");
    let retry = "/deliveries/retry";
    let mut wrong = Vec::new();
    for (path, body, status, code, field) in [
        (
            retry,
            json!({"endpoint": "crm"}),
            422,
            "invalid_field",
            Some("endpoint"),
        ),
        (
            retry,
            json!({"endpoint": format!("ep_{nowhere}")}),
            422,
            "invalid_field",
            Some("endpoint"),
        ),
        (
            retry,
            json!({"kind": "Call Begin"}),
            422,
            "invalid_field",
            Some("kind"),
        ),
        (
            retry,
            json!({"state": "delivered"}),
            422,
            "invalid_field",
            Some("state"),
        ),
        (
            retry,
            json!({"since": "yesterday"}),
            422,
            "invalid_field",
            Some("since"),
        ),
        (
            retry,
            json!({"until": 7}),
            422,
            "invalid_field",
            Some("until"),
        ),
        (
            retry,
            json!({"endpont": crm}),
            422,
            "invalid_field",
            Some("endpont"),
        ),
        (&recover, json!({}), 422, "missing_field", Some("since")),
        (
            &recover,
            json!({"since": "yesterday"}),
            422,
            "invalid_field",
            Some("since"),
        ),
        (
            &recover,
            json!({"since": LONG_AGO, "until": LONG_AGO}),
            422,
            "invalid_field",
            Some("until"),
        ),
        (
            "/endpoints/nonsense/recover",
            json!({"since": LONG_AGO}),
            404,
            "not_found",
            None,
        ),
        (
            &format!("/endpoints/ep_{nowhere}/recover"),
            json!({"since": LONG_AGO}),
            404,
            "not_found",
            None,
        ),
    ] {
        let reply = server.post(path, &body).await;
        if let Err(difference) = reply.is_problem(status, code, field) {
            wrong.push(format!("{path} {body}: {difference}"));
        }
    }
    assert_none_wrong(&wrong);
    assert!(server.all("/jobs").await.is_empty());
}

#[tokio::test]
async fn a_job_that_is_not_there_is_not_found() {
    let server = Server::start();
    let nowhere = "00000000000070008000000000000000";
    let mut wrong = Vec::new();
    for (path, status, code, field) in [
        ("/jobs?limit=0", 400, "invalid_parameter", Some("limit")),
        ("/jobs?state=done", 400, "invalid_parameter", Some("state")),
        ("/jobs/nonsense", 404, "not_found", None),
        (&format!("/jobs/job_{nowhere}"), 404, "not_found", None),
    ] {
        let reply = server.get(path).await;
        if let Err(difference) = reply.is_problem(status, code, field) {
            wrong.push(format!("{path}: {difference}"));
        }
    }
    assert_none_wrong(&wrong);
}
