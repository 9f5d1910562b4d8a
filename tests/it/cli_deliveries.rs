//! `hookswitch delivery`: a running server's deliveries at the command line.

use std::process::Output;

use serde_json::json;

use crate::binary;
use crate::command_line::{complaint, ended, parsed, printed};
use crate::receiver::{self, Receiver};
use crate::server::{ADMIN_TOKEN, Server};

/// Runs the command against a server, by the name it had first.
async fn run(server: &Server, arguments: &[&str]) -> Output {
    server.run(&[&["deliveries"], arguments].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_listed_shown_and_retried() {
    let (server, source) = receiver::server().await;
    let receiver = Receiver::answering(404).await;
    server.endpoint_id(&receiver.endpoint("crm")).await;
    assert_eq!(printed(&run(&server, &["list"]).await), "no deliveries\n");
    server.notice(&source, "call_1").await;
    let failed = server.deliveries("state=refused", 1).await;
    let id = failed[0]["id"].as_str().expect("an id");

    let list = printed(&run(&server, &["list", "--endpoint", "crm", "--since", "1h"]).await);
    for part in [id, "crm", "call.failed", "call_1", "refused", "404"] {
        assert!(list.contains(part), "{part} is missing:\n{list}");
    }
    let json = parsed(&run(&server, &["list", "--json", "--limit", "1"]).await);
    assert_eq!(json, server.get("/deliveries?limit=1").await.expect(200));
    let none = ["list", "--state", "delivered", "--kind", "call.failed"];
    assert_eq!(printed(&run(&server, &none).await), "no deliveries\n");

    let shown = printed(&run(&server, &["show", id]).await);
    for part in [id, "refused", "404", "said"] {
        assert!(shown.contains(part), "{part} is missing:\n{shown}");
    }
    let json = parsed(&run(&server, &["show", id, "--json"]).await);
    assert_eq!(json["attempts"][0]["status"], 404);

    receiver.answer(200);
    let retried = printed(&run(&server, &["retry", id]).await);
    assert_eq!(retried, format!("{id} is owed again, due now\n"));
    server.deliveries("state=delivered", 1).await;
    let complaint = complaint(&run(&server, &["retry", id]).await);
    assert!(
        complaint.contains("not_retryable") && complaint.contains("was delivered"),
        "{complaint}"
    );
    let again = parsed(&run(&server, &["retry", id, "--again", "--json"]).await);
    assert_eq!(again["id"], id);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_begun_and_waited_for() {
    let (server, source) = receiver::server().await;
    server.notice(&source, "call_1").await;
    let receiver = Receiver::answering(404).await;
    server.endpoint_id(&receiver.endpoint("crm")).await;
    let recover = ["recover", "crm", "--since", "24h"];
    let said = printed(&run(&server, &recover).await);
    assert!(
        said.ends_with("is done: 1 looked at, 1 owed now\n"),
        "{said}"
    );
    server.deliveries("state=refused", 1).await;

    let retry = ["retry", "--endpoint", "crm", "--state", "refused", "--json"];
    let job = parsed(&run(&server, &retry).await);
    assert_eq!(
        (&job["state"], &job["changed"]),
        (&json!("done"), &json!(1))
    );
    server.deliveries("state=refused", 1).await;
    let said = printed(&run(&server, &["retry", "--kind", "call.failed", "--no-wait"]).await);
    assert!(
        said.starts_with("job_") && said.contains("runs: 1 to look at"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_said_with_the_next_step() {
    let server = Server::start();
    let with = |name: &str, value: &str| {
        let mut command = binary::command();
        command.args(["deliveries", "list"]);
        let address = format!("http://{}", server.address);
        for (variable, set) in [
            ("HOOKSWITCH_SERVER", address.as_str()),
            ("HOOKSWITCH_TOKEN", ADMIN_TOKEN),
        ] {
            command.env(variable, if variable == name { value } else { set });
        }
        ended(command)
    };
    for (variable, value, parts) in [
        (
            "HOOKSWITCH_SERVER",
            "http://127.0.0.1:1",
            ["hookswitch serve", "--server"],
        ),
        (
            "HOOKSWITCH_SERVER",
            "nowhere",
            ["no server's URL", "http://127.0.0.1:8080"],
        ),
        (
            "HOOKSWITCH_TOKEN",
            "a-token-of-nobody",
            ["refuses the token", "HOOKSWITCH_TOKEN"],
        ),
        ("HOOKSWITCH_TOKEN", "", ["token is missing", "--token"]),
    ] {
        let said = complaint(&with(variable, value).await);
        for part in parts {
            assert!(said.contains(part), "{variable}={value}: {said}");
        }
        assert!(
            !said.contains("a-token-of-nobody"),
            "the token is shown: {said}"
        );
    }
    for (arguments, part) in [
        (&["list", "--state", "lost"][..], "expected one of owed"),
        (
            &["list", "--endpoint", "nobody"],
            "there is no endpoint \"nobody\"",
        ),
        (&["show", "evt_1"], "begins with dlv_"),
        (&["retry"], "which deliveries?"),
        (
            &["show", "dlv_00000000000070008000000000000000"],
            "there is no delivery",
        ),
        (&["retry", "--state", "delivered"], "state"),
    ] {
        let said = complaint(&run(&server, arguments).await);
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
}
