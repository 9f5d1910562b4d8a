//! Lines that strangers can cause must not become an attack of their own: of each kind
//! of line only so many a minute are written, the rest are counted.
//!
//! A kind is a place in the code. Within a kind, each source, binding or other subject
//! has a share, so that whoever makes much noise does not hide the others.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, callsite};
use tracing_subscriber::layer::{Context, Layer};

const WINDOW: Duration = Duration::from_mins(1);
/// Lines of one kind about one subject in a window.
const PER_SUBJECT: u32 = 10;
/// Lines of one kind in a window.
const PER_KIND: u32 = 100;
/// How often it is told what was left out.
const TELL: Duration = Duration::from_secs(30);
/// Whom a line is about, where it has such a field. `line` is of the line below.
const SUBJECTS: [&str; 7] = [
    "source",
    "binding",
    "plugin",
    "endpoint",
    "organization",
    "token",
    "line",
];

/// Decides about every line of the process.
#[derive(Debug, Clone, Default)]
pub struct Sparing {
    kinds: Arc<Mutex<HashMap<callsite::Identifier, Kind>>>,
}

#[derive(Debug)]
struct Kind {
    message: String,
    since: Instant,
    written: u32,
    /// By hash. No more than [`PER_KIND`], because only what is written counts.
    subjects: HashMap<u64, u32>,
    left_out: u64,
}

impl Kind {
    fn new(message: String, since: Instant) -> Self {
        Self {
            message,
            since,
            written: 0,
            subjects: HashMap::new(),
            left_out: 0,
        }
    }

    fn admits(&mut self, subject: u64, now: Instant) -> bool {
        if now.duration_since(self.since) >= WINDOW {
            (self.since, self.written) = (now, 0);
            self.subjects.clear();
        }
        let of_subject = self.subjects.get(&subject).copied().unwrap_or(0);
        if self.written >= PER_KIND || of_subject >= PER_SUBJECT {
            self.left_out += 1;
            return false;
        }
        self.written += 1;
        self.subjects.insert(subject, of_subject + 1);
        true
    }
}

impl Sparing {
    fn admits(&self, event: &Event<'_>, now: Instant) -> bool {
        let metadata = event.metadata();
        // Who asks for more than the ordinary wants all of it.
        if *metadata.level() > Level::INFO {
            return true;
        }
        let mut subject = Subject::default();
        event.record(&mut subject);
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = kinds.entry(metadata.callsite()).or_insert_with(|| {
            let mut message = Message::default();
            event.record(&mut message);
            Kind::new(message.0, now)
        });
        kind.admits(subject.0.finish(), now)
    }

    /// Says now and then what was left out. Never ends.
    pub async fn tell_for_ever(self) {
        loop {
            tokio::time::sleep(TELL).await;
            self.tell();
        }
    }

    /// Says what was left out since the last time.
    pub fn tell(&self) {
        for (line, left_out) in self.take() {
            tracing::warn!(line, left_out, "more lines like this one were left out");
        }
    }

    fn take(&self) -> Vec<(String, u64)> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = kinds.values_mut().filter(|kind| kind.left_out > 0);
        left_out
            .map(|kind| (kind.message.clone(), std::mem::take(&mut kind.left_out)))
            .collect()
    }
}

impl<S: Subscriber> Layer<S> for Sparing {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.admits(event, Instant::now())
    }
}

/// A hash of the fields that say whom a line is about.
#[derive(Default)]
struct Subject(DefaultHasher);

impl fmt::Write for Subject {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl Visit for Subject {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if SUBJECTS.contains(&field.name()) {
            // Hashing does not fail.
            let _ = write!(self, "{value:?}");
        }
    }
}

/// The text of a line.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noisy_subject_leaves_room_for_others_up_to_the_kinds_own_limit() {
        let start = Instant::now();
        let mut kind = Kind::new(String::new(), start);
        let written = |kind: &mut Kind, subject, lines, now| {
            (0..lines).filter(|_| kind.admits(subject, now)).count()
        };
        assert_eq!(written(&mut kind, 1, 1_000, start), 10);
        assert_eq!(written(&mut kind, 2, 3, start), 3);
        assert_eq!(kind.left_out, 990);
        let others: usize = (3..1_000)
            .map(|subject| written(&mut kind, subject, 1, start))
            .sum();
        assert_eq!(others, 87);
        assert_eq!(kind.subjects.len(), 89);
        assert_eq!(written(&mut kind, 1, 1_000, start + WINDOW), 10);
    }

    #[test]
    fn what_was_left_out_is_counted_and_told_once() {
        use tracing_subscriber::layer::SubscriberExt as _;
        let sparing = Sparing::default();
        let registry = tracing_subscriber::registry().with(sparing.clone());
        tracing::subscriber::with_default(registry, || {
            for source in ["a", "b"] {
                for turn in 0..12 {
                    tracing::warn!(source, turn, "a line");
                }
            }
            for _ in 0..50 {
                tracing::debug!("another");
            }
        });
        assert_eq!(sparing.take(), [("a line".to_owned(), 4)]);
        assert!(sparing.take().is_empty());
    }
}
