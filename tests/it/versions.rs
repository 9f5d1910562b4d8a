//! Uploads that are plugins: versions, and which of them a binding takes.

use serde_json::json;

use crate::server::Server;
use crate::{guests, payload};

/// The same plugin in other bytes: a custom section more, as a rebuild has.
fn rebuilt(guest: &str, mark: u8) -> Vec<u8> {
    let mut component = guests::component(guest);
    component.extend([0, 2, 1, mark]);
    component
}

#[tokio::test]
async fn the_same_bytes_are_the_same_version() {
    let server = Server::start();
    let first = server
        .upload("gate", guests::component("start-gate"))
        .await
        .expect(201);
    let second = server
        .upload("gate", rebuilt("start-gate", b'b'))
        .await
        .expect(201);
    assert_eq!(
        (&first["version"], &second["version"]),
        (&json!(1), &json!(2))
    );
    assert_ne!(first["digest"], second["digest"]);

    let again = server
        .upload("gate", guests::component("start-gate"))
        .await
        .expect(200);
    assert_eq!(again, first);
    let plugin = server.get("/plugins/gate").await.expect(200);
    assert_eq!(plugin["versions"], json!([second, first]), "newest first");
    assert_eq!(plugin["latest_version"], 2);
}

#[tokio::test]
async fn two_plugins_may_have_the_same_bytes() {
    let server = Server::start();
    let one = server
        .upload("one", guests::component("start-gate"))
        .await
        .expect(201);
    let other = server
        .upload("other", guests::component("start-gate"))
        .await
        .expect(201);
    assert_eq!(one["digest"], other["digest"]);
    assert_eq!((&one["version"], &other["version"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn the_digest_is_that_of_the_bytes() {
    use sha2::Digest;
    let server = Server::start();
    let component = guests::component("start-gate");
    let digest = format!("sha256:{}", hex::encode(sha2::Sha256::digest(&component)));
    let size = component.len();
    let version = server.upload("gate", component).await.expect(201);
    assert_eq!(version["digest"], digest);
    assert_eq!(version["size"], size);
}

#[tokio::test]
async fn a_binding_stays_with_the_version_it_was_made_for() {
    let server = Server::start();
    let source = server.source("main-line").await;
    server
        .upload("gate", guests::component("start-gate"))
        .await
        .expect(201);
    let first = server
        .post("/bindings", &json!({"plugin": "gate"}))
        .await
        .expect(201);
    server
        .upload("gate", rebuilt("start-gate", b'b'))
        .await
        .expect(201);
    assert_eq!(first["version"], 1);

    let event = server.hook(&source, &payload::start()).await.event();
    let asked = &server.event(&event).await["decision"]["invocations"][0];
    assert_eq!(
        (&asked["version"], &asked["digest"]),
        (&json!(1), &first["digest"])
    );

    let newest = server
        .post("/bindings", &json!({"plugin": "gate"}))
        .await
        .expect(201);
    assert_eq!(newest["version"], 2, "the newest unless told");
    let told = server
        .post("/bindings", &json!({"plugin": "gate", "version": 1}))
        .await
        .expect(201);
    assert_eq!(told["version"], 1);
}

#[tokio::test]
async fn twenty_uploads_of_the_same_bytes_at_once_make_one_version() {
    let server = Server::start();
    let component = guests::component("start-gate");
    let uploads = (0..20).map(|_| server.upload("gate", component.clone()));
    let statuses: Vec<u16> = futures::future::join_all(uploads)
        .await
        .iter()
        .map(|reply| reply.status)
        .collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        19,
        "{statuses:?}"
    );
    let plugin = server.get("/plugins/gate").await.expect(200);
    assert_eq!(plugin["versions"].as_array().map(Vec::len), Some(1));
}
