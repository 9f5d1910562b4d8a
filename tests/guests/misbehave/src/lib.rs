//! A guest for failure tests: it exports all four handlers and does what its
//! setting `mode` says.
//!
//! | `mode` | every handler | |
//! |---|---|---|
//! | `trap` | panics | |
//! | `loop` | never comes back | |
//! | `err` | returns the error `it broke` | |
//! | `alloc` | allocates until memory is refused, which traps | |
//! | `flood-log` | writes 10,000 lines, then as without a mode | |
//! | `sleep`, `slow` | is busy for `ms` milliseconds, then as without a mode | |
//! | `pass` | passes | events: unchanged |
//! | `forward` | forwards to the endpoint `fallback` | events: delivers there |
//! | `bad-json` | answers with text that is not JSON | |
//! | `empty-reason` | start: rejects without a reason | others: as without a mode |
//! | `bad-target` | transfer: a destination that is none | others: as without a mode |
//! | `drop` | event: drops | others: pass |
//! | `echo` | answers with what it saw of the call and the capabilities | events: delivers it to the endpoint `echo` |
//! | `kv-race` | adds 1 to the key `n`, is busy for `ms` milliseconds if that is set, and answers with the sum | events: delivers it to the endpoint `echo` |
//! | `fetch` | makes the HTTP request that the settings say (see `fetch.rs`) and answers with what came back | events: delivers it to the endpoint `echo` |
//! | `entropy` | answers with what it reads of clocks and draws of random numbers | events: delivers it to the endpoint `echo` |
//! | none, or any other | accepts, transfers cold to `+14155550199`, answers `{"ok":true}`, leaves events unchanged | |
//!
//! Neighbours: `echo.rs` collects what a guest can see, `fetch.rs` makes requests.
//! The host's tests choose the mode in a binding's settings.

mod echo;
mod fetch;

use std::hint::black_box;

use hookswitch_sdk::{
    Acceptance, Call, Delivery, Event, EventDecision, EventHandler, Json, Result, StartDecision,
    StartHandler, ToolDecision, ToolDescription, ToolHandler, TransferDecision, TransferHandler,
    Utterance, bail, config, context, json, kv, log, serde_json::Value,
};

const FALLBACK: &str = "fallback";
const ECHO: &str = "echo";
const NUMBER: &str = "+14155550199";

/// Not JSON, whatever a reader forgives.
const NOT_JSON: &str = "{\"broken\":";

struct Misbehave;

hookswitch_sdk::export!(Misbehave: start, transfer, tools, event);

/// What is left of the mode once everything that all handlers do is done.
enum Wish {
    Pass,
    Forward,
    BadJson,
    EmptyReason,
    BadTarget,
    Drop,
    Echo,
    /// This is the answer, whatever the handler.
    Answer(Value),
    Nothing,
}

impl StartHandler for Misbehave {
    fn on_start(call: &Call, agent_config: &Json) -> Result<StartDecision> {
        Ok(match act()? {
            Wish::Pass | Wish::Drop => StartDecision::Pass,
            Wish::Forward => StartDecision::forward(FALLBACK),
            Wish::BadJson => {
                let mut acceptance = Acceptance::default();
                acceptance.agent_config = Some(Json::trusted(NOT_JSON));
                StartDecision::Accept(acceptance)
            }
            Wish::EmptyReason => StartDecision::reject(""),
            Wish::Echo => StartDecision::accept().with_additional_data(echo::everything(
                "start",
                call,
                &json!({ "agentConfig": agent_config }),
            ))?,
            Wish::Answer(answer) => StartDecision::accept().with_additional_data(answer)?,
            Wish::BadTarget | Wish::Nothing => StartDecision::accept(),
        })
    }
}

impl TransferHandler for Misbehave {
    fn on_transfer(
        call: &Call,
        reason: Option<&str>,
        transcription: &[Utterance],
    ) -> Result<TransferDecision> {
        let cold = TransferDecision::cold(NUMBER);
        Ok(match act()? {
            Wish::Pass | Wish::Drop => TransferDecision::Pass,
            Wish::Forward => TransferDecision::forward(FALLBACK),
            Wish::BadJson => {
                let mut decision = cold;
                if let TransferDecision::Cold(target) = &mut decision {
                    target.options = Some(Json::trusted(NOT_JSON));
                }
                decision
            }
            Wish::BadTarget => TransferDecision::cold("the front desk"),
            Wish::Echo => cold.with_options(echo::everything(
                "transfer",
                call,
                &json!({ "reason": reason, "transcription": echo::transcription(transcription) }),
            ))?,
            Wish::Answer(answer) => cold.with_options(answer)?,
            Wish::EmptyReason | Wish::Nothing => cold,
        })
    }
}

impl ToolHandler for Misbehave {
    fn tools() -> Vec<ToolDescription> {
        vec![ToolDescription {
            name: "misbehave".to_owned(),
            description: "Does what the setting `mode` says; so does every other name.".to_owned(),
            input_schema: Json::trusted(r#"{"type":"object"}"#),
        }]
    }

    fn call_tool(call: &Call, name: &str, arguments: &Json) -> Result<ToolDecision> {
        match act()? {
            Wish::Pass | Wish::Drop => Ok(ToolDecision::Pass),
            Wish::Forward => Ok(ToolDecision::forward(FALLBACK)),
            Wish::BadJson => Ok(ToolDecision::Answer(Json::trusted(NOT_JSON))),
            Wish::Echo => ToolDecision::answer(echo::everything(
                "tools",
                call,
                &json!({ "name": name, "arguments": arguments }),
            )),
            Wish::Answer(answer) => ToolDecision::answer(answer),
            Wish::EmptyReason | Wish::BadTarget | Wish::Nothing => {
                ToolDecision::answer(json!({ "ok": true }))
            }
        }
    }
}

impl EventHandler for Misbehave {
    fn on_event(event: &Event) -> Result<EventDecision> {
        let delivery = match act()? {
            Wish::Drop => return Ok(EventDecision::Drop),
            Wish::Forward => Delivery::to(FALLBACK),
            Wish::BadJson => {
                let mut delivery = Delivery::to(ECHO);
                delivery.body = Some(Json::trusted(NOT_JSON));
                delivery
            }
            Wish::Echo => Delivery::to(ECHO).with_body(echo::everything(
                "event",
                &event.call,
                &json!({ "id": event.id, "kind": event.kind, "body": event.body }),
            ))?,
            Wish::Answer(answer) => Delivery::to(ECHO).with_body(answer)?,
            Wish::Pass | Wish::EmptyReason | Wish::BadTarget | Wish::Nothing => {
                return Ok(EventDecision::Unchanged);
            }
        };
        Ok(EventDecision::deliver([delivery]))
    }
}

/// Does what the mode says that is the same for all handlers.
fn act() -> Result<Wish> {
    let mode = config::get("mode").unwrap_or_default();
    Ok(match mode.as_str() {
        "trap" => panic!("the setting `mode` says trap"),
        "loop" => spin_for_ever(),
        "err" => bail!("it broke"),
        "alloc" => allocate_for_ever(),
        "flood-log" => {
            for line in 0..10_000 {
                log::info!("line {line} of 10000");
            }
            Wish::Nothing
        }
        "sleep" | "slow" => {
            spin_for_ms(config::parse("ms")?.unwrap_or(1_000));
            Wish::Nothing
        }
        "kv-race" => {
            let n = kv::increment("n", 1, None)?;
            if let Some(ms) = config::parse("ms")? {
                spin_for_ms(ms);
            }
            Wish::Answer(json!({ "n": n }))
        }
        "entropy" => Wish::Answer(echo::entropy()),
        "fetch" => Wish::Answer(fetch::as_told()?),
        "pass" => Wish::Pass,
        "forward" => Wish::Forward,
        "bad-json" => Wish::BadJson,
        "empty-reason" => Wish::EmptyReason,
        "bad-target" => Wish::BadTarget,
        "drop" => Wish::Drop,
        "echo" => Wish::Echo,
        _ => Wish::Nothing,
    })
}

fn spin_for_ever() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Counts the time on the host's own word for what remains, so that no clock is
/// imported; the host stops the guest when nothing does.
fn spin_for_ms(ms: u64) {
    let elapsed_since = |start: std::time::Duration| start.saturating_sub(context::remaining());
    let start = context::remaining();
    while elapsed_since(start).as_millis() < u128::from(ms) {
        for turn in 0..100_000 {
            black_box(turn);
        }
    }
}

fn allocate_for_ever() -> ! {
    const BLOCK_BYTES: usize = 1024 * 1024;
    let mut blocks = Vec::new();
    loop {
        blocks.push(black_box(vec![1_u8; BLOCK_BYTES]));
    }
}
