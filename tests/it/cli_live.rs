//! `hookswitch tail` and `hookswitch call`.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{Receiver as Lines, channel};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::binary;
use crate::misbehave::{self, mode};
use crate::payload::{self, With};
use crate::receiver::{self, Receiver};
use crate::server::{ADMIN_TOKEN, Server};

/// Bounds a test that would otherwise wait for ever.
const LIMIT: Duration = Duration::from_mins(1);

fn command(server: &Server, arguments: &[&str]) -> Command {
    let mut command = binary::command();
    command
        .args(arguments)
        .env("HOOKSWITCH_SERVER", format!("http://{}", server.address))
        .env("HOOKSWITCH_TOKEN", ADMIN_TOKEN);
    command
}

async fn run(server: &Server, arguments: &[&str]) -> Output {
    let mut command = command(server, arguments);
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.expect("it ends").expect("the host runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `hookswitch tail`, running.
struct Tail {
    child: Child,
    out: Lines<String>,
    err: Lines<String>,
}

impl Tail {
    fn start(server: &Server, arguments: &[&str]) -> Self {
        let mut command = command(server, &["tail"]);
        command.args(arguments);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the host runs");
        let out: ChildStdout = child.stdout.take().expect("a pipe");
        let err: ChildStderr = child.stderr.take().expect("a pipe");
        Self {
            child,
            out: lines(out),
            err: lines(err),
        }
    }

    /// The next line that it prints.
    #[track_caller]
    fn line(&self) -> String {
        let line = self.out.recv_timeout(LIMIT);
        line.unwrap_or_else(|_| panic!("nothing more was printed: {:?}", self.errors()))
    }

    fn errors(&self) -> Vec<String> {
        self.err.try_iter().collect()
    }

    /// Ends as at a terminal. Gives all that it said since it was last asked, too: what it
    /// says comes by another way than what it prints, perhaps later.
    fn interrupt(mut self) -> (std::process::ExitStatus, Vec<String>) {
        let id = Pid::from_raw(self.child.id().try_into().expect("an id"));
        kill(id, Signal::SIGINT).expect("it takes a signal");
        let status = self.child.wait().expect("it ends");
        (status, self.err.iter().collect())
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is all right.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(stream: impl std::io::Read + Send + 'static) -> Lines<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Sends starts until the first is heard of: before, nobody listens.
async fn until_it_listens(server: &Server, source: &crate::client::Source, tail: &Tail) {
    for _ in 0..600 {
        server.hook(source, &payload::start()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        if tail.out.try_iter().count() > 0 {
            return;
        }
    }
    panic!("it does not listen: {:?}", tail.errors());
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_shows_a_line_for_each_thing_that_happens() {
    let (server, source) = receiver::server().await;
    server.install("misbehave").await;
    let receiver = Receiver::answering(200).await;
    let ends = json!({"filter": {"kinds": ["call.failed"]}});
    server.endpoint(&receiver.endpoint("crm").with(ends)).await;
    let tail = Tail::start(&server, &["--source", "main-line"]);
    until_it_listens(&server, &source, &tail).await;
    let calls = ["call_1", "call_2"].map(|call| json!({"callId": call}));

    server
        .bind(&mode("flood-log").with(json!({"limits": {"log_lines": 1}})))
        .await;
    let question = payload::tool().with(calls[0].clone());
    let id = server.hook(&source, &question).await.event();
    let mut shown = Vec::new();
    while !shown.iter().any(|line: &String| line.contains("decision")) {
        shown.push(tail.line());
        shown.retain(|line| line.contains("call_1"));
    }
    for (line, parts) in shown.iter().zip([
        &["event", "tool.call", "check_availability", &id][..],
        &["log", "info", "misbehave: line 0 of 10000"],
    ]) {
        for part in parts {
            assert!(line.contains(part), "{part} is missing: {line}");
        }
    }
    let decision = shown.last().expect("a decision");
    for part in ["answer", "answered", " ms", "replied 200", "misbehave v1"] {
        assert!(decision.contains(part), "{part} is missing: {decision}");
    }
    let call = payload::failed().with(calls[1].clone());
    server.hook(&source, &call).await.expect(200);
    loop {
        let line = tail.line();
        if line.contains("attempt") {
            for part in ["call_2", "crm", "200", "attempt 1", "delivered"] {
                assert!(line.contains(part), "{part} is missing: {line}");
            }
            break;
        }
    }
    assert!(
        shown.iter().all(|line| !line.contains('\u{1b}')),
        "{shown:?}"
    );
    let (status, _) = tail.interrupt();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_goes_on_after_a_restart_and_shows_nothing_twice() {
    let (server, source) = receiver::server().await;
    let address = server.address.to_string();
    let tail = Tail::start(&server, &["--json", "--kind", "call.start"]);
    until_it_listens(&server, &source, &tail).await;
    let mut sent = Vec::new();
    sent.push(server.hook(&source, &payload::start()).await.event());
    let server = server.stop().listen(&address).start();
    // It may not have come back yet: then it reads this from the store.
    sent.push(server.hook(&source, &payload::start()).await.event());
    sent.push(server.hook(&source, &payload::tool()).await.event());
    sent.push(server.hook(&source, &payload::start()).await.event());
    let mut shown = Vec::new();
    let last = (sent[3].as_str(), "decision");
    loop {
        let message: Value = serde_json::from_str(&tail.line()).expect("JSON");
        let word = |field: &str| message[field].as_str().unwrap_or_default().to_owned();
        shown.push((word("event"), word("type")));
        if shown
            .last()
            .is_some_and(|(id, word)| (id.as_str(), word.as_str()) == last)
        {
            break;
        }
    }
    let times = |id: &String, name: &str| {
        let these = shown
            .iter()
            .filter(|(event, word)| event == id && word == name);
        these.count()
    };
    for name in ["event", "decision"] {
        let found: Vec<_> = sent.iter().map(|id| times(id, name)).collect();
        assert_eq!(found, [1, 1, 0, 1], "{name}: {shown:?}");
    }
    let (status, said) = tail.interrupt();
    let said = said.join("\n");
    for part in ["connecting again", "connected again"] {
        assert!(said.contains(part), "{part} is missing: {said}");
    }
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tail_cannot_do_is_said_with_the_next_step() {
    let server = Server::start();
    for (arguments, part) in [
        (
            &["tail", "--source", "nobody"][..],
            "there is no source \"nobody\"",
        ),
        (&["tail", "--kind", "Call"], "kind is wrong"),
        (
            &["tail", "--level", "loud"],
            "trace, debug, info, warn, error",
        ),
        (
            &["tail", "--server", "http://127.0.0.1:1"],
            "hookswitch serve",
        ),
        (&["tail", "--token", "nobodys"], "refuses the token"),
        (&["call", "nobody"], "there is no call nobody"),
        (&["call", ".."], "is no call's id"),
    ] {
        let output = run(&server, arguments).await;
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn call_prints_a_timeline() {
    let (server, source) = receiver::server().await;
    server.install("misbehave").await;
    let receiver = Receiver::answering(404).await;
    let ends = json!({"filter": {"kinds": ["call.failed"]}});
    server.endpoint(&receiver.endpoint("crm").with(ends)).await;
    misbehave::rebind(&server, &mode("trap")).await;
    let call = json!({"callId": "call/1"});
    let start = payload::start().with(call.clone());
    server.hook(&source, &start).await.expect(200);
    misbehave::rebind(&server, &mode("none")).await;
    let end = payload::failed().with(call);
    let id = server.hook(&source, &end).await.event();
    server.handled(&id).await;
    server.deliveries("state=refused", 1).await;

    let output = run(&server, &["call", "call/1"]).await;
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for part in [
        "call     call/1",
        "agent    agent_xyz789",
        "in all   events 2, decisions 2, verdicts 1, failures 1, deliveries 1, failed 1",
        "    +0.000s event     call.start",
        "verdict: plugin_failed",
        "misbehave v1 failed: trap: ",
        "delivery  crm  refused  1 attempt",
        "attempt   crm  404",
    ] {
        assert!(shown.contains(part), "{part} is missing:\n{shown}");
    }
    let json = run(&server, &["call", "call/1", "--json"]).await;
    let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    let call = server.get("/calls/call%2F1").await.expect(200);
    assert_eq!(json, call);
}

#[tokio::test(flavor = "multi_thread")]
async fn call_reads_every_page() {
    const EVENTS: usize = 230;
    let server = Server::start();
    let source = server.source("main-line").await;
    for _ in 0..EVENTS {
        server.notice(&source, "long").await;
    }
    let output = run(&server, &["call", "long", "--json"]).await;
    let call: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(call["next_cursor"], Value::Null);
    assert_eq!(call["entries"].as_array().map(Vec::len), Some(2 * EVENTS));
}
