//! Where guests run that take long.
//!
//! A guest that computes for milliseconds holds a worker thread for each of them,
//! and between two of its turns the scheduler looks at sockets and timers only now
//! and then: a few such guests made everybody else wait for a second (`cargo xtask
//! hostile`, the attack `loop`). So the calls of ordinary plugins, which take
//! microseconds, end where they began; whoever is still computing at the first
//! interruption is moved to threads of its own, which come last for the processor
//! and leave one to the others. A plugin whose last call was such a one begins
//! there: what it makes the host do (to read a large answer, say) is never
//! interrupted. Waiting for the host is no reason to be moved.

use std::future::{Future, poll_fn};
use std::io;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

use super::cpu::CpuTime;
use super::engine::TICK;
use crate::priority;

/// Turns between two looks at sockets and timers; each may take a millisecond here.
const EVENT_INTERVAL: u32 = 4;

/// Who keeps threads for as long as this in all is slow. It is less than what goes by
/// before the first interruption: what a guest has the host do, say to read an answer of
/// megabytes, took somewhat less than that and held a worker each time.
const SLOW: Duration = TICK;

/// Who is slow is quick again after a call that took less than this. Were it the same,
/// a plugin that takes about as long would hold a worker every other time.
const QUICK: Duration = Duration::from_micros(500);

/// The threads behind.
pub(super) struct SlowLane {
    // None only while it is dropped.
    runtime: Option<Runtime>,
    threads: usize,
}

/// Whether a plugin's last call took long. One for each loaded plugin.
#[derive(Debug, Default)]
pub(super) struct Pace {
    slow: AtomicBool,
}

impl Pace {
    fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed)
    }

    fn note(&self, busy: Duration) {
        let was_slow = self.is_slow();
        let slow = busy >= if was_slow { QUICK } else { SLOW };
        // Most often it is as it was; then nobody's cache is disturbed.
        if slow != was_slow {
            self.slow.store(slow, Ordering::Relaxed);
        }
    }
}

impl SlowLane {
    pub(super) fn start() -> io::Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = (processors - 1).max(1);
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("slow-lane")
            .enable_all()
            .event_interval(EVENT_INTERVAL)
            .on_thread_start(|| {
                // Without it the lane is only not behind.
                let _ = priority::compute_behind();
            })
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
            threads,
        })
    }

    /// One fewer than there are processors, where there are several.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Runs a call of a plugin: here for as long as it is not interrupted, and then
    /// in the lane; or there from the beginning, if it was slow the last time.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        pace: &Pace,
        cpu: &CpuTime,
        call: impl Future<Output = T> + Send + 'static,
    ) -> T {
        if pace.is_slow() {
            let (value, busy) = self.run_measured(cpu, call).await;
            pace.note(busy);
            return value;
        }
        let mut call = Timed::new(call, cpu.clone());
        let ended = poll_fn(|context| match Pin::new(&mut call).poll(context) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if cpu.is_measured() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        let (value, busy) = match ended.await {
            Some(ended) => ended,
            None => self.run_behind(call).await,
        };
        pace.note(busy);
        value
    }

    /// Runs a call in the lane from the beginning, and says how long it kept threads.
    pub(super) async fn run_measured<T: Send + 'static>(
        &self,
        cpu: &CpuTime,
        call: impl Future<Output = T> + Send + 'static,
    ) -> (T, Duration) {
        cpu.measure();
        self.run_behind(Timed::new(call, cpu.clone())).await
    }

    /// Starts something of the server's own in the lane; it ends with what is returned.
    pub(super) fn start_behind(
        &self,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Option<AbortOnDropHandle<()>> {
        let runtime = self.runtime.as_ref()?;
        Some(AbortOnDropHandle::new(runtime.spawn(work)))
    }

    /// Runs something in the lane from the beginning.
    pub(super) async fn run_behind<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let Some(runtime) = &self.runtime else {
            return call.await;
        };
        match AbortOnDropHandle::new(runtime.spawn(call)).await {
            Ok(value) => value,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Cancelled: the lane is being taken down, and the server with it.
                Err(_cancelled) => std::future::pending().await,
            },
        }
    }
}

/// What a call gives, and for how long it has kept threads. All its turns count: one
/// that yields often is not quick for that. The time it may take is another, that of the
/// processors (`cpu`).
///
/// A call is some kilobytes, so it goes into its box at once and is not moved again.
struct Timed<F> {
    future: Pin<Box<F>>,
    cpu: CpuTime,
    busy: Duration,
}

impl<F> Timed<F> {
    fn new(future: F, cpu: CpuTime) -> Self {
        Self {
            future: Box::pin(future),
            cpu,
            busy: Duration::ZERO,
        }
    }
}

impl<F: Future> Future for Timed<F> {
    type Output = (F::Output, Duration);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let began = Instant::now();
        let Self { future, cpu, .. } = &mut *self;
        let polled = cpu.turn(|| future.as_mut().poll(context));
        self.busy += began.elapsed();
        polled.map(|value| (value, self.busy))
    }
}

impl Drop for SlowLane {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting is not allowed where this may be dropped, and not needed.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    async fn pause() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    #[tokio::test]
    async fn who_waits_stays_and_who_is_interrupted_goes_on_behind() {
        let lane = SlowLane::start().unwrap();
        let (pace, cpu) = (Pace::default(), CpuTime::default());
        let seen = cpu.clone();
        let call = async move {
            pause().await;
            let waited = name();
            seen.when_interrupted();
            pause().await;
            (waited, name())
        };
        let (waited, after) = lane.run(&pace, &cpu, call).await;
        assert_ne!(waited, "slow-lane");
        assert_eq!(after, "slow-lane");
    }

    #[test]
    fn who_takes_about_as_long_as_is_slow_stays_what_it_was() {
        let pace = Pace::default();
        let between = (QUICK + SLOW) / 2;
        for (busy, slow) in [
            (between, false),
            (SLOW, true),
            (between, true),
            (QUICK / 2, false),
            (between, false),
        ] {
            pace.note(busy);
            assert_eq!(pace.is_slow(), slow, "after {busy:?}");
        }
    }

    #[tokio::test]
    async fn who_was_slow_begins_behind_until_it_is_quick_again() {
        let lane = SlowLane::start().unwrap();
        let pace = Pace::default();
        let slow = async { std::thread::sleep(SLOW) };
        lane.run(&pace, &CpuTime::default(), slow).await;
        // A busy machine may make a quick call look slow now and then.
        let mut names = Vec::new();
        for _ in 0..50 {
            let cpu = CpuTime::default();
            names.push(lane.run(&pace, &cpu, async { name() }).await);
        }
        assert_eq!(names[0], "slow-lane");
        assert!(names.iter().any(|name| name != "slow-lane"));
    }

    #[tokio::test]
    #[should_panic(expected = "as it happens")]
    async fn a_panic_behind_comes_back() {
        let lane = SlowLane::start().unwrap();
        lane.run_behind(async { panic!("as it happens") }).await;
    }
}
