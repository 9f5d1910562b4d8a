//! The first start: nothing is configured, nothing is there, and nothing is lost
//! by starting again.

use reqwest::Method;

use crate::client::send;
use crate::server::{ADMIN_TOKEN, Launch, Server, files_below};

async fn is_admin(server: &Server, token: &str) -> bool {
    let request = server
        .request(Method::GET, "/api/v1/sources")
        .bearer_auth(token);
    send(request).await.status == 200
}

#[tokio::test]
async fn a_token_is_generated_and_shown_once() {
    let server = Launch::new().token(None).start();
    let token = server.printed_token().expect("a token is shown");
    assert!(token.starts_with("hsk_") && token.len() >= 24, "{token}");
    let (shown, listening) = (
        position(&server, "admin token: "),
        position(&server, "listening on"),
    );
    assert!(shown < listening, "{:?}", server.printed());
    assert!(
        !server.log().contains(&token),
        "the token stands in the log"
    );
    assert!(is_admin(&server, &token).await);

    let again = server.stop().start();
    assert_eq!(again.printed_token(), None);
    assert!(is_admin(&again, &token).await);
}

fn position(server: &Server, text: &str) -> usize {
    let lines = server.printed();
    lines
        .iter()
        .position(|line| line.contains(text))
        .expect("the line is printed")
}

#[tokio::test]
async fn two_first_starts_generate_two_tokens() {
    let one = Launch::new().token(None).start();
    let other = Launch::new().token(None).start();
    assert_ne!(one.token, other.token);
    assert!(!is_admin(&one, &other.token).await);
}

#[tokio::test]
async fn a_token_from_the_environment_is_not_shown() {
    let server = Launch::new()
        .token(Some("a-token-from-the-environment"))
        .start();
    assert_eq!(server.printed_token(), None);
    assert!(is_admin(&server, "a-token-from-the-environment").await);
    assert!(!server.log().contains("a-token-from-the-environment"));
}

#[test]
fn a_token_that_is_too_short_is_refused() {
    let (status, log) = Launch::new().token(Some("fifteen-letters")).refused();
    assert!(!status.success());
    assert!(log.contains("HOOKSWITCH_ADMIN_TOKEN"), "{log}");
    assert!(!log.contains("fifteen-letters"), "{log}");
}

#[tokio::test]
async fn no_secret_is_stored_as_it_is() {
    let server = Server::start();
    server.source("main-line").await;
    let stopped = server.stop();
    let mut files = 0;
    for file in files_below(stopped.directory()) {
        let content = std::fs::read(&file).expect("the file can be read");
        let found = content
            .windows(ADMIN_TOKEN.len())
            .any(|part| part == ADMIN_TOKEN.as_bytes());
        assert!(!found, "the token stands in {}", file.display());
        files += 1;
    }
    assert!(files > 0, "the store was not found");
}

#[tokio::test]
async fn without_a_data_directory_the_store_lies_beside_the_user() {
    let server = Launch::new().default_data_dir().start();
    server.source("main-line").await;
    assert!(server.directory().join("hookswitch-data").is_dir());
}

#[tokio::test]
async fn only_its_owner_can_read_the_data() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start();
    let mode = std::fs::metadata(server.directory().join("data"))
        .expect("the folder")
        .permissions();
    assert_eq!(
        mode.mode() & 0o077,
        0,
        "the data folder is open to others: {:o}",
        mode.mode()
    );
}

#[tokio::test]
async fn what_was_created_is_there_after_a_restart() {
    let server = Server::start();
    let source = server.source("main-line").await;
    server.install("start-gate").await;
    let config = serde_json::json!({"blocked": ["+14155551234"]});
    server
        .bind(&serde_json::json!({"plugin": "start-gate", "config": config}))
        .await;
    let event = server.hook(&source, &crate::payload::start()).await.event();
    let before = (server.contents().await, server.event(&event).await);

    let server = server.stop().start();

    assert_eq!(
        (server.contents().await, server.event(&event).await),
        before
    );
    let reply = server
        .hook(&source, &crate::payload::start())
        .await
        .expect(200);
    assert_eq!(reply["accept"], false, "the plugin still answers");
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let server = Server::start();
    let (status, log) = server.again().refused();
    assert!(!status.success());
    let directory = server.directory().join("data");
    assert!(
        log.contains(&*directory.to_string_lossy()),
        "the folder is not named: {log}"
    );
    assert!(
        log.contains("in use") || log.contains("another"),
        "the reason is not told: {log}"
    );
    server.source("main-line").await;
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let server = Server::start();
    let address = server.address.to_string();
    let (status, log) = Launch::new().listen(&address).refused();
    assert!(!status.success());
    assert!(log.contains(&address), "{log}");
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_made_is_named() {
    let launch = Launch::new();
    let file = launch.directory().join("data");
    std::fs::write(&file, "a file where the folder belongs").expect("a file");
    let (status, log) = launch.refused();
    assert!(!status.success());
    assert!(log.contains(&*file.to_string_lossy()), "{log}");
}
