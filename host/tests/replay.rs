//! A call that was recorded runs again from its tape: the same seed, the same
//! answers of the host, and so the same decision, without clock, store or network.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hookswitch::domain::binding::Settings;
use hookswitch::domain::decision::{Answer, Opinion, ToolAnswer};
use hookswitch::domain::event::CallEvent;
use hookswitch::domain::id::{BindingId, EventId, OrganizationId};
use hookswitch::domain::kv::{Fault, Operation, Outcome};
use hookswitch::domain::limits::{CallLimits, Limits};
use hookswitch::domain::seed::Seed;
use hookswitch::egress::{Egress, EgressOptions};
use hookswitch::ingest;
use hookswitch::runtime::capability::http::{HttpAccess, HttpRule, RequestRate};
use hookswitch::runtime::capability::kv::{Denied, KeyValue};
use hookswitch::runtime::capability::recorder::{Import, Recorder};
use hookswitch::runtime::{CompileOptions, Context, EngineOptions, Grants, Input, Loaded, Runtime};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;
use uuid::Uuid;

/// A runtime of its own, with the guest that does what its settings say.
async fn guest(folder: &Path) -> (Runtime, Arc<Loaded>) {
    let runtime = Runtime::new(EngineOptions {
        concurrent_calls: 4,
        calls_per_organization: 4,
        ceilings: CallLimits::CEILINGS,
        loaded_plugins: 4,
        compiled_dir: folder.to_owned(),
        compile: CompileOptions {
            at_once: 1,
            time: CompileOptions::DEFAULT_TIME,
            memory_bytes: CompileOptions::DEFAULT_MEMORY,
            program: PathBuf::from(env!("CARGO_BIN_EXE_hookswitch")),
        },
    });
    let runtime = runtime.unwrap();
    let built = xtask::guests::ensure().unwrap();
    let bytes = Bytes::from(std::fs::read(built.path("misbehave").unwrap()).unwrap());
    let digest = hookswitch::domain::plugin::Digest::of(&bytes);
    let loaded = runtime.load(digest, async { Ok::<_, std::io::Error>(bytes) });
    let loaded = loaded.await.unwrap();
    (runtime, loaded)
}

/// What the guest answers to a tool call; none if it was stopped.
async fn call(
    (runtime, guest): &(Runtime, Arc<Loaded>),
    settings: &Value,
    seed: Seed,
    recorder: &Recorder,
    kv: Arc<dyn KeyValue>,
    http: Option<Arc<HttpAccess>>,
) -> Option<Value> {
    let payload = json!({
        "type": "ToolWebHookPayload", "callId": "c", "agentId": "a", "toolName": "t", "arguments": {},
    });
    let event: CallEvent = ingest::dialect("dasha")
        .unwrap()
        .parse(&payload.to_string())
        .unwrap();
    let context = Context {
        event_id: EventId::from(Uuid::nil()),
        payload: payload.to_string().into(),
        received_at: jiff::Timestamp::UNIX_EPOCH,
        deadline: Instant::now() + Duration::from_secs(20),
        organization: OrganizationId::from(Uuid::nil()),
        seed,
        recorder: recorder.clone(),
    };
    let grants = Grants {
        config: Arc::new(serde_json::from_value::<Settings>(settings.clone()).unwrap()),
        kv,
        http,
        limits: runtime.limits(&Limits::default()),
    };
    let input = Input {
        event: Arc::new(event),
        context,
    };
    let ran = runtime.invoke(guest, input, grants).await;
    match ran.result {
        Ok(Opinion::Answer(Answer::Tool(ToolAnswer::Answer { result }))) => {
            Some(serde_json::from_str(result.get()).unwrap())
        }
        other => {
            println!("the guest did not answer: {other:?}");
            None
        }
    }
}

/// A store of increments, in memory.
#[derive(Default)]
struct Counters(Mutex<HashMap<String, i64>>);

impl KeyValue for Counters {
    fn apply(
        &self,
        key: String,
        operation: Operation,
    ) -> Pin<Box<dyn Future<Output = Result<Outcome, Fault>> + Send + '_>> {
        let Operation::Increment { delta, .. } = operation else {
            panic!("only increments are asked for here");
        };
        let mut counters = self.0.lock().unwrap();
        let sum = counters.entry(key).or_default();
        *sum += delta;
        Box::pin(std::future::ready(Ok(Outcome::Sum(*sum))))
    }
}

struct Always;

impl RequestRate for Always {
    fn take(&self) -> bool {
        true
    }
}

const SEED: Seed = Seed([7; 16]);

fn entropy() -> Value {
    json!({"mode": "entropy"})
}

#[tokio::test]
async fn clocks_and_random_numbers_come_again_from_tape_and_seed() {
    let folder = tempfile::tempdir().unwrap();
    let guest = guest(folder.path()).await;
    let denied: Arc<dyn KeyValue> = Arc::new(Denied);
    let settings = entropy();
    let run = async |seed, recorder: &Recorder| {
        let answer = call(&guest, &settings, seed, recorder, Arc::clone(&denied), None);
        answer.await.unwrap()
    };

    let recorder = Recorder::recording();
    let first = run(SEED, &recorder).await;
    let imports: Vec<Import> = recorder.tape().iter().map(|it| it.import).collect();
    for import in [Import::WallClock, Import::MonotonicClock, Import::Remaining] {
        assert!(
            imports.contains(&import),
            "{import:?} is not in {imports:?}"
        );
    }

    let replay = Recorder::replaying(recorder.tape());
    assert_eq!(run(SEED, &replay).await, first);
    assert_eq!(replay.diverged(), None);
    assert_eq!(replay.tape(), [], "nothing is left");

    let live = run(SEED, &Recorder::off()).await;
    assert_eq!(live["random"], first["random"], "they follow from the seed");
    assert_ne!(live["now_ns"], first["now_ns"], "the clock goes on");
    let other = run(Seed([8; 16]), &Recorder::off()).await;
    assert_ne!(other["random"], first["random"]);
}

#[tokio::test]
async fn the_store_is_not_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let guest = guest(folder.path()).await;
    let counters: Arc<dyn KeyValue> = Arc::new(Counters::default());
    let settings = json!({"mode": "kv-race"});
    let run = async |recorder: &Recorder, kv: &Arc<dyn KeyValue>| {
        let answer = call(&guest, &settings, SEED, recorder, Arc::clone(kv), None);
        answer.await.unwrap()
    };
    let recorder = Recorder::recording();
    assert_eq!(run(&Recorder::off(), &counters).await, json!({"n": 1}));
    assert_eq!(run(&recorder, &counters).await, json!({"n": 2}));
    let replay = Recorder::replaying(recorder.tape());
    let denied: Arc<dyn KeyValue> = Arc::new(Denied);
    assert_eq!(run(&replay, &denied).await, json!({"n": 2}));
    assert_eq!(run(&Recorder::off(), &counters).await, json!({"n": 3}));
}

#[tokio::test]
async fn the_network_is_not_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let guest = guest(folder.path()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await.unwrap();
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-a: b\r\n\r\nhello";
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let grant = json!({"host": "127.0.0.1", "scheme": "http", "port": address.port()});
    let options = EgressOptions {
        allow: vec!["127.0.0.0/8".parse().unwrap()],
        ..EgressOptions::default()
    };
    let egress = Egress::new(&options, tokio::runtime::Handle::current());
    let access = Arc::new(HttpAccess {
        binding: BindingId::from(Uuid::nil()),
        egress: egress.unwrap(),
        rules: vec![HttpRule {
            grant: serde_json::from_value(grant).unwrap(),
            headers: Some(Vec::new()),
        }],
        rate: Arc::new(Always),
    });
    let settings = json!({"mode": "fetch", "url": format!("http://{address}/")});
    let denied: Arc<dyn KeyValue> = Arc::new(Denied);
    let run = async |recorder: &Recorder, http| {
        let answer = call(&guest, &settings, SEED, recorder, Arc::clone(&denied), http);
        answer.await.unwrap()
    };

    let recorder = Recorder::recording();
    let first = run(&recorder, Some(access)).await;
    assert_eq!(
        (&first["status"], &first["body"]),
        (&json!(200), &json!("hello"))
    );
    assert_eq!(first["headers"]["x-a"], "b");
    server.await.unwrap();

    // Nobody listens any more, and nothing is granted.
    let replay = Recorder::replaying(recorder.tape());
    assert_eq!(run(&replay, None).await, first);
    assert_eq!(replay.diverged(), None);
}

#[tokio::test]
async fn a_replay_of_another_call_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let guest = guest(folder.path()).await;
    let denied: Arc<dyn KeyValue> = Arc::new(Denied);
    let recorder = Recorder::recording();
    call(
        &guest,
        &entropy(),
        SEED,
        &recorder,
        Arc::clone(&denied),
        None,
    )
    .await;
    let mut tape = recorder.tape();
    tape.retain(|exchange| exchange.import != Import::WallClock);
    let replay = Recorder::replaying(tape);
    call(&guest, &entropy(), SEED, &replay, denied, None).await;
    assert!(replay.diverged().is_some());
}
