//! Outbound HTTP of plugins: to whom the binding grants, at addresses that are
//! vetted, within limits; and everything else is an error the guest can handle.

use serde_json::{Value, json};

use crate::client::Source;
use crate::downstream::Downstream;
use crate::misbehave::rebind;
use crate::payload::{self, With};
use crate::server::{Launch, Server};

/// A server whose operator allows the loopback networks (or not), with the guest.
async fn server(egress: &str) -> (Server, Source) {
    let launch = Launch::new();
    let file = launch.directory().join("hookswitch.toml");
    std::fs::write(&file, format!("[egress]\n{egress}\n")).expect("a file");
    let server = launch.argument("--config").argument(file).start();
    server.install("misbehave").await;
    let source = server.source("main-line").await;
    (server, source)
}

const ALLOWED: &str = r#"allow = ["127.0.0.0/8", "::1/128"]"#;

/// A binding whose guest makes one request, with everything at the downstream
/// granted.
fn fetch(downstream: &Downstream, url: &str) -> Value {
    json!({
        "plugin": "misbehave",
        "config": {"mode": "fetch", "url": url},
        "grants": {"http": [grant(downstream)]},
    })
}

fn grant(downstream: &Downstream) -> Value {
    json!({"host": "127.0.0.1", "scheme": "http", "port": downstream.address.port()})
}

/// What the guest got.
async fn fetched(server: &Server, source: &Source, binding: &Value) -> Value {
    rebind(server, binding).await;
    server.hook(source, &payload::tool()).await.expect(200)
}

/// What the downstream saw of the guest's request.
fn seen(answer: &Value) -> Value {
    assert_eq!(answer["status"], 200, "{answer}");
    serde_json::from_str(answer["body"].as_str().expect("a body")).expect("JSON")
}

#[tokio::test]
async fn a_granted_request_goes_out_with_what_the_guest_said() {
    let downstream = Downstream::start().await;
    let (server, source) = server(ALLOWED).await;
    let binding = fetch(&downstream, &downstream.url("/echo?a=b%20c")).with(json!({
        "config": {
            "mode": "fetch", "url": downstream.url("/echo?a=b%20c"), "method": "POST",
            "headers": {"x-mine": "1"}, "body": "{\"n\":1}",
        }
    }));
    let seen = seen(&fetched(&server, &source, &binding).await);
    assert_eq!(seen["method"], "POST");
    assert_eq!(seen["path"], "/echo?a=b%20c");
    assert_eq!(seen["body"], "{\"n\":1}");
    assert_eq!(seen["headers"]["x-mine"], "1");
    assert_eq!(seen["headers"]["host"], downstream.address.to_string());
}

#[tokio::test]
async fn what_no_grant_covers_is_denied_and_named_in_the_log() {
    let downstream = Downstream::start().await;
    let (server, source) = server(ALLOWED).await;
    let url = downstream.url("/echo");
    let port = downstream.address.port();
    for grants in [
        json!({}),
        json!({"http": []}),
        json!({"http": [{"host": "example.com", "scheme": "http", "port": port}]}),
        json!({"http": [{"host": "127.0.0.1", "scheme": "http"}]}),
        json!({"http": [{"host": "127.0.0.1", "scheme": "https", "port": port}]}),
        json!({"http": [{"host": "127.0.0.1", "scheme": "http", "port": port, "methods": ["POST"]}]}),
    ] {
        let mut binding = fetch(&downstream, &url);
        binding["grants"] = grants.clone();
        rebind(&server, &binding).await;
        let reply = server.hook(&source, &payload::tool()).await;
        let event = server.event(&reply.event()).await;
        assert_eq!(
            reply.expect(200),
            json!({"error": "HTTP-request-denied"}),
            "{grants}"
        );
        let log = event["log"].to_string();
        assert!(log.contains("grants.http"), "{log}");
    }
    assert_eq!(downstream.requests(), 0);
}

#[tokio::test]
async fn a_secret_is_added_by_the_host_and_the_guests_own_header_gives_way() {
    let downstream = Downstream::start().await;
    let (mut server, source) = server(ALLOWED).await;
    server.put_secret("crm", "t0p-s3cret").await;
    let url = downstream.url("/echo");
    let grant = grant(&downstream).with(json!({
        "headers": {"authorization": "Bearer ${secret:crm}", "x-plain": "yes"}
    }));
    let binding = json!({
        "plugin": "misbehave",
        "config": {"mode": "fetch", "url": url, "headers": {"authorization": "guest's own"}},
        "grants": {"http": [grant]},
    });
    let seen_by_host = seen(&fetched(&server, &source, &binding).await);
    assert_eq!(
        seen_by_host["headers"]["authorization"],
        "Bearer t0p-s3cret"
    );
    assert_eq!(seen_by_host["headers"]["x-plain"], "yes");

    // A new value counts from the next request on.
    server.put_secret("crm", "another").await;
    let reply = server.hook(&source, &payload::tool()).await.expect(200);
    assert_eq!(seen(&reply)["headers"]["authorization"], "Bearer another");

    let shown = server.get("/bindings").await.text;
    assert!(shown.contains("${secret:crm}"), "{shown}");
    server.ask_to_end();
    server.ended(std::time::Duration::from_secs(30));
    let log = server.whole_log();
    assert!(!log.contains("s3cret") && !log.contains("another"), "{log}");
}

#[tokio::test]
async fn private_addresses_are_refused_however_they_are_written() {
    let downstream = Downstream::start().await;
    let (server, source) = server("").await;
    let port = downstream.address.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "10.0.0.1",
        "0.0.0.0",
        "[fe80::1]",
        "[fd00:ec2::254]",
    ] {
        let url = format!("http://{host}:{port}/echo");
        let bare = host.trim_matches(['[', ']']);
        let mut binding = fetch(&downstream, &url);
        binding["grants"] = json!({"http": [{"host": bare, "scheme": "http", "port": port}]});
        let answer = fetched(&server, &source, &binding).await;
        assert_eq!(
            answer,
            json!({"error": "destination-IP-prohibited"}),
            "{url}"
        );
    }
    // An address in another spelling is granted, and refused, as that address.
    for spelling in ["127.1", "2130706433", "0x7f.0.0.1"] {
        let mut binding = fetch(&downstream, &format!("http://{spelling}:{port}/echo"));
        binding["grants"] =
            json!({"http": [{"host": "127.0.0.1", "scheme": "http", "port": port}]});
        let answer = fetched(&server, &source, &binding).await;
        let refused = json!({"error": "destination-IP-prohibited"});
        assert_eq!(answer, refused, "{spelling}");
    }
    assert_eq!(downstream.requests(), 0);
}

#[tokio::test]
async fn redirects_are_checked_like_first_requests() {
    let (downstream, elsewhere) = (Downstream::start().await, Downstream::start().await);
    let (server, source) = server(r#"allow = ["127.0.0.1/32"]"#).await;
    let to = |location: &str| fetch(&downstream, &downstream.url(&format!("/to/{location}")));

    let followed = fetched(&server, &source, &to(&downstream.url("/echo"))).await;
    assert_eq!(seen(&followed)["path"], "/echo");

    let denied = fetched(&server, &source, &to(&elsewhere.url("/echo"))).await;
    assert_eq!(denied, json!({"error": "HTTP-request-denied"}));

    // Granted, but at an address that the operator does not allow.
    let port = elsewhere.address.port();
    let mut binding = to(&format!("http://127.0.0.2:{port}/echo"));
    let grants = json!([
        grant(&downstream),
        {"host": "127.0.0.2", "scheme": "http", "port": port},
    ]);
    binding["grants"] = json!({"http": grants});
    let refused = fetched(&server, &source, &binding).await;
    assert_eq!(refused, json!({"error": "destination-IP-prohibited"}));

    let circle = downstream.url("/to//to//to//to//to//echo");
    let looped = fetched(&server, &source, &fetch(&downstream, &circle)).await;
    assert_eq!(looped, json!({"error": "loop-detected"}));
    assert_eq!(elsewhere.requests(), 0);
}

#[tokio::test]
async fn a_guests_credentials_stay_behind_at_another_host() {
    let (downstream, elsewhere) = (Downstream::start().await, Downstream::start().await);
    let (server, source) = server(ALLOWED).await;
    server.put_secret("first", "of-the-first-host").await;
    let first = grant(&downstream).with(json!({"headers": {"x-key": "${secret:first}"}}));
    let url = downstream.url(&format!("/to/{}", elsewhere.url("/echo")));
    let binding = json!({
        "plugin": "misbehave",
        "config": {
            "mode": "fetch", "url": url,
            "headers": {"authorization": "Bearer mine", "cookie": "a=b", "x-own": "1"},
        },
        "grants": {"http": [first, grant(&elsewhere)]},
    });
    let seen = seen(&fetched(&server, &source, &binding).await);
    let headers = seen["headers"].as_object().expect("headers");
    assert_eq!(headers["x-own"], "1");
    for kept_back in ["authorization", "cookie", "x-key"] {
        assert!(!headers.contains_key(kept_back), "{kept_back}: {headers:?}");
    }
}

#[tokio::test]
async fn limits_of_requests_bytes_and_time_are_errors_of_the_guest() {
    let downstream = Downstream::start().await;
    let (server, source) = server(ALLOWED).await;
    let rows = [
        (
            "/echo",
            json!({"times": 4}),
            json!({"http_requests": 3}),
            "connection-limit-reached",
        ),
        (
            "/echo",
            json!({"times": 4}),
            json!({"http_requests_per_minute": 2}),
            "connection-limit-reached",
        ),
        (
            "/announced",
            json!({}),
            json!({"http_bytes": 1 << 20}),
            "HTTP-response-body-size",
        ),
        (
            "/echo",
            json!({"method": "POST", "body_bytes": 70_000}),
            json!({"http_bytes": 65_536}),
            "HTTP-request-body-size",
        ),
        (
            "/hang",
            json!({}),
            json!({"http_time_ms": 300}),
            "HTTP-response-timeout",
        ),
    ];
    for (path, config, limits, code) in rows {
        let url = downstream.url(path);
        let config = json!({"mode": "fetch", "url": url}).with(config);
        let mut binding = fetch(&downstream, &url);
        binding["config"] = config;
        binding["limits"] = limits.clone();
        let answer = fetched(&server, &source, &binding).await;
        assert_eq!(answer["error"], code, "{path} {limits}: {answer}");
    }
}

#[tokio::test]
async fn a_response_that_goes_on_for_too_long_breaks_off_and_says_why() {
    let downstream = Downstream::start().await;
    let (server, source) = server(ALLOWED).await;
    // WASI tells of a broken stream in words, not by code.
    for (path, limits, why) in [
        (
            "/large",
            json!({"http_bytes": 1 << 20}),
            "body size exceeds limit",
        ),
        ("/drip", json!({"http_time_ms": 300}), "read timeout"),
    ] {
        let binding = fetch(&downstream, &downstream.url(path)).with(json!({"limits": limits}));
        rebind(&server, &binding).await;
        let reply = server.hook(&source, &payload::tool()).await;
        let event = server.event(&reply.event()).await;
        assert_eq!(reply.expect(200), json!({"error": "internal-error"}));
        let log = event["log"].to_string().to_lowercase();
        assert!(log.contains(why), "{path}: {log}");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_an_error_of_the_guest() {
    let downstream = Downstream::start().await;
    let (server, source) = server(ALLOWED).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    for (host, code) in [
        ("127.0.0.1", "connection-refused"),
        ("nowhere.invalid", "DNS-error"),
    ] {
        let url = format!("http://{host}:{port}/");
        let mut binding = fetch(&downstream, &url);
        binding["grants"] = json!({"http": [{"host": host, "scheme": "http", "port": port}]});
        let answer = fetched(&server, &source, &binding).await;
        assert_eq!(answer["error"], code, "{url}");
    }
}

#[tokio::test]
async fn certificates_are_verified() {
    let (downstream, certificate) = Downstream::start_tls().await;
    let port = downstream.address.port();
    let url = format!("https://localhost:{port}/echo");
    let binding = json!({
        "plugin": "misbehave",
        "config": {"mode": "fetch", "url": url},
        "grants": {"http": [{"host": "localhost", "port": port}]},
    });

    let (strict, source) = server(ALLOWED).await;
    let refused = fetched(&strict, &source, &binding).await;
    assert_eq!(refused, json!({"error": "TLS-certificate-error"}));

    let folder = tempfile::tempdir().expect("a folder");
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, certificate).expect("a file");
    let trusting = format!("{ALLOWED}\nextra_roots = {:?}", roots.display().to_string());
    let (trusting, source) = server(&trusting).await;
    let seen = seen(&fetched(&trusting, &source, &binding).await);
    assert_eq!(seen["path"], "/echo");
}

#[tokio::test]
async fn a_call_that_waits_for_a_slow_host_is_answered_in_time() {
    let downstream = Downstream::start().await;
    let (server, source) = server(ALLOWED).await;
    let binding =
        fetch(&downstream, &downstream.url("/hang")).with(json!({"limits": {"time_ms": 400}}));
    rebind(&server, &binding).await;
    let reply = server.hook(&source, &payload::start()).await;
    let event = server.event(&reply.event()).await;
    assert_eq!(reply.expect(200), json!({"accept": true}), "the verdict");
    let error = &event["decision"]["invocations"][0]["error"];
    assert_eq!(error["code"], "timeout", "{event}");
}

#[tokio::test]
async fn an_author_tries_requests_without_a_server() {
    let downstream = Downstream::start().await;
    let url = downstream.url("/echo");
    let invoke = move |arguments: Vec<String>| {
        let mut command = crate::binary::command();
        command
            .arg("invoke")
            .arg(crate::guests::path("misbehave"))
            .arg("--payload")
            .arg(crate::binary::workspace().join("tests/fixtures/dasha/tool.json"))
            .args(["--set", "mode=fetch", "--set", &format!("url={url}")])
            .args(arguments);
        let output = command.output().expect("the program runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let origin = downstream.url("/");
    let (granted, denied) = tokio::task::spawn_blocking(move || {
        let allow = ["--allow", "127.0.0.0/8"].map(str::to_owned);
        let http = ["--http".to_owned(), origin];
        (
            invoke([allow.to_vec(), http.to_vec()].concat()),
            invoke(allow.to_vec()),
        )
    })
    .await
    .expect("both runs");
    assert!(granted.contains("\"status\":200"), "{granted}");
    assert!(denied.contains("HTTP-request-denied"), "{denied}");
    assert!(denied.contains("grants.http"), "{denied}");
    assert_eq!(downstream.requests(), 1);
}
