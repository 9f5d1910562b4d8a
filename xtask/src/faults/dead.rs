//! A thousand dead endpoints beside a healthy one: half of them refuse connections,
//! half never answer. They have a backlog, which is tried again all the time, while the
//! healthy one gets events of its own. What it feels of its neighbours is in the row.

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use super::field::Field;
use super::kinds::Fault;
use super::{Row, load};

const DEAD: usize = 1_000;
/// Notices are sent for so long, before and while the others are dead.
const TIME: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_millis(20);
/// Owed to each of the dead.
const BACKLOG: u64 = 10;
/// From then on the first attempts have failed, and there are others all the time.
const BEGUN: Duration = Duration::from_secs(5);

pub(super) fn strike(field: Field) -> Result<Row> {
    let begin = Instant::now();
    load::at_intervals(&field, 1, INTERVAL, || {
        sleep(TIME);
        Ok(())
    })?;
    let before = field.ledger.latencies(begin);

    let hole = Hole::dig()?;
    let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let urls = [hole.url.clone(), format!("http://{nobody}/")];
    for number in 0..DEAD {
        // One connection each to the hole: few file descriptors may be open.
        field.endpoint(&json!({
            "name": format!("dead-{number}"), "url": urls[number % 2], "concurrency": 1,
            "filter": {"kinds": ["call.failed"]},
        }))?;
    }
    load::send_all(&field, BACKLOG, "FailedWebHookPayload")?;
    sleep(BEGUN);
    let begin = Instant::now();
    load::at_intervals(&field, 1, INTERVAL, || {
        sleep(TIME);
        Ok(())
    })?;
    // Some of the last are on their way.
    sleep(Duration::from_secs(1));
    let during = field.ledger.latencies(begin);
    let mut row = field.close(Fault::Dead, 1)?;
    row.remark = format!(
        "the healthy one's p50 / p99: {:.1} / {:.1} → {:.1} / {:.1} ms ({:.1} times)",
        percentile(&before, 50),
        percentile(&before, 99),
        percentile(&during, 50),
        percentile(&during, 99),
        percentile(&during, 50) / percentile(&before, 50),
    );
    Ok(row)
}

/// The time that so many of a hundred did not exceed.
fn percentile(sorted: &[f64], of_hundred: usize) -> f64 {
    let rank = (sorted.len() * of_hundred).div_ceil(100);
    let time = rank.checked_sub(1).and_then(|at| sorted.get(at));
    time.copied().unwrap_or(f64::NAN)
}

/// Takes connections and says nothing, ever.
struct Hole {
    url: String,
    /// Kept open, without a thread for each.
    _streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Hole {
    fn dig() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("the hole cannot listen")?;
        let url = format!("http://{}/", listener.local_addr()?);
        let streams = Arc::<Mutex<Vec<TcpStream>>>::default();
        let kept = Arc::downgrade(&streams);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(kept) = kept.upgrade() else {
                    return;
                };
                kept.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(stream);
            }
        });
        Ok(Self {
            url,
            _streams: streams,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let times = [1.0, 2.0, 3.0, 4.0];
        assert!((percentile(&times, 50) - 2.0).abs() < 1e-9);
        assert!((percentile(&times, 99) - 4.0).abs() < 1e-9);
        assert!(percentile(&[], 99).is_nan());
    }
}
