//! One attack, from quiet to quiet: what it comes to, what the neighbour feels, and
//! whether the memory comes back.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::background;
use super::corpus::Attack;
use super::neighbour::{Latencies, Neighbour};
use super::target::{Armed, Target};

/// Quiet and assault take turns so often: what else happens on the machine falls into
/// either.
const ROUNDS: usize = 4;

/// How often so many rounds are added, all of them counting, where an attack seems to be
/// felt: the p99 of 1,000 requests is the tenth slowest, which a single stall of the
/// machine decides.
const LONGER: usize = 4;

/// Of the quiet before each assault: a quarter of 1,000 requests of the neighbour.
const QUIET: Duration = Duration::from_millis(1_025);

/// How long an attack is repeated in a round.
const ASSAULT: Duration = Duration::from_millis(1_025);

/// After a strike that takes longer, as of a compile bomb, the neighbour is not asked on.
const LONGEST: Duration = Duration::from_secs(12);

/// Bindings of one attack. Each is called eight times, fewer than open its circuit
/// breaker, so that it is the sandbox that holds.
const BINDINGS: usize = 100;
const CALLS_OF_EACH_IN_A_ROUND: usize = 2;

/// Uploads of one attack in a round.
const UPLOADS: usize = 100;

/// An attack ends, and a moment later its memory is back.
const SETTLING: Duration = Duration::from_millis(300);

pub(super) struct Battle<'target> {
    target: &'target Target,
    neighbour: Neighbour,
    /// The server's process.
    process: u32,
}

/// A row of the table.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) outcome: String,
    /// How the outcome differs from the expected one, if it does.
    pub(super) difference: Option<String>,
    /// Of a strike alone.
    pub(super) time_to_end: Duration,
    pub(super) felt: Felt,
    pub(super) resident_before: u64,
    pub(super) resident_after: u64,
}

/// What an attack is to the neighbour.
#[derive(Default)]
pub(super) struct Felt {
    pub(super) strikes: usize,
    pub(super) quiet: Latencies,
    pub(super) during: Latencies,
}

impl Felt {
    /// What is aimed at: the neighbour's p99 during an attack, against its quiet one.
    pub(super) const AIM: f64 = 2.0;

    /// Measured longer from there on, above the aim and somewhat below.
    const UNCLEAR: f64 = 1.5;

    pub(super) fn ratio(&self) -> f64 {
        self.during.percentile(99) / self.quiet.percentile(99)
    }
}

impl<'target> Battle<'target> {
    pub(super) fn prepare(target: &'target Target, url: &str, process: u32) -> Result<Self> {
        let neighbour = Neighbour::move_in(target, url)?;
        let battle = Self {
            target,
            neighbour,
            process,
        };
        // The first requests open connections and warm caches.
        battle.neighbour.ask(for_a(QUIET))?;
        Ok(battle)
    }

    pub(super) fn fight(&self, attack: &Attack) -> Result<Row> {
        let armed = self.target.arm(attack, BINDINGS + 1)?;
        let resident_before = self.resident()?;
        let begun = Instant::now();
        let outcome = armed.strike(BINDINGS)?;
        let time_to_end = begun.elapsed();
        let mut felt = Felt::default();
        self.take_turns(&armed, attack, &mut felt)?;
        armed.disarm()?;
        for _ in 0..LONGER {
            if felt.ratio() <= Felt::UNCLEAR {
                break;
            }
            let armed = self.target.arm(attack, BINDINGS)?;
            self.take_turns(&armed, attack, &mut felt)?;
            armed.disarm()?;
        }
        self.target.check_good_plugin()?;
        std::thread::sleep(SETTLING);
        Ok(Row {
            name: attack.name,
            outcome: outcome.shown(),
            difference: attack.expected.difference(&outcome),
            time_to_end,
            felt,
            resident_before,
            resident_after: self.resident()?,
        })
    }

    fn take_turns(&self, armed: &Armed<'_>, attack: &Attack, felt: &mut Felt) -> Result<()> {
        for _ in 0..ROUNDS {
            felt.quiet.add(self.neighbour.ask(for_a(QUIET))?);
            let (struck, during) = self.assault(armed, attack.at_once)?;
            felt.strikes += struck;
            felt.during.add(during);
            std::thread::sleep(SETTLING);
        }
        Ok(())
    }

    /// Strikes again and again, some at a time, while the neighbour goes on asking.
    fn assault(&self, armed: &Armed<'_>, at_once: usize) -> Result<(usize, Latencies)> {
        let most = if armed.calls() {
            BINDINGS * CALLS_OF_EACH_IN_A_ROUND
        } else {
            UPLOADS
        };
        let (next, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..at_once)
                .map(|_| {
                    let named = std::thread::Builder::new().name("attacker".to_owned());
                    named.spawn_scoped(scope, || {
                        background::step_back();
                        strike_on(armed, begun, most, &next)
                    })
                })
                .collect::<std::io::Result<_>>()?;
            let watch = scope.spawn(|| {
                let ended = threads.into_iter().try_for_each(|thread| {
                    let ended = thread.join();
                    ended.map_err(|_| anyhow::anyhow!("an attacker's thread panicked"))?
                });
                over.store(true, Ordering::Relaxed);
                ended
            });
            let during = self.neighbour.ask(|| {
                let now = begun.elapsed();
                now < ASSAULT || (now < LONGEST && !over.load(Ordering::Relaxed))
            });
            let ended = watch.join();
            ended.map_err(|_| anyhow::anyhow!("the watching thread panicked"))??;
            Ok((next.load(Ordering::Relaxed).min(most), during?))
        })
    }

    /// The server's resident memory, in bytes.
    fn resident(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.process);
        let status =
            std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
        let kilobytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Ok(kilobytes.with_context(|| format!("{path} has no VmRSS"))? * 1024)
    }
}

/// One attacker: strikes whenever a strike is due and the one before has ended. They are
/// spread over the time there is, so that those that end at once do not end at once all.
fn strike_on(armed: &Armed<'_>, begun: Instant, most: usize, next: &AtomicUsize) -> Result<()> {
    let interval = ASSAULT / u32::try_from(most)?;
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let due = interval * u32::try_from(n)?;
        if n >= most || begun.elapsed() >= ASSAULT {
            return Ok(());
        }
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        armed.send(n % BINDINGS)?;
    }
}

fn for_a(time: Duration) -> impl Fn() -> bool + Sync {
    let begun = Instant::now();
    move || begun.elapsed() < time
}
