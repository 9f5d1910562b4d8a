//! Where guests go on that do not come to an end at once.
//!
//! A guest that computes for milliseconds holds a worker thread for each of them,
//! and between two of its turns the scheduler looks at sockets and timers only now
//! and then: a few such guests made everybody else wait for a second (`cargo xtask
//! hostile`, the attack `loop`). So the calls of ordinary plugins, which take
//! microseconds, end where they began; whoever is still computing at the first
//! interruption is moved to threads of its own, which come last for the processor.
//! Waiting for the host is no reason to be moved.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

/// How far behind: a thread of the server gets about ten times as much of a
/// processor that both want, and need not wait for the end of the other's turn.
const NICE: i32 = 10;

/// Turns between two looks at sockets and timers; each may take a millisecond here.
const EVENT_INTERVAL: u32 = 4;

/// The threads behind.
pub(super) struct SlowLane {
    // None only while it is dropped.
    runtime: Option<Runtime>,
}

/// Set by the first interruption of a guest.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupted(Arc<AtomicBool>);

impl Interrupted {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl SlowLane {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("slow-lane")
            .enable_all()
            .event_interval(EVENT_INTERVAL)
            .on_thread_start(|| {
                // Without it the lane is only not behind.
                let _ = rustix::process::setpriority_process(None, NICE);
            })
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
        })
    }

    /// Runs a call here for as long as it is not interrupted, and then in the lane.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
        interrupted: &Interrupted,
    ) -> T {
        let mut call = Box::pin(call);
        let ended = poll_fn(|context| match call.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if interrupted.is_set() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        match ended.await {
            Some(value) => value,
            None => self.run_behind(call).await,
        }
    }

    /// Runs a call in the lane from the beginning.
    pub(super) async fn run_behind<T: Send + 'static>(
        &self,
        mut call: Pin<Box<impl Future<Output = T> + Send + 'static>>,
    ) -> T {
        let Some(runtime) = &self.runtime else {
            return call.as_mut().await;
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

impl Drop for SlowLane {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting is not allowed where this may be dropped, and not needed.
            runtime.shutdown_background();
        }
    }
}
