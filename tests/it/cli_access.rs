//! `hookswitch organization`, `token` and `audit`: whose things are whose, who may do what,
//! and who did.

use std::process::Output;

use serde_json::json;

use crate::command_line::{assert_printed, complaint, ended, parsed, printed};
use crate::server::Server;

/// Runs it with that token instead of the administrator's.
async fn run_as(server: &Server, token: &str, arguments: &[&str]) -> Output {
    let mut command = server.command(arguments);
    command.env("HOOKSWITCH_TOKEN", token);
    ended(command).await
}

async fn token(server: &Server, label: &str, scope: &str, organization: &str) -> String {
    let create = [
        "token",
        "create",
        label,
        "--scope",
        scope,
        "--organization",
        organization,
        "--json",
    ];
    let token = parsed(&server.run(&create).await);
    token["token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_organizations_each_have_their_own() {
    let server = Server::start();
    for name in ["acme", "globex"] {
        let create = [
            "organization",
            "create",
            name,
            "--calls-per-second",
            "50",
            "--json",
        ];
        let created = parsed(&server.run(&create).await);
        assert_eq!(created["quotas"], json!({"calls_per_second": 50}));
    }
    let (acme, globex) = (
        token(&server, "laptop", "owner", "acme").await,
        token(&server, "laptop", "owner", "globex").await,
    );
    printed(&run_as(&server, &acme, &["source", "create", "main"]).await);
    let seen = printed(&run_as(&server, &globex, &["source", "list"]).await);
    assert_eq!(seen, "no sources\n");
    // An operator may act in either, by name or id.
    let list = ["source", "list", "--organization", "acme", "--json"];
    let seen = parsed(&server.run(&list).await);
    assert_eq!(seen["data"][0]["name"], "main");
    let who = parsed(&run_as(&server, &acme, &["whoami", "--json"]).await);
    assert_eq!(who["organization"]["name"], "acme");
    let update = ["organization", "update", "acme", "--plugins", "3", "--json"];
    let updated = parsed(&server.run(&update).await);
    assert_eq!(
        updated["quotas"],
        json!({"calls_per_second": 50, "plugins": 3})
    );
    let id = updated["id"].as_str().unwrap();
    let shown = printed(&server.run(&["organization", "show", id]).await);
    assert!(shown.contains("acme"), "{shown}");
    let list = printed(&server.run(&["organization", "list"]).await);
    assert!(list.contains("acme") && list.contains("globex"), "{list}");
    let nowhere = ["source", "list", "--organization", "nowhere"];
    let said = complaint(&server.run(&nowhere).await);
    assert!(
        said.contains("there is no organization \"nowhere\""),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_and_ends_when_it_is_revoked() {
    let server = Server::start();
    let create = [
        "token",
        "create",
        "ci",
        "--scope",
        "viewer",
        "--expires",
        "24h",
    ];
    let created = printed(&server.run(&create).await);
    assert!(
        created.ends_with("the token is not shown again\n"),
        "{created}"
    );
    let viewer = created.lines().find_map(|line| line.strip_prefix("token "));
    let viewer = viewer.unwrap().trim();
    assert_eq!(
        printed(&run_as(&server, viewer, &["source", "list"]).await),
        "no sources\n"
    );
    let refused = complaint(&run_as(&server, viewer, &["source", "create", "main"]).await);
    for part in ["this needs a token of the scope owner", "hookswitch whoami"] {
        assert!(refused.contains(part), "{part} is missing: {refused}");
    }
    let list = printed(&server.run(&["token", "list"]).await);
    assert!(list.contains("ci") && !list.contains(viewer), "{list}");
    let revoked = printed(&server.run(&["token", "revoke", "ci"]).await);
    assert_eq!(revoked, "token ci is revoked\n");
    let refused = complaint(&run_as(&server, viewer, &["source", "list"]).await);
    assert!(refused.contains("refuses the token"), "{refused}");
    let audit = printed(&server.run(&["audit", "list", "--what", "token"]).await);
    assert_printed!("cli_audit", audit);
}
