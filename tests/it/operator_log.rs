//! What an operator reads in the log of each bad input, and what nobody reads there.
//!
//! A row of a snapshot is one input: the status and the problem's code that whoever
//! sent it got, and the lines it made. What is not worth a line has none.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Value, json};
use xtask::faults::limit_files;

use crate::client::{Reply, Source, send};
use crate::components;
use crate::misbehave::{mode, rebind, slow};
use crate::name_server::{self, NameServer};
use crate::payload::{self, With};
use crate::server::{Launch, Server};
use crate::shape;

/// Bounds a test that would otherwise wait for ever.
const WRITTEN: std::time::Duration = std::time::Duration::from_secs(30);

/// Parts of lines that a server writes in its own time, and that answer no request: one
/// of every first start, and those of a delivery that looks for work in a store that fails.
const OF_ITSELF: [&str; 3] = [
    "a key for secrets was made",
    "deliveries wait for their leases",
    "what is owed cannot be looked for",
];

/// A server whose log is read input by input.
struct Watched {
    server: Server,
    /// Bytes of the log that were looked at.
    read: usize,
    marks: u32,
    rows: Vec<Value>,
}

impl Watched {
    fn start(configuration: &str) -> Self {
        let launch = Launch::new();
        let file = launch.directory().join("hookswitch.toml");
        configure(&launch, configuration);
        Self::of(launch.argument("--config").argument(file))
    }

    fn of(launch: Launch) -> Self {
        Self {
            server: launch.start(),
            read: 0,
            marks: 0,
            rows: Vec::new(),
        }
    }

    /// The lines since the last time. To know that they are all, it has the server
    /// write another.
    async fn lines(&mut self) -> Vec<Value> {
        self.marks += 1;
        let mark = format!("src_{:032x}", self.marks);
        let nowhere = self.server.request(Method::POST, &format!("/hooks/{mark}"));
        assert_eq!(send(nowhere).await.status, 404);
        let deadline = std::time::Instant::now() + WRITTEN;
        loop {
            let log = self.server.log();
            let new = &log[self.read..];
            if let Some(end) = new.lines().position(|line| line.contains(&mark)) {
                let is_answer = |line: &&str| !OF_ITSELF.iter().any(|of| line.contains(of));
                let lines = new.lines().take(end).filter(is_answer);
                let lines = lines.map(fields).collect();
                self.read = log.len();
                return lines;
            }
            assert!(std::time::Instant::now() < deadline, "no mark in {new}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    async fn add(&mut self, input: &str, reply: Reply) {
        let (status, code) = (reply.status, reply.body["code"].clone());
        let log = self.lines().await;
        let row = json!({"input": input, "status": status, "code": code, "log": log});
        self.rows.push(row);
    }

    /// Sends a question that fails in the binding's plugin.
    async fn fails(&mut self, input: &str, source: &Source, binding: &Value) {
        rebind(&self.server, binding).await;
        let reply = self.server.hook(source, &payload::tool()).await;
        self.add(input, reply).await;
    }

    /// Compares all rows with the snapshot.
    #[track_caller]
    fn compare(&self, name: &str) {
        let mut settings = shape::settings();
        settings.add_filter(r"\borg_[0-9a-f]{32}", "org_[id]");
        settings.add_filter(r#"at path \\"[^"\\]*\\""#, "at [path]");
        let rows = &self.rows;
        settings.bind(|| insta::assert_json_snapshot!(name, rows));
    }
}

fn configure(launch: &Launch, configuration: &str) {
    let file = launch.directory().join("hookswitch.toml");
    let configuration = format!("[log]\nformat = \"json\"\n{configuration}");
    std::fs::write(&file, configuration).expect("a file");
}

/// A line without when and where.
fn fields(line: &str) -> Value {
    let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    line["fields"].clone().with(json!({"level": line["level"]}))
}

#[tokio::test]
async fn a_webhook_that_is_refused_is_a_line() {
    let mut log = Watched::start("[limits]\nhook_body_bytes = 4096\n");
    let source = log.server.source("main-line").await;
    let proof = json!([
        {"type": "header", "name": "X-Api-Key", "values": ["the-key"]},
        {"type": "hmac", "header": "X-Signature", "secrets": ["the-secret"]},
    ]);
    let proved = json!({"name": "proved", "proof": proof});
    let proved = log.server.create_source(&proved).await;

    for (input, headers) in [
        ("no proof", vec![]),
        ("a wrong value", vec![("x-api-key", "another")]),
        (
            "a header twice",
            vec![("x-api-key", "the-key"), ("x-api-key", "the-key")],
        ),
        (
            "a signature that is none",
            vec![("x-api-key", "the-key"), ("x-signature", "zz")],
        ),
    ] {
        let mut request = log.server.request(Method::POST, &proved.hook_path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let reply = send(request.body("{}")).await;
        log.add(input, reply).await;
    }
    for (input, body) in [
        ("not JSON", "{\"type\":".to_owned()),
        ("no type", "{}".to_owned()),
        (
            "a field of another type",
            payload::start().with(json!({"callId": 7})).to_string(),
        ),
        ("too large", " ".repeat(4097)),
    ] {
        let reply = log.server.hook_bytes(&source, body).await;
        log.add(input, reply).await;
    }
    for path in [
        "/hooks/nonsense",
        "/hooks/src_ffffffffffffffffffffffffffffffff",
    ] {
        let reply = send(log.server.request(Method::POST, path)).await;
        log.add(path, reply).await;
    }
    log.compare("log_of_refused_webhooks");
}

#[tokio::test]
async fn the_api_tells_callers_of_their_mistakes_and_operators_of_strangers() {
    let mut log = Watched::start("");
    for (input, token) in [("no token", None), ("a wrong token", Some("another-token"))] {
        let mut request = log.server.request(Method::GET, "/api/v1/sources");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let reply = send(request).await;
        log.add(input, reply).await;
    }
    let reply = log.server.post("/sources", &json!({"name": 7})).await;
    log.add("a mistake in a source", reply).await;
    let reply = log.server.get("/nowhere").await;
    log.add("no such path", reply).await;
    log.compare("log_of_the_api");
}

#[tokio::test]
async fn an_upload_that_is_refused_is_a_line() {
    let mut log = Watched::start("[compile]\nmemory_bytes = 134217728\n");
    for (input, component) in [
        ("text", b"fn on_start() {}".to_vec()),
        ("a core module", components::core_module()),
        ("half a component", components::truncated()),
        ("a garbled component", components::garbled()),
        ("no handler", components::exports_nothing()),
        (
            "another contract",
            components::built_against_another_version(),
        ),
        ("an endless start", components::starts_for_ever()),
        ("many memories", components::needs_many_memories()),
        ("a bomb for the compiler", components::slow_to_compile()),
    ] {
        let reply = log.server.upload("gate", component).await;
        log.add(input, reply).await;
    }
    log.compare("log_of_refused_uploads");
}

#[tokio::test]
async fn a_plugin_that_fails_is_a_line() {
    let mut log = Watched::start("");
    log.server.install("misbehave").await;
    let source = log.server.source("main-line").await;
    for plain in ["trap", "err", "bad-json", "alloc"] {
        log.fails(plain, &source, &mode(plain)).await;
    }
    let hurried = mode("loop").with(json!({"limits": {"cpu_ms": 20}}));
    log.fails("too long at work", &source, &hurried).await;
    let late = mode("loop").with(json!({"limits": {"time_ms": 50}}));
    log.fails("too late", &source, &late).await;
    // Not a failure: the platform gets what the verdict says.
    log.fails("forward to nowhere", &source, &mode("forward"))
        .await;
    log.fails("a flood of log lines", &source, &mode("flood-log"))
        .await;
    log.compare("log_of_failing_plugins");
}

#[tokio::test]
async fn a_verdict_that_a_platform_cannot_be_sent_is_a_line() {
    let mut log = Watched::start("");
    log.server.install("misbehave").await;
    // Some platform can be told to reject a call, so a binding for all may say so.
    let reject = json!({"start": {"decision": "reject", "reason": "closed"}});
    log.server
        .bind(&mode("trap").with(json!({"on_failure": reject})))
        .await;
    // This one answered its call before it asked.
    let line = json!({"name": "line", "dialect": "dsai"});
    let source = log.server.create_source(&line).await;
    let initiated = json!({
        "uuid": "550e8400-e29b-41d4-a716-446655440000", "type": "call_initiated",
        "timestamp": "2026-01-01T12:00:00.000Z",
        "payload": {"from": "+14155550100", "to": "5001"},
    });
    let reply = log.server.hook(&source, &initiated).await;
    log.add("a rejection of a call that is answered already", reply)
        .await;
    log.compare("log_of_a_verdict_without_a_form");
}

#[tokio::test]
async fn a_request_of_a_plugin_that_is_refused_is_a_line_if_an_operator_can_do_something() {
    let silent = NameServer::start([name_server::Reply::Silence]).await;
    let mut log = Watched::start(&format!("[egress]\n{}\n", silent.setting()));
    log.server.install("misbehave").await;
    let patient =
        json!({"name": "main-line", "repeat_window_ms": 0, "timeouts_ms": {"tool": 60_000}});
    let source = log.server.create_source(&patient).await;
    let fetch = |host: &str, grants: Value| {
        json!({
            "plugin": "misbehave",
            "config": {"mode": "fetch", "url": format!("http://{host}/")},
            "grants": {"http": grants},
        })
    };
    for (input, host, grant) in [
        (
            "a private address",
            "169.254.169.254",
            json!({"host": "169.254.169.254", "scheme": "http"}),
        ),
        (
            "a name that nobody resolves",
            "crm.example",
            json!({"host": "crm.example", "scheme": "http"}),
        ),
        (
            "a host that is not granted",
            "crm.example",
            json!({"host": "other.example", "scheme": "http"}),
        ),
    ] {
        log.fails(input, &source, &fetch(host, json!([grant])))
            .await;
    }
    let secret = json!({
        "host": "crm.example", "scheme": "http", "headers": {"x": "${secret:crm}"},
    });
    log.server.put_secret("crm", "of no use").await;
    rebind(&log.server, &fetch("crm.example", json!([secret]))).await;
    // Or the plugin's requests would lack it.
    let reply = log.server.delete("/secrets/crm").await;
    log.add("taking a secret away that a grant names", reply)
        .await;
    log.compare("log_of_refused_requests");
}

#[tokio::test]
async fn a_circuit_breaker_says_when_it_opens_and_closes() {
    let mut log = Watched::start("");
    log.server.install("misbehave").await;
    let source = log.server.source("main-line").await;
    // Fails transfers and answers tools.
    log.server.bind(&mode("bad-target")).await;
    let mut lines = Vec::new();
    for _ in 0..11 {
        log.server.hook(&source, &payload::transfer()).await;
    }
    lines.extend(log.lines().await);
    let opened = lines.pop().expect("a line");
    let said = "a plugin fails too often, its circuit breaker opens";
    assert_eq!(opened["message"], said);
    assert_eq!(opened["code"], "invalid_answer");
    // The eleventh was not called, which is no line.
    let fails = "a plugin failed, its verdict stands";
    assert_eq!(lines.len(), 10, "{lines:?}");
    assert!(lines.iter().all(|line| line["message"] == fails));

    tokio::time::sleep(std::time::Duration::from_millis(5_200)).await;
    log.server.hook(&source, &payload::tool()).await.expect(200);
    let messages: Vec<Value> = log
        .lines()
        .await
        .iter()
        .map(|it| it["message"].clone())
        .collect();
    let closes = [
        "a circuit breaker lets one call try",
        "a circuit breaker closes again",
    ];
    assert_eq!(messages, closes);
}

#[tokio::test]
async fn a_call_that_finds_no_sandbox_is_a_line() {
    let mut log = Watched::start("[limits]\nconcurrent_calls = 1\nconcurrent_notices = 1\n");
    log.server.install("misbehave").await;
    let source = log.server.source("main-line").await;
    let busy = slow(1_500).with(json!({"selector": {"kind": "call.start"}}));
    log.server.bind(&busy).await;
    let hurried = mode("none").with(json!({
        "selector": {"kind": "tool.call"}, "limits": {"time_ms": 200},
    }));
    log.server.bind(&hurried).await;
    let (start, tool) = (payload::start(), payload::tool());
    let late = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        log.server.hook(&source, &tool).await
    };
    let (_, reply) = futures::future::join(log.server.hook(&source, &start), late).await;
    log.add("a call too many", reply).await;
    log.compare("log_of_a_call_too_many");
}

#[tokio::test]
async fn a_bound_plugin_that_can_no_longer_be_loaded_is_a_line() {
    let log = Watched::start("");
    log.server.install("misbehave").await;
    let source = log.server.source("main-line").await;
    log.server.bind(&mode("none")).await;
    let compiled = log.server.directory().join("data/compiled");
    let stopped = log.server.stop();
    // What is there at the start would be loaded ahead.
    std::fs::remove_dir_all(&compiled).expect("the folder goes");
    let mut log = Watched::of(stopped);
    std::fs::remove_dir_all(&compiled).expect("the folder goes again");
    std::fs::write(&compiled, "in its place").expect("a file");
    let reply = log.server.hook(&source, &payload::tool()).await;
    log.add(
        "a plugin whose compiled form is gone, and no place for another",
        reply,
    )
    .await;
    log.compare("log_of_a_plugin_that_cannot_be_loaded");
}

#[tokio::test]
async fn a_compiler_that_ends_otherwise_than_by_a_limit_is_a_line() {
    let mut log = Watched::start("");
    let server = log.server.id();
    let upload = log.server.upload("gate", components::slow_to_compile());
    let (reply, ()) = futures::future::join(upload, end_compiler_of(server)).await;
    log.add("a component on which the compiler fails", reply)
        .await;
    log.compare("log_of_a_compiler_that_fails");
}

/// Ends the process that compiles for a server, once there is one.
async fn end_compiler_of(server: u32) {
    let deadline = std::time::Instant::now() + WRITTEN;
    loop {
        let compiler = processes().find(|&process| is_compiler_of(server, process));
        if let Some(compiler) = compiler {
            let compiler = Pid::from_raw(compiler);
            return kill(compiler, Signal::SIGTERM).expect("the compiler takes a signal");
        }
        assert!(std::time::Instant::now() < deadline, "nothing is compiled");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").expect("the processes");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn is_compiler_of(server: u32, process: i32) -> bool {
    // One that has ended meanwhile is none.
    let read = |name| std::fs::read_to_string(format!("/proc/{process}/{name}"));
    let (Ok(status), Ok(command)) = (read("status"), read("cmdline")) else {
        return false;
    };
    let parent = format!("PPid:\t{server}");
    status.lines().any(|line| line == parent) && command.split('\0').any(|it| it == "compile")
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_a_line() {
    let launch = Launch::new().on_a_full_disk();
    let file = launch.directory().join("hookswitch.toml");
    configure(&launch, "");
    let mut log = Watched::of(launch.argument("--config").argument(file));
    let source = log.server.source("main-line").await;
    limit_files(log.server.id(), Some(0)).expect("a limit");
    let reply = log.server.hook(&source, &payload::completed()).await;
    // It is in the redo log, and whoever wants to read it is told what is wrong.
    let listed = log.server.get("/events").await;
    assert_eq!(listed.status, 503, "{}", listed.text);
    log.add("a notice on a full disk, and who reads it", reply)
        .await;
    let second = json!({"name": "second-line"});
    let reply = log.server.post("/sources", &second).await;
    log.add("a source on a full disk", reply).await;
    limit_files(log.server.id(), None).expect("no limit");
    let reply = log.server.post("/sources", &second).await;
    log.add("a source when there is room again", reply).await;
    log.compare("log_of_a_full_disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_is_not_handled_again_is_a_line() {
    // Five times it is handled, and a busy machine may not come to it each time.
    const MOST_ROUNDS: u32 = 20;
    let mut log = Watched::start("");
    log.server.install("misbehave").await;
    let source = log.server.source("main-line").await;
    log.server.bind(&slow(10_000)).await;
    let id = log
        .server
        .hook(&source, &payload::completed())
        .await
        .event();
    let mut rounds = 0;
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        let event = log.server.event(&id).await;
        if event["state"] == "handled" {
            assert_eq!(event["decision"]["outcome"], "verdict", "{event}");
            break;
        }
        rounds += 1;
        assert!(rounds < MOST_ROUNDS, "{event}");
        log = Watched::of(log.server.kill());
    }
    assert!(rounds >= 5, "given up after {rounds}");
    let lines = log.lines().await;
    let said = "a notice is not handled again, its verdict stands";
    let line = lines.iter().find(|line| line["message"] == said);
    let line = line.unwrap_or_else(|| panic!("no line in {lines:?}"));
    assert_eq!(line["event"], id);
    assert_eq!(line["level"], "WARN");
}

#[tokio::test]
async fn a_flood_of_bad_requests_is_counted_and_not_written() {
    const FLOOD: usize = 300;
    let mut log = Watched::start("");
    let proof = json!([{"type": "header", "name": "X-Api-Key", "values": ["the-key"]}]);
    let source = json!({"name": "main-line", "proof": proof});
    let source = log.server.create_source(&source).await;
    let quiet = json!({"name": "quiet-line", "proof": proof});
    let quiet = log.server.create_source(&quiet).await;
    for _ in 0..FLOOD {
        let reply = log.server.hook(&source, &payload::start()).await;
        reply.expect_problem(401, "unauthorized", None);
    }
    let lines = log.lines().await.len();
    assert_eq!(lines, 10);
    // Another's line is not lost in it.
    log.server.hook(&quiet, &payload::start()).await;
    assert_eq!(log.lines().await[0]["source"], quiet.id);

    log.server.ask_to_end();
    log.server.ended(WRITTEN);
    let left_out = log.server.whole_log();
    let told = left_out
        .lines()
        .map(fields)
        .rfind(|line| line["message"] == "more lines like this one were left out");
    let told = told.expect("a line");
    assert_eq!(told["line"], "a request did not prove its origin");
    assert_eq!(told["left_out"], FLOOD - lines);
}

/// Strings that are in no line, whatever goes wrong and however much is logged.
const KEPT_BACK: [&str; 8] = [
    "canary-header-value",
    "canary-hook-secret",
    "canary-stored-secret",
    "canary-api-token",
    "canary-transcript",
    "canary-plugin-line",
    "+4915550000042",
    "integration-test-admin-token",
];

#[tokio::test]
async fn no_secret_number_payload_or_plugins_word_is_ever_logged() {
    for filter in ["info", "hookswitch=trace,info"] {
        let launch = Launch::new().log_filter(filter);
        let file = launch.directory().join("hookswitch.toml");
        configure(&launch, "[limits]\nhook_body_bytes = 65536\n");
        let mut log = Watched::of(launch.argument("--config").argument(file));
        misuse(&log.server).await;
        assert!(!log.lines().await.is_empty());
        log.server.ask_to_end();
        log.server.ended(WRITTEN);
        let text = log.server.whole_log();
        for kept_back in KEPT_BACK {
            assert!(
                !text.contains(kept_back),
                "{filter}: {kept_back} is in {text}"
            );
        }
    }
}

/// Every kind of bad input, with something in each that must not be logged.
async fn misuse(server: &Server) {
    server.install("misbehave").await;
    server.put_secret("crm", "canary-stored-secret").await;
    let open = server.source("open-line").await;
    let proof = json!([
        {"type": "header", "name": "X-Api-Key", "values": ["canary-hook-secret"]},
    ]);
    let proved = json!({"name": "proved", "proof": proof});
    let proved = server.create_source(&proved).await;
    for value in ["canary-header-value", "canary-hook-secret"] {
        let request = server
            .request(Method::POST, &proved.hook_path)
            .header("x-api-key", value)
            .body("{\"transcript\": \"canary-transcript\", \"to\": \"+4915550000042\"}");
        send(request).await;
    }
    let wrong_token = server.request(Method::GET, "/api/v1/sources");
    send(wrong_token.bearer_auth("canary-api-token")).await;

    let told = json!({
        "callId": "canary-transcript",
        "fromNumber": "+4915550000042",
        "sip": {"fromUser": "+4915550000042", "canary-transcript": [1]},
        "transcript": [{"text": "canary-transcript"}],
    });
    for payload in [payload::start(), payload::tool(), payload::completed()] {
        let payload = payload.with(told.clone());
        server.hook(&open, &payload).await;
        for field in ["type", "callId", "agentId"] {
            let wrong = json!({field: {"canary-transcript": "+4915550000042"}});
            server.hook(&open, &payload.clone().with(wrong)).await;
        }
    }
    for mut config in [
        json!({"mode": "trap"}),
        json!({"mode": "err"}),
        json!({"mode": "bad-json"}),
        json!({"mode": "echo"}),
        json!({"mode": "fetch", "url": "http://canary-plugin-line.invalid/canary-transcript"}),
        json!({"mode": "fetch", "url": "http://127.0.0.1:9/canary-transcript?k=canary-plugin-line"}),
    ] {
        config["note"] = json!("canary-plugin-line");
        let grants = json!([
            {"host": "127.0.0.1", "port": 9, "scheme": "http", "headers": {"x": "${secret:crm}"}},
            {"host": "canary-plugin-line.invalid", "scheme": "http"},
        ]);
        let binding = json!({
            "plugin": "misbehave", "config": config, "grants": {"http": grants, "kv": {}},
        });
        rebind(server, &binding).await;
        server
            .hook(&open, &payload::tool().with(told.clone()))
            .await;
        let notice = server
            .hook(&open, &payload::completed().with(told.clone()))
            .await;
        if notice.status == 200 {
            server.handled(&notice.event()).await;
        }
    }
    let named = b"\0asm canary-plugin-line".to_vec();
    server.upload("misbehave", named).await;
    server
        .post(
            "/sources",
            &json!({"name": "canary-transcript +4915550000042"}),
        )
        .await;
}
