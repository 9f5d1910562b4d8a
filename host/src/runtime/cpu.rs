//! What a call takes of the processors, for its limit.
//!
//! Nothing is measured before a guest is interrupted for the first time: an ordinary
//! call has ended by then, and need not pay for looking at clocks. From then on its
//! turns are measured by the clock of the thread they are on (`invoke` asks,
//! `slow_lane` takes the turns). That clock stands still while others have the processor,
//! and goes on in what a guest makes the host and the kernel do, which no interruption
//! cuts: to fill 60 MB of memory with one instruction, say.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::engine::TICK;

/// Ticks before a guest is interrupted for the first time: an ordinary call is over long
/// before, and should not lose its turn because a tick happened to fall into it.
pub(super) const FIRST_INTERRUPTION_TICKS: u32 = 2;

/// How long a call that was never interrupted may have taken.
const BEFORE_FIRST_INTERRUPTION: Duration = TICK.saturating_mul(FIRST_INTERRUPTION_TICKS);

/// One for each call, held by whoever runs it and by whoever asks. Turns of a call follow
/// one another, so nothing here is contended for.
#[derive(Debug, Clone, Default)]
pub(super) struct CpuTime(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    measured: AtomicBool,
    /// Of turns that have ended, in nanoseconds.
    ended: AtomicU64,
    /// The thread's clock when this turn began to be measured, in nanoseconds.
    began: AtomicU64,
}

impl CpuTime {
    /// Measures all that comes: the guest is expected to run for long.
    pub(super) fn measure(&self) {
        self.0.measured.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_measured(&self) -> bool {
        self.0.measured.load(Ordering::Relaxed)
    }

    /// One turn of the call.
    pub(super) fn turn<T>(&self, turn: impl FnOnce() -> T) -> T {
        if self.is_measured() {
            self.0.began.store(thread_clock(), Ordering::Relaxed);
        }
        let result = turn();
        // It may be measured only since a moment ago.
        if self.is_measured() {
            self.0
                .ended
                .fetch_add(self.of_this_turn(), Ordering::Relaxed);
        }
        result
    }

    /// What the call has taken, asked in one of its turns because it was interrupted.
    pub(super) fn when_interrupted(&self) -> Duration {
        if self.is_measured() {
            let ended = self.0.ended.load(Ordering::Relaxed);
            return Duration::from_nanos(ended.saturating_add(self.of_this_turn()));
        }
        let before = BEFORE_FIRST_INTERRUPTION.as_nanos() as u64;
        self.0.ended.store(before, Ordering::Relaxed);
        self.0.began.store(thread_clock(), Ordering::Relaxed);
        self.measure();
        BEFORE_FIRST_INTERRUPTION
    }

    fn of_this_turn(&self) -> u64 {
        thread_clock().saturating_sub(self.0.began.load(Ordering::Relaxed))
    }
}

/// For how long this thread has had a processor, in nanoseconds.
fn thread_clock() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // It begins at zero with the thread.
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_millis(20);

    fn compute() {
        let end = thread_clock() + LONG.as_nanos() as u64;
        while thread_clock() < end {}
    }

    #[test]
    fn until_the_first_interruption_only_its_ticks_count() {
        let cpu = CpuTime::default();
        cpu.turn(compute);
        assert!(!cpu.is_measured());
        assert_eq!(cpu.when_interrupted(), BEFORE_FIRST_INTERRUPTION);
        assert!(cpu.is_measured());
    }

    #[test]
    fn afterwards_all_turns_count_whole_on_whatever_thread() {
        let cpu = CpuTime::default();
        cpu.turn(|| {
            cpu.when_interrupted();
            compute();
        });
        // What others do on the thread in between is not the call's.
        compute();
        let elsewhere = cpu.clone();
        let taken = std::thread::spawn(move || {
            elsewhere.turn(|| {
                compute();
                elsewhere.when_interrupted()
            })
        });
        let taken = taken.join().unwrap();
        assert!(taken >= BEFORE_FIRST_INTERRUPTION + LONG * 2, "{taken:?}");
        assert!(taken < LONG * 3, "{taken:?}");
    }

    #[test]
    fn waiting_for_a_processor_does_not_count() {
        let cpu = CpuTime::default();
        cpu.measure();
        let taken = cpu.turn(|| {
            std::thread::sleep(LONG);
            cpu.when_interrupted()
        });
        assert!(taken < LONG, "{taken:?}");
    }
}
