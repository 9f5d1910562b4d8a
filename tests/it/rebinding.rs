//! Names that resolve to what must not be reached: at once, later, or between the
//! check and the connection.
//!
//! The name server, the listeners and the plugin are real. What plays the public
//! address is 127.0.0.9, which the operator allows; 127.0.0.1 is private, and
//! something listens there at the same port.

use serde_json::{Value, json};

use crate::client::Source;
use crate::downstream::Downstream;
use crate::misbehave::rebind;
use crate::name_server::{NameServer, Reply};
use crate::payload::{self, With};
use crate::server::{Launch, Server};

const PUBLIC: &str = "127.0.0.9";
const PRIVATE: &str = "127.0.0.1";
const METADATA: &str = "169.254.169.254";

/// A server whose requests ask the name server, and a plugin that sends one to a name.
struct Scene {
    server: Server,
    source: Source,
    names: NameServer,
    public: Downstream,
    private: Downstream,
}

impl Scene {
    async fn of(script: impl Into<Vec<Reply>>) -> Self {
        Self::allowing(&format!("{PUBLIC}/32"), script).await
    }

    async fn allowing(network: &str, script: impl Into<Vec<Reply>>) -> Self {
        let names = NameServer::start(script).await;
        let (public, private) = listeners().await;
        let resolver = names.setting();
        let (server, source) = server(network, &resolver).await;
        Self {
            server,
            source,
            names,
            public,
            private,
        }
    }

    fn port(&self) -> u16 {
        self.public.address.port()
    }

    async fn bind(&self, path: &str) {
        rebind(&self.server, &binding(self.port(), path)).await;
    }

    /// What the plugin got.
    async fn call(&self) -> Value {
        let reply = self.server.hook(&self.source, &payload::tool()).await;
        reply.expect(200)
    }
}

fn binding(port: u16, path: &str) -> Value {
    json!({
        "plugin": "misbehave",
        "config": {"mode": "fetch", "url": format!("http://crm.example:{port}{path}")},
        "grants": {"http": [{"host": "crm.example", "scheme": "http", "port": port}]},
    })
}

async fn server(allowed: &str, resolver: &str) -> (Server, Source) {
    let launch = Launch::new();
    let file = launch.directory().join("hookswitch.toml");
    let egress = format!("[egress]\nallow = [\"{allowed}\"]\nplain_endpoints = true\n{resolver}\n");
    std::fs::write(&file, egress).expect("a file");
    let server = launch.argument("--config").argument(file).start();
    server.install("misbehave").await;
    let patient =
        json!({"name": "main-line", "repeat_window_ms": 0, "timeouts_ms": {"tool": 60_000}});
    let source = server.create_source(&patient).await;
    (server, source)
}

/// The same port at both addresses, so that the name alone decides who is reached.
async fn listeners() -> (Downstream, Downstream) {
    for _ in 0..20 {
        let free = format!("{PUBLIC}:0").parse().expect("an address");
        let public = Downstream::start_at(free).await.expect("a port");
        let mut same_port = public.address;
        same_port.set_ip(PRIVATE.parse().expect("an address"));
        if let Ok(private) = Downstream::start_at(same_port).await {
            return (public, private);
        }
    }
    panic!("no port is free at both addresses");
}

fn prohibited() -> Value {
    json!({"error": "destination-IP-prohibited"})
}

#[tokio::test]
async fn a_name_that_turns_private_later_is_refused_from_then_on() {
    for later in [PRIVATE, METADATA, "::ffff:127.0.0.1", "::1"] {
        let scene = Scene::of([Reply::addresses(&[PUBLIC]), Reply::addresses(&[later])]).await;
        scene.bind("/echo").await;
        let first = scene.call().await;
        assert_eq!(first["status"], 200, "{first}");
        for _ in 0..2 {
            assert_eq!(scene.call().await, prohibited(), "{later}");
        }
        assert_eq!(scene.public.requests(), 1);
        assert_eq!(scene.private.connections(), 0, "{later}");
        assert_eq!(scene.names.names(), ["crm.example."]);
    }
}

#[tokio::test]
async fn a_delivery_to_a_name_that_has_turned_private_is_not_sent() {
    let scene = Scene::of([Reply::addresses(&[PUBLIC]), Reply::addresses(&[PRIVATE])]).await;
    let url = format!("http://crm.example:{}/echo", scene.port());
    let schedule = json!({"delays_seconds": [0], "jitter_percent": 0});
    let endpoint = json!({"name": "crm", "url": url, "schedule": schedule});
    scene.server.endpoint(&endpoint).await;
    for (state, error) in [
        ("delivered", Value::Null),
        ("exhausted", json!("prohibited")),
    ] {
        let event = scene.server.hook(&scene.source, &payload::failed()).await;
        let event = scene.server.settled(&event.event()).await;
        let delivery = &event["deliveries"][0];
        assert_eq!(
            (&delivery["state"], &delivery["error"]),
            (&json!(state), &error)
        );
    }
    assert_eq!(scene.public.requests(), 1);
    assert_eq!(scene.private.connections(), 0);
}

/// Or the tests here would say nothing.
#[tokio::test]
async fn without_the_check_the_private_address_would_be_reached() {
    let turns = [Reply::addresses(&[PUBLIC]), Reply::addresses(&[PRIVATE])];
    let scene = Scene::allowing("127.0.0.0/8", turns).await;
    scene.bind("/echo").await;
    for _ in 0..2 {
        assert_eq!(scene.call().await["status"], 200);
    }
    assert_eq!(scene.public.requests(), 1);
    assert_eq!(scene.private.requests(), 1);
}

#[tokio::test]
async fn an_answer_that_changes_between_check_and_connection_changes_nothing() {
    let scene = Scene::of([Reply::addresses(&[PUBLIC]), Reply::addresses(&[PRIVATE])]).await;
    scene.bind("/echo").await;
    assert_eq!(scene.call().await["status"], 200);
    assert_eq!(scene.names.lookups(), (1, 1), "asked once for a connection");
    assert_eq!(scene.public.connections(), 1);
    assert_eq!(scene.private.connections(), 0);
}

#[tokio::test]
async fn a_connection_that_fails_is_not_tried_at_another_answer() {
    let scene = Scene::of([
        Reply::addresses(&["127.0.0.9"]),
        Reply::addresses(&[PRIVATE]),
    ])
    .await;
    // At this port only the private address is listened at.
    let elsewhere = Downstream::start().await;
    let port = elsewhere.address.port();
    rebind(&scene.server, &binding(port, "/echo")).await;
    let refused = json!({"error": "connection-refused"});
    assert_eq!(scene.call().await, refused);
    assert_eq!(scene.names.lookups(), (1, 1));
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_redirect_to_the_same_name_is_vetted_anew() {
    let scene = Scene::of([Reply::addresses(&[PUBLIC]), Reply::addresses(&[PRIVATE])]).await;
    scene.bind("/to//echo").await;
    assert_eq!(scene.call().await, prohibited());
    assert_eq!(scene.public.requests(), 1);
    assert_eq!(scene.private.connections(), 0);
}

#[tokio::test]
async fn of_an_answer_with_good_and_private_addresses_only_the_good_are_connected() {
    let mixed = Reply::addresses(&[
        PRIVATE,
        METADATA,
        "::1",
        "::ffff:127.0.0.1",
        PUBLIC,
        "10.0.0.1",
    ]);
    let scene = Scene::of([mixed]).await;
    scene.bind("/echo").await;
    for _ in 0..5 {
        assert_eq!(scene.call().await["status"], 200);
    }
    assert_eq!(scene.public.requests(), 5);
    assert_eq!(scene.private.connections(), 0);

    // Nor when the good one does not answer.
    let elsewhere = Downstream::start().await;
    let port = elsewhere.address.port();
    rebind(&scene.server, &binding(port, "/echo")).await;
    let refused = json!({"error": "connection-refused"});
    assert_eq!(scene.call().await, refused);
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn an_address_that_is_not_public_is_refused_in_every_form_a_record_can_have() {
    let forms = [
        PRIVATE,
        METADATA,
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0.0.0.0",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fe80::1",
        "fd00:ec2::254",
    ];
    let scene = Scene::of(forms.map(|form| Reply::addresses(&[form]))).await;
    scene.bind("/echo").await;
    for form in forms {
        assert_eq!(scene.call().await, prohibited(), "{form}");
    }
    assert_eq!(scene.names.lookups(), (forms.len(), forms.len()));
    assert_eq!(scene.private.connections() + scene.public.connections(), 0);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_an_error_of_the_guest() {
    let scene = Scene::of([Reply::NoSuchName, Reply::addresses(&[])]).await;
    scene.bind("/echo").await;
    for _ in 0..2 {
        assert_eq!(scene.call().await, json!({"error": "DNS-error"}));
    }
}

#[tokio::test]
async fn a_name_server_that_never_answers_holds_nobody_for_long() {
    let scene = Scene::of([Reply::Silence]).await;
    scene.bind("/echo").await;
    assert_eq!(scene.call().await, json!({"error": "DNS-timeout"}));

    let limited = binding(scene.port(), "/echo");
    let limited = limited.with(json!({"limits": {"http_time_ms": 300}}));
    rebind(&scene.server, &limited).await;
    let cut = json!({"error": "HTTP-response-timeout"});
    assert_eq!(scene.call().await, cut);

    let hurried = binding(scene.port(), "/echo");
    let hurried = hurried.with(json!({"limits": {"time_ms": 300}}));
    rebind(&scene.server, &hurried).await;
    let reply = scene.server.hook(&scene.source, &payload::start()).await;
    assert_eq!(reply.expect(200), json!({"accept": true}), "the verdict");
}

#[tokio::test]
async fn another_name_server_is_asked_when_one_is_silent() {
    let silent = NameServer::start([Reply::Silence]).await;
    let scene = Scene::of([Reply::addresses(&[PUBLIC])]).await;
    let both = format!(
        "resolver = [\"{}\", \"{}\"]",
        silent.address, scene.names.address
    );
    let (server, source) = server(&format!("{PUBLIC}/32"), &both).await;
    rebind(&server, &binding(scene.port(), "/echo")).await;
    let reply = server.hook(&source, &payload::tool()).await.expect(200);
    assert_eq!(reply["status"], 200, "{reply}");
    assert_eq!(silent.names(), ["crm.example."]);
}
