//! Notices, as a platform sends them: on and on, whether or not anybody answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use ureq::Agent;

use super::field::Field;
use crate::api;

/// Platforms that send at the same time.
const SENDERS: usize = 4;
/// Between two notices of one sender.
const INTERVAL: Duration = Duration::from_millis(8);
/// Before a sender whom nobody answered tries again.
const AGAIN: Duration = Duration::from_millis(20);

/// Sends for as long as something goes on, and gives what came of that.
pub(super) fn during<T: Send>(
    field: &Field,
    something: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    at_intervals(field, SENDERS, INTERVAL, something)
}

/// The same with so many senders, and so long between two notices of each.
pub(super) fn at_intervals<T: Send>(
    field: &Field,
    senders: usize,
    interval: Duration,
    something: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..senders)
            .map(|_| scope.spawn(|| send_until(&over, field, interval)))
            .collect();
        let result = something();
        over.store(true, Ordering::SeqCst);
        for sender in senders {
            let ended = sender.join();
            ended.map_err(|_| anyhow!("a sender's thread panicked"))??;
        }
        result
    })
}

fn send_until(over: &AtomicBool, field: &Field, interval: Duration) -> Result<()> {
    let agent = api::agent();
    let mut number = 0_u64;
    let mut due = Instant::now();
    while !over.load(Ordering::SeqCst) {
        number += 1;
        match send(&agent, field, number) {
            Ok(answered) => answered?,
            Err(_nobody_there) => std::thread::sleep(AGAIN),
        }
        due = (due + interval).max(Instant::now());
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// Sends so many notices of that type of the platform's.
pub(super) fn send_all(field: &Field, count: u64, of_type: &str) -> Result<()> {
    let agent = api::agent();
    for number in 0..count {
        let mut payload = field.payload.clone();
        payload["type"] = json!(of_type);
        payload["callId"] = json!(format!("call_{of_type}_{number}"));
        send_payload(&agent, field, &payload)??;
    }
    Ok(())
}

/// Sends one notice. The outer error: nobody answered; the inner: what nobody should.
fn send(agent: &Agent, field: &Field, number: u64) -> Result<Result<()>, ureq::Error> {
    let mut payload = field.payload.clone();
    // Calls have several events, as they do.
    let thread = std::thread::current().id();
    payload["callId"] = json!(format!("call_{thread:?}_{}", number / 3));
    send_payload(agent, field, &payload)
}

fn send_payload(agent: &Agent, field: &Field, payload: &Value) -> Result<Result<()>, ureq::Error> {
    let sent = Instant::now();
    let mut response = agent.post(&field.hook).send_json(payload)?;
    let event = response.headers().get("x-hookswitch-event");
    let event = event.and_then(|id| id.to_str().ok()).map(str::to_owned);
    let status = response.status().as_u16();
    // An answer whose body was cut off is none.
    let body: Value = response.body_mut().read_json()?;
    Ok(match (status, event) {
        (200, Some(event)) if body["eventId"] == json!(event) => {
            field.ledger.acknowledged(event, sent);
            Ok(())
        }
        (503, _) if body["code"] == "store_unavailable" => {
            field.ledger.refused();
            Ok(())
        }
        _ => Err(anyhow!("a notice is answered {status}: {body}")),
    })
}
