//! Work that goes on when nobody waits for it any more.
//!
//! A request's future is dropped when its client goes away. What must not stop in the
//! middle then (a plugin that books something, a record that is being written) runs
//! inside a [`Detached`]: as a part of the request as long as there is one, which costs
//! no task, and in a task of its own from then on.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// Work that may go on so at the same time: as much as there can be connections. More
/// is given up, else clients that only come and go could pile it up without end.
const MOST: usize = 10_000;

#[derive(Debug)]
pub(super) struct Detached<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    /// None once it has ended.
    work: Option<Pin<Box<F>>>,
    tasks: TaskTracker,
}

impl<F> Detached<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    /// Tasks of work that nobody waits for are counted by the tracker.
    pub(super) fn new(work: F, tasks: &TaskTracker) -> Self {
        Self {
            work: Some(Box::pin(work)),
            tasks: tasks.clone(),
        }
    }
}

impl<F> Future for Detached<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // Taken out while it is polled: work that panics must not be polled again.
        let Some(mut work) = self.work.take() else {
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<F> Drop for Detached<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn drop(&mut self) {
        let (Some(rest), Ok(runtime)) = (self.work.take(), Handle::try_current()) else {
            return;
        };
        if self.tasks.len() < MOST {
            self.tasks.spawn_on(rest, &runtime);
        } else {
            tracing::warn!("too many clients have given up, a request is not finished");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::FutureExt as _;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn what_nobody_waits_for_is_done_all_the_same() {
        let tasks = TaskTracker::new();
        let (go_on, done) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let (wait, set) = (Arc::clone(&go_on), Arc::clone(&done));
        let work = async move {
            wait.notified().await;
            set.store(true, Ordering::SeqCst);
        };
        let mut detached = Box::pin(Detached::new(work, &tasks));
        assert!(detached.as_mut().now_or_never().is_none());
        assert!(tasks.is_empty(), "no task while somebody waits");
        drop(detached);
        go_on.notify_one();
        tasks.close();
        tasks.wait().await;
        assert!(done.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn work_that_has_ended_leaves_nothing_behind() {
        let tasks = TaskTracker::new();
        assert_eq!(Detached::new(async { 7 }, &tasks).await, 7);
        let panics = Detached::new(async { panic!("in a test") }, &tasks);
        assert!(AssertUnwindSafe(panics).catch_unwind().await.is_err());
        assert!(tasks.is_empty());
    }
}
