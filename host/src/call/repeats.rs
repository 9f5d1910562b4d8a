//! Which requests of late are running or done: a repeat finds its first here.
//!
//! Memory of the process, and the last word on what runs, as a data folder has one
//! server. It forgets: two generations of entries, of which the older goes when the
//! younger is full or as old as the longest window, so nothing is swept and room is
//! bounded. What runs is never forgotten. Neighbour: `earlier.rs`, which goes to the
//! store for what is asked here.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::domain::id::EventId;
use crate::domain::repeat::Fingerprint;

/// Requests seldom meet in one shard.
const SHARDS: usize = 64;
/// Requests remembered for certain, however many come.
const REMEMBERED: usize = 1 << 19;
/// A generation is at least this old when it gives way, unless it is full.
const LEAST_AGE: Duration = Duration::from_mins(1);

type Digest = [u8; Fingerprint::BYTES];

/// One for the process. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Repeats {
    shards: Arc<[Mutex<Shard>]>,
}

#[derive(Debug)]
struct Shard {
    young: HashMap<Digest, Entry>,
    old: HashMap<Digest, Entry>,
    /// When the young generation began.
    since: Instant,
    /// How long entries have to be kept.
    longest: Duration,
    most: usize,
}

#[derive(Debug)]
enum Entry {
    Running(Arc<Notify>),
    Settled { event: EventId, at: Instant },
}

/// What is known of a request.
#[derive(Debug)]
pub(super) enum Entered {
    /// Nothing: it is the first.
    First(Place),
    /// The first is running; this tells when it has ended.
    Running(OwnedNotified),
    /// The first was this event.
    Settled(EventId),
}

impl Repeats {
    pub(super) fn new(now: Instant) -> Self {
        Self::of(now, SHARDS, REMEMBERED / SHARDS)
    }

    fn of(now: Instant, shards: usize, most: usize) -> Self {
        let shard = || Shard {
            young: HashMap::new(),
            old: HashMap::new(),
            since: now,
            longest: LEAST_AGE,
            most,
        };
        Self {
            shards: (0..shards).map(|_| Mutex::new(shard())).collect(),
        }
    }

    /// Asks for a request's first. If there is none, this one takes its place.
    pub(super) fn enter(
        &self,
        fingerprint: Fingerprint,
        known_for: Duration,
        now: Instant,
    ) -> Entered {
        let mut shard = self.shard(fingerprint);
        shard.grow_older(now, known_for);
        match shard.find(&fingerprint.digest) {
            Some(Entry::Running(ended)) => Entered::Running(Arc::clone(ended).notified_owned()),
            Some(&Entry::Settled { event, at })
                if now.saturating_duration_since(at) < known_for =>
            {
                Entered::Settled(event)
            }
            Some(Entry::Settled { .. }) | None => {
                Entered::First(self.place(&mut shard, fingerprint))
            }
        }
    }

    /// Takes the place of an event that is to be asked about once more; none if
    /// somebody else was faster.
    pub(super) fn reopen(&self, fingerprint: Fingerprint, event: EventId) -> Option<Place> {
        let mut shard = self.shard(fingerprint);
        match shard.find(&fingerprint.digest) {
            Some(Entry::Settled { event: first, .. }) if *first == event => {
                Some(self.place(&mut shard, fingerprint))
            }
            _ => None,
        }
    }

    /// Remembers for at least so long from now on, unless too much comes.
    pub(super) fn keep_for(&self, longest: Duration) {
        for shard in &*self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.longest = shard.longest.max(longest);
        }
    }

    /// Learns of an event of an earlier process.
    pub(super) fn restore(&self, fingerprint: Fingerprint, event: EventId, at: Instant) {
        let mut shard = self.shard(fingerprint);
        if shard.young.len() >= shard.most {
            shard.turn(at);
        }
        shard.put(fingerprint.digest, Entry::Settled { event, at });
    }

    fn place(&self, shard: &mut Shard, fingerprint: Fingerprint) -> Place {
        let ended = Arc::new(Notify::new());
        shard.put(fingerprint.digest, Entry::Running(Arc::clone(&ended)));
        Place {
            repeats: self.clone(),
            fingerprint,
            event: None,
            ended,
        }
    }

    fn shard(&self, fingerprint: Fingerprint) -> MutexGuard<'_, Shard> {
        let at = usize::from(fingerprint.digest[0]) % self.shards.len();
        self.shards[at]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn find(&self, digest: &Digest) -> Option<&Entry> {
        self.young.get(digest).or_else(|| self.old.get(digest))
    }

    /// What is put here is younger than what there was: it is found first.
    fn put(&mut self, digest: Digest, entry: Entry) {
        self.young.insert(digest, entry);
    }

    fn remove(&mut self, digest: &Digest) {
        self.young.remove(digest);
        self.old.remove(digest);
    }

    /// What is known for longer than a generation lives has to be in the store as well,
    /// so only the windows of same bodies lengthen it.
    fn grow_older(&mut self, now: Instant, known_for: Duration) {
        if known_for < Fingerprint::IDENTIFIED {
            self.longest = self.longest.max(known_for);
        }
        let age = now.saturating_duration_since(self.since);
        if age >= self.longest || self.young.len() >= self.most {
            self.turn(now);
        }
    }

    fn turn(&mut self, now: Instant) {
        let gone = mem::replace(&mut self.old, mem::take(&mut self.young));
        // Unless it has ended since: then what it came to is in the generation between.
        let running = |(digest, entry): &(Digest, Entry)| {
            matches!(entry, Entry::Running(_)) && !self.old.contains_key(digest)
        };
        self.young.extend(gone.into_iter().filter(running));
        self.since = now;
    }
}

/// The place of a first request while it runs. When it is given up, whoever waits is
/// told; repeats then find the event it stands for, or nothing and are firsts.
#[derive(Debug)]
pub(super) struct Place {
    repeats: Repeats,
    fingerprint: Fingerprint,
    event: Option<EventId>,
    ended: Arc<Notify>,
}

impl Place {
    /// The event is in the store: whatever becomes of this request, repeats are about
    /// that event.
    pub(super) fn stand_for(&mut self, event: EventId) {
        self.event = Some(event);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut shard = self.repeats.shard(self.fingerprint);
        match self.event {
            Some(event) => {
                let at = Instant::now();
                shard.put(self.fingerprint.digest, Entry::Settled { event, at });
            }
            None => shard.remove(&self.fingerprint.digest),
        }
        drop(shard);
        self.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::repeat::Basis;

    const WINDOW: Duration = Duration::from_mins(1);

    fn fingerprint(n: u8) -> Fingerprint {
        Fingerprint {
            basis: Basis::SameBody,
            digest: [n; Fingerprint::BYTES],
        }
    }

    fn event(n: u128) -> EventId {
        Uuid::from_u128(n).into()
    }

    fn first(repeats: &Repeats, n: u8, now: Instant) -> Place {
        match repeats.enter(fingerprint(n), WINDOW, now) {
            Entered::First(place) => place,
            other => panic!("{other:?}"),
        }
    }

    fn settle(repeats: &Repeats, n: u8, now: Instant) {
        first(repeats, n, now).stand_for(event(n.into()));
    }

    /// What a request finds, without taking its place.
    fn found(repeats: &Repeats, n: u8, now: Instant) -> Option<EventId> {
        match repeats.enter(fingerprint(n), WINDOW, now) {
            Entered::First(_) => None,
            Entered::Running(_) => panic!("{n} runs"),
            Entered::Settled(event) => Some(event),
        }
    }

    #[tokio::test]
    async fn a_repeat_waits_for_its_first_and_finds_its_event() {
        let now = Instant::now();
        let repeats = Repeats::new(now);
        let mut place = first(&repeats, 1, now);
        let Entered::Running(ended) = repeats.enter(fingerprint(1), WINDOW, now) else {
            panic!("the first is not running");
        };
        assert_eq!(found(&repeats, 2, now), None, "others do not wait");
        place.stand_for(event(1));
        drop(place);
        // Told although nobody was waiting yet at that moment.
        ended.await;
        assert_eq!(found(&repeats, 1, now), Some(event(1)));
    }

    #[tokio::test]
    async fn a_first_that_comes_to_nothing_leaves_its_place_to_the_next() {
        let now = Instant::now();
        let repeats = Repeats::new(now);
        let place = first(&repeats, 1, now);
        let Entered::Running(ended) = repeats.enter(fingerprint(1), WINDOW, now) else {
            panic!("the first is not running");
        };
        drop(place);
        ended.await;
        assert_eq!(found(&repeats, 1, now), None);
    }

    #[test]
    fn what_is_settled_is_known_for_its_window() {
        let now = Instant::now();
        let repeats = Repeats::new(now);
        settle(&repeats, 1, now);
        assert_eq!(found(&repeats, 1, now + WINDOW / 2), Some(event(1)));
        assert_eq!(found(&repeats, 1, now + WINDOW * 2), None);
    }

    #[test]
    fn an_event_is_reopened_once() {
        let now = Instant::now();
        let repeats = Repeats::new(now);
        settle(&repeats, 1, now);
        assert!(repeats.reopen(fingerprint(1), event(2)).is_none());
        let place = repeats.reopen(fingerprint(1), event(1)).unwrap();
        assert!(repeats.reopen(fingerprint(1), event(1)).is_none());
        drop(place);
        assert_eq!(found(&repeats, 1, now), None);
    }

    #[test]
    fn of_many_the_latest_are_remembered_and_no_more() {
        let now = Instant::now();
        let repeats = Repeats::of(now, 1, 10);
        for n in 0..100 {
            settle(&repeats, n, now);
            let shard = repeats.shard(fingerprint(0));
            assert!(shard.young.len() <= 10 && shard.old.len() <= 10);
        }
        for n in 90..100 {
            assert_eq!(found(&repeats, n, now), Some(event(n.into())), "{n}");
        }
        assert_eq!(found(&repeats, 0, now), None);
    }

    #[test]
    fn what_runs_is_not_forgotten() {
        let now = Instant::now();
        let repeats = Repeats::of(now, 1, 10);
        let mut running = first(&repeats, 200, now);
        for n in 0..100 {
            settle(&repeats, n, now);
        }
        let again = repeats.enter(fingerprint(200), WINDOW, now + WINDOW * 9);
        assert!(matches!(again, Entered::Running(_)), "{again:?}");
        running.stand_for(event(200));
        drop(running);
        assert_eq!(found(&repeats, 200, now), Some(event(200)));
    }

    #[test]
    fn what_ran_for_longer_than_a_generation_is_known_by_its_outcome() {
        let now = Instant::now();
        let repeats = Repeats::of(now, 1, 10);
        let mut running = first(&repeats, 200, now);
        for n in 0..10 {
            settle(&repeats, n, now);
        }
        // Its place is in the old generation, its outcome comes into the young one.
        running.stand_for(event(200));
        drop(running);
        for n in 10..20 {
            assert_eq!(found(&repeats, 200, now), Some(event(200)), "{n}");
            settle(&repeats, n, now);
        }
    }

    #[test]
    fn what_is_old_makes_room_though_little_comes() {
        let now = Instant::now();
        let repeats = Repeats::of(now, 1, 10);
        settle(&repeats, 1, now);
        for later in 1..=3 {
            settle(&repeats, 10 + later, now + WINDOW * later.into());
        }
        assert!(
            repeats
                .shard(fingerprint(0))
                .find(&fingerprint(1).digest)
                .is_none()
        );
    }

    #[test]
    fn what_an_earlier_process_has_settled_is_known() {
        let now = Instant::now();
        let repeats = Repeats::of(now, 1, 10);
        for n in 0..30 {
            repeats.restore(fingerprint(n), event(n.into()), now);
        }
        assert_eq!(found(&repeats, 29, now), Some(event(29)));
        assert_eq!(found(&repeats, 20, now), Some(event(20)));
        assert_eq!(found(&repeats, 0, now), None);
    }
}
