//! Secrets at rest: no file holds them, and keys can be changed, moved and lost.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use crate::binary;
use crate::client::{Source, send};
use crate::payload;
use crate::server::{Launch, Server, files_below};
use crate::sink::{self, Sink};

const KEYS: &str = "HOOKSWITCH_ENCRYPTION_KEYS";
const SECRET: &str = "value-of-the-secret";
const PROOF: &str = "value-of-the-header";
const HMAC: &str = "key-of-the-platform";
const ENDPOINT_PROOF: &str = "value-for-the-receiver";

/// A server that has a secret of every kind, and what is needed to use them.
struct Filled {
    server: Server,
    source: Source,
    sink: Sink,
    /// The request that created an endpoint, whose answer is kept.
    endpoint: Value,
    signing: String,
}

impl Filled {
    async fn new() -> Self {
        Self::of(sink::launch()).await
    }

    async fn of(launch: Launch) -> Self {
        let server = launch.start();
        server.put_secret("crm", SECRET).await;
        let source = json!({"name": "main-line", "repeat_window_ms": 0, "proof": [
            {"type": "header", "name": "x-key", "values": [PROOF]},
        ]});
        let source = server.create_source(&source).await;
        let signed = json!({"name": "signed", "proof": [
            {"type": "hmac", "header": "x-sig", "secrets": [HMAC]},
        ]});
        server.create_source(&signed).await;
        let sink = Sink::start().await;
        let mut endpoint = sink.endpoint("crm");
        endpoint["proof"] = json!([
            {"type": "header", "name": "x-receiver", "values": [ENDPOINT_PROOF]},
        ]);
        let signing = created(&server, &endpoint).await;
        Self {
            server,
            source,
            sink,
            endpoint,
            signing,
        }
    }

    fn secrets(&self) -> [&str; 5] {
        let signing = self.signing.strip_prefix("whsec_").expect("a prefix");
        [SECRET, PROOF, HMAC, ENDPOINT_PROOF, signing]
    }

    /// Sends a webhook with its proof; what comes of it is proved and signed too.
    async fn assert_works(&self) {
        assert_eq!(created(&self.server, &self.endpoint).await, self.signing);
        let before = self.sink.requests().len();
        let hook = |key: &str| {
            let request = self.server.request(Method::POST, &self.source.hook_path);
            send(request.header("x-key", key).json(&payload::failed()))
        };
        hook("something else")
            .await
            .expect_problem(401, "unauthorized", None);
        hook(PROOF).await.expect(200);
        let request = self.sink.wait_for(before + 1).await.remove(before);
        assert_eq!(request.header("x-receiver"), ENDPOINT_PROOF);
        let webhook = Webhook::new(&self.signing).expect("a secret");
        let mut headers = reqwest::header::HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.insert(name, request.header(name).parse().expect("a value"));
        }
        webhook
            .verify(&request.body, &headers)
            .expect("a signature");
    }

    fn restart(mut self) -> Self {
        self.server = self.server.stop().start();
        self
    }

    fn data(&self) -> PathBuf {
        data(self.server.directory())
    }

    fn key_file(&self) -> PathBuf {
        self.data().join("encryption.keys")
    }
}

/// Creates an endpoint, once, and gives its signing secret.
async fn created(server: &Server, endpoint: &Value) -> String {
    let request = server.admin(Method::POST, "/endpoints").json(endpoint);
    let reply = send(request.header("idempotency-key", "once")).await;
    let secret = reply.expect(201)["signing_secret"].take();
    secret.as_str().expect("the secret is shown").to_owned()
}

fn data(directory: &Path) -> PathBuf {
    directory.join("data")
}

fn assert_nowhere(directory: &Path, secrets: &[&str]) {
    let mut files = 0;
    for file in files_below(directory) {
        let content = std::fs::read(&file).expect("the file can be read");
        for secret in secrets {
            let found = content
                .windows(secret.len())
                .any(|w| w == secret.as_bytes());
            assert!(!found, "{secret} stands in {}", file.display());
        }
        files += 1;
    }
    assert!(files > 0, "the store was not found");
}

fn key_command(action: &str) -> Command {
    let mut command = binary::command();
    command.args(["key", action]);
    command
}

fn key(action: &str, data: &Path) -> Output {
    let mut command = key_command(action);
    command.arg("--data-dir").arg(data);
    command.output().expect("the host runs")
}

#[track_caller]
fn printed(output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The keys there are, with their states and how many values each seals.
fn keys(data: &Path) -> Vec<(String, String, u64)> {
    let mut command = key_command("list");
    let output = command.args(["--json", "--data-dir"]).arg(data).output();
    let listed = printed(&output.expect("the host runs"));
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let keys = listed["keys"].as_array().expect("keys").iter();
    keys.map(|key| {
        let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
        let values = key["values"].as_object().expect("values").values();
        let values = values.filter_map(Value::as_u64).sum();
        (text("id"), text("state"), values)
    })
    .collect()
}

/// All the values of [`Filled`].
const VALUES: u64 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn no_file_and_no_line_of_the_log_holds_a_secret() {
    let filled = Filled::of(sink::launch().log_filter("hookswitch=trace")).await;
    filled.assert_works().await;
    let secrets = filled.secrets();
    // While the write-ahead log is there, after a crash, and after an orderly end.
    assert_nowhere(&filled.data(), &secrets);
    let key = std::fs::read_to_string(filled.key_file()).expect("keys");
    let log = filled.server.log();
    for secret in secrets.into_iter().chain([key.trim()]) {
        assert!(!log.contains(secret), "{secret} stands in the log:\n{log}");
    }
    let (server, data) = (filled.server.kill().start(), filled.sink);
    drop(data);
    let launch = server.stop();
    let signing = filled.signing.strip_prefix("whsec_").expect("a prefix");
    let secrets = [SECRET, PROOF, HMAC, ENDPOINT_PROOF, signing];
    assert_nowhere(&data_of(&launch), &secrets);
}

fn data_of(launch: &Launch) -> PathBuf {
    data(launch.directory())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_changed_while_the_server_stands_and_everything_works_on() {
    let mut filled = Filled::new().await;
    let file = filled.key_file();
    let mode = std::fs::metadata(&file).expect("a file").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let launch = filled.server.stop();
    let data = data_of(&launch);
    let before = keys(&data);
    let old = before[0].0.clone();
    assert_eq!(before, [(old.clone(), "current".to_owned(), VALUES)]);

    let said = printed(&key("rotate", &data));
    let after = keys(&data);
    let new = after[0].0.clone();
    assert_ne!(new, old);
    assert_eq!(
        after,
        [
            (new.clone(), "current".to_owned(), VALUES),
            (old.clone(), "older".to_owned(), 0)
        ]
    );
    insta_said("key_rotated", &said);
    filled.server = launch.start();
    filled.assert_works().await;

    let refused = complaint(&key("retire", &data));
    assert!(refused.contains("another hookswitch server"), "{refused}");
    let launch = filled.server.stop();
    let said = printed(&key("retire", &data));
    assert_eq!(said, format!("the key {old} was taken away\n"));
    filled.server = launch.start();
    filled.assert_works().await;
    insta_said("key_list", &printed(&key("list", &data)));
}

/// Compares a text with a snapshot, keys and folders masked.
#[track_caller]
fn insta_said(name: &str, text: &str) {
    let mut settings = crate::shape::settings();
    settings.add_filter(r"\b[0-9a-f]{8}\b", "[key id]");
    settings.add_filter(r"/[^ ]*hookswitch-it-[^/]*", "[folder]");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_changed_while_the_server_runs() {
    let filled = Filled::new().await;
    let data = filled.data();
    let old = keys(&data)[0].0.clone();
    let said = printed(&key("rotate", &data));
    insta_said("key_rotated_for_server", &said);
    let listed = keys(&data);
    assert_eq!((&listed[1].0, listed[1].2), (&old, VALUES), "it seals on");
    filled.assert_works().await;

    filled.server.ask_to_reload();
    let changed = async {
        while keys(&data)[0].2 < VALUES {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), changed)
        .await
        .expect("the server takes the new key");
    filled.assert_works().await;
    filled.server.put_secret("another", SECRET).await;
    let listed = keys(&data);
    assert_eq!((listed[0].2, listed[1].2), (VALUES + 1, 0));
    filled.restart().assert_works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_between_a_new_key_and_its_sealing_loses_nothing() {
    let mut filled = Filled::new().await;
    printed(&key("rotate", &filled.data()));
    filled.server = filled.server.kill().start();
    filled.assert_works().await;
    assert_eq!(keys(&filled.data())[0].2, VALUES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_its_key_is_not_served() {
    let mut filled = Filled::new().await;
    let file = filled.key_file();
    let launch = filled.server.stop();
    let aside = launch.directory().join("aside");
    std::fs::rename(&file, &aside).expect("the keys can be moved");

    let (status, said) = launch.clone().refused();
    assert_eq!(status.code(), Some(1));
    insta_said("key_lost", &said);
    assert!(!file.exists(), "another key was made");

    let foreign = printed(&key_command("generate").output().expect("the host runs"));
    std::fs::write(&file, &foreign).expect("a file");
    let others = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&file, others).expect("a mode");
    let (status, said) = launch.clone().refused();
    assert_eq!(status.code(), Some(1));
    insta_said("key_open_to_others", &said);

    let owner = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&file, owner).expect("a mode");
    let (status, said) = launch.clone().refused();
    assert_eq!(status.code(), Some(1));
    insta_said("key_foreign", &said);
    assert!(!said.contains(foreign.trim()), "{said}");
    let refused = complaint(&key("rotate", &data_of(&launch)));
    assert!(refused.contains("put the missing key back"), "{refused}");

    // As the message says: after the foreign one.
    let right = std::fs::read_to_string(&aside).expect("keys");
    std::fs::write(&file, foreign + &right).expect("a file");
    filled.server = launch.start();
    filled.assert_works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_may_be_in_the_environment_or_in_another_file() {
    let generated = printed(&key_command("generate").output().expect("the host runs"));
    let first = generated.trim().to_owned();
    let mut filled = Filled::of(sink::launch().environment(KEYS, &first)).await;
    filled.assert_works().await;
    assert!(!filled.key_file().exists(), "a key was made");
    let data = filled.data();
    let mut command = key_command("rotate");
    command.arg("--data-dir").arg(&data).env(KEYS, &first);
    let refused = complaint(&command.output().expect("the host runs"));
    insta_said("key_rotate_in_environment", &refused);

    let second = printed(&key_command("generate").output().expect("the host runs"));
    let both = format!("{},{first}", second.trim());
    let launch = filled.server.stop().environment(KEYS, &both);
    filled.server = launch.start();
    filled.assert_works().await;
    // The first one is not needed any more.
    let launch = filled.server.stop().environment(KEYS, second.trim());
    filled.server = launch.start();
    filled.assert_works().await;

    let wrong = filled.server.stop().environment(KEYS, "c2VjcmV0");
    let (status, said) = wrong.refused();
    assert_eq!(status.code(), Some(1));
    insta_said("key_wrong_in_environment", &said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_named_must_be_there() {
    let launch = Launch::new();
    let file = launch.directory().join("elsewhere.keys");
    let text = format!(
        "[encryption]\nkey_file = {:?}\n",
        file.display().to_string()
    );
    let launch = launch.configuration(&text);
    let (status, said) = launch.clone().refused();
    assert_eq!(status.code(), Some(1));
    insta_said("key_file_not_there", &said);
    let generated = printed(&key_command("generate").output().expect("the host runs"));
    std::fs::write(&file, generated).expect("a file");
    let owner = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&file, owner).expect("a mode");
    let server = launch.start();
    server.put_secret("crm", SECRET).await;
    assert!(!data(server.directory()).join("encryption.keys").exists());
}

#[test]
fn keys_of_a_folder_without_a_database_cannot_be_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = complaint(&key("rotate", folder.path()));
    assert!(refused.contains("there is no database"), "{refused}");
    assert_eq!(files_below(folder.path()), Vec::<PathBuf>::new());
}
