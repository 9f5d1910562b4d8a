//! The queue in front of the pool of sandboxes, fair between organizations.
//!
//! An organization never holds more than its share, so that one customer's flood of
//! slow calls leaves room for others; and when sandboxes are short, the
//! organizations that wait take turns, however many calls each of them has waiting.
//! Waiting costs a call its own time only: it gives up at its deadline.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::domain::id::OrganizationId;

/// Gives out sandboxes.
#[derive(Debug)]
pub(super) struct Admission {
    queue: Arc<Mutex<Queue>>,
}

/// The right to one sandbox; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Admitted {
    queue: Arc<Mutex<Queue>>,
    organization: OrganizationId,
}

/// Why a call is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The organization has as many calls waiting as it may.
    QueueFull,
    /// No sandbox became free before the deadline.
    TooLate,
}

#[derive(Debug)]
struct Queue {
    free: u32,
    /// Most sandboxes of one organization.
    share: u32,
    /// Most waiting calls of one organization.
    waiting: usize,
    tenants: HashMap<OrganizationId, Tenant>,
    /// Organizations with calls waiting and room in their share, whose turn it is
    /// first at the front.
    turns: VecDeque<OrganizationId>,
}

#[derive(Debug, Default)]
struct Tenant {
    running: u32,
    waiting: VecDeque<oneshot::Sender<Admitted>>,
    /// Whether it stands in `turns`.
    in_turn: bool,
}

impl Admission {
    pub(super) fn new(sandboxes: u32, share: u32, waiting: usize) -> Self {
        let queue = Queue {
            free: sandboxes,
            share: share.clamp(1, sandboxes.max(1)),
            waiting,
            tenants: HashMap::new(),
            turns: VecDeque::new(),
        };
        Self {
            queue: Arc::new(Mutex::new(queue)),
        }
    }

    /// Waits for a sandbox, at most until the deadline.
    pub(super) async fn admit(
        &self,
        organization: OrganizationId,
        deadline: Instant,
    ) -> Result<Admitted, Refused> {
        let (sender, turn) = oneshot::channel();
        let unclaimed = {
            let mut queue = lock(&self.queue);
            if queue.take_free(organization) {
                return Ok(Admitted {
                    queue: Arc::clone(&self.queue),
                    organization,
                });
            }
            queue.wait(organization, sender)?;
            grant(&self.queue, &mut queue)
        };
        drop(unclaimed);
        match timeout_at(deadline, turn).await {
            Ok(Ok(admitted)) => Ok(admitted),
            Ok(Err(_)) | Err(_) => Err(Refused::TooLate),
        }
    }
}

fn lock(queue: &Arc<Mutex<Queue>>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands free sandboxes to those whose turn it is. What is returned was meant for
/// calls that gave up just then; it is to be dropped once the queue is unlocked,
/// which gives it to the next.
fn grant(shared: &Arc<Mutex<Queue>>, queue: &mut Queue) -> Vec<Admitted> {
    let mut unclaimed = Vec::new();
    while queue.free > 0
        && let Some(organization) = queue.turns.pop_front()
    {
        let Some(tenant) = queue.tenants.get_mut(&organization) else {
            continue;
        };
        tenant.in_turn = false;
        // Those who gave up at their deadline have closed their side.
        let next = loop {
            match tenant.waiting.pop_front() {
                Some(waiting) if waiting.is_closed() => {}
                other => break other,
            }
        };
        if let Some(waiting) = next {
            tenant.running += 1;
            queue.free -= 1;
            let admitted = Admitted {
                queue: Arc::clone(shared),
                organization,
            };
            if let Err(admitted) = waiting.send(admitted) {
                unclaimed.push(admitted);
            }
        }
        queue.join(organization);
        queue.forget_idle(organization);
    }
    unclaimed
}

impl Queue {
    /// Takes a sandbox if nobody waits for one and the organization may have it: the
    /// ordinary case, which needs no line.
    fn take_free(&mut self, organization: OrganizationId) -> bool {
        if self.free == 0 || !self.turns.is_empty() {
            return false;
        }
        let tenant = self.tenants.entry(organization).or_default();
        // With a share that is used up others of it may wait without standing in turn.
        if tenant.running >= self.share || !tenant.waiting.is_empty() {
            return false;
        }
        tenant.running += 1;
        self.free -= 1;
        true
    }

    fn wait(
        &mut self,
        organization: OrganizationId,
        sender: oneshot::Sender<Admitted>,
    ) -> Result<(), Refused> {
        let tenant = self.tenants.entry(organization).or_default();
        if tenant.waiting.len() >= self.waiting {
            tenant.waiting.retain(|waiting| !waiting.is_closed());
        }
        if tenant.waiting.len() >= self.waiting {
            return Err(Refused::QueueFull);
        }
        tenant.waiting.push_back(sender);
        self.join(organization);
        Ok(())
    }

    /// Puts an organization at the end of the line, if it waits and may run more.
    fn join(&mut self, organization: OrganizationId) {
        let share = self.share;
        let Some(tenant) = self.tenants.get_mut(&organization) else {
            return;
        };
        if !tenant.in_turn && !tenant.waiting.is_empty() && tenant.running < share {
            tenant.in_turn = true;
            self.turns.push_back(organization);
        }
    }

    fn give_back(&mut self, organization: OrganizationId) {
        self.free += 1;
        if let Some(tenant) = self.tenants.get_mut(&organization) {
            tenant.running -= 1;
        }
        self.join(organization);
        self.forget_idle(organization);
    }

    fn forget_idle(&mut self, organization: OrganizationId) {
        let idle =
            |tenant: &Tenant| tenant.running == 0 && tenant.waiting.is_empty() && !tenant.in_turn;
        if self.tenants.get(&organization).is_some_and(idle) {
            self.tenants.remove(&organization);
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let unclaimed = {
            let mut queue = lock(&self.queue);
            queue.give_back(self.organization);
            grant(&self.queue, &mut queue)
        };
        drop(unclaimed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    fn organization(n: u128) -> OrganizationId {
        OrganizationId::from(Uuid::from_u128(n))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    fn late() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    #[tokio::test]
    async fn a_flood_stays_within_its_share() {
        let admission = Admission::new(4, 3, 100);
        let mut flood = Vec::new();
        for _ in 0..3 {
            flood.push(admission.admit(organization(1), soon()).await.unwrap());
        }
        let fourth = admission.admit(organization(1), soon()).await;
        assert_eq!(fourth.unwrap_err(), Refused::TooLate);
        assert!(admission.admit(organization(2), soon()).await.is_ok());
    }

    #[tokio::test]
    async fn those_who_wait_take_turns() {
        let admission = Arc::new(Admission::new(1, 1, 100));
        let held = admission.admit(organization(9), soon()).await.unwrap();
        let (order, mut came) = tokio::sync::mpsc::unbounded_channel();
        // Three calls of one organization wait before the one of another.
        for n in [1, 1, 1, 2] {
            let (admission, order) = (Arc::clone(&admission), order.clone());
            tokio::spawn(async move {
                let admitted = admission.admit(organization(n), late()).await.unwrap();
                order.send(n).unwrap();
                drop(admitted);
            });
            tokio::task::yield_now().await;
        }
        drop(held);
        let mut got = Vec::new();
        for _ in 0..4 {
            got.push(came.recv().await.unwrap());
        }
        assert_eq!(got, [1, 2, 1, 1]);
    }

    #[tokio::test]
    async fn who_gave_up_does_not_take_a_sandbox_along() {
        let admission = Admission::new(1, 1, 100);
        for _ in 0..50 {
            let held = admission.admit(organization(1), soon()).await.unwrap();
            let now = Instant::now() + Duration::from_millis(1);
            let (first, second) = tokio::join!(
                admission.admit(organization(1), now),
                admission.admit(organization(2), now),
            );
            assert!(first.is_err() && second.is_err());
            drop(held);
        }
        assert!(admission.admit(organization(3), soon()).await.is_ok());
        assert!(
            lock(&admission.queue).tenants.is_empty(),
            "nothing is kept of who is gone"
        );
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let admission = Arc::new(Admission::new(1, 1, 1));
        let _held = admission.admit(organization(1), soon()).await.unwrap();
        let waiting = Arc::clone(&admission);
        tokio::spawn(async move { waiting.admit(organization(1), late()).await });
        tokio::task::yield_now().await;
        let refused = admission.admit(organization(1), late()).await;
        assert_eq!(refused.unwrap_err(), Refused::QueueFull);
    }
}
