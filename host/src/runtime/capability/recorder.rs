//! The seam between a guest and the world: whatever a guest learns from the host
//! during a call, it learns through [`Recorder`].
//!
//! Off (the ordinary case) it costs one comparison. Recording, it keeps every
//! question with its answer; replaying, it answers from what was kept and touches
//! neither clock, store nor network, so that a call of the past can be run again,
//! step by step. Random numbers need no tape: they follow from the call's
//! [`Seed`](crate::domain::seed::Seed). What the call began with (event, settings,
//! payload) is the caller's to keep.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Where a guest asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Import {
    WallClock,
    MonotonicClock,
    Remaining,
    KeyValue,
    Http,
}

/// One question and its answer, each as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    pub import: Import,
    pub question: String,
    pub answer: String,
}

/// What stands between one call's guest and the host. Clones share the tape.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Mode);

#[derive(Debug, Clone, Default)]
enum Mode {
    #[default]
    Off,
    Recording(Arc<Mutex<Vec<Exchange>>>),
    Replaying(Arc<Mutex<Replay>>),
}

#[derive(Debug, Default)]
struct Replay {
    left: VecDeque<Exchange>,
    diverged: Option<Diverged>,
}

/// A replayed guest asked something else than the recorded one did.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the call differs from its recording: it asked {asked:?} where {recorded} was recorded")]
pub struct Diverged {
    pub asked: Import,
    pub recorded: String,
}

impl Recorder {
    /// Nothing is kept.
    pub fn off() -> Self {
        Self::default()
    }

    /// Keeps everything; see [`Recorder::tape`].
    pub fn recording() -> Self {
        Self(Mode::Recording(Arc::default()))
    }

    /// Answers from a tape.
    pub fn replaying(tape: Vec<Exchange>) -> Self {
        let replay = Replay {
            left: tape.into(),
            diverged: None,
        };
        Self(Mode::Replaying(Arc::new(Mutex::new(replay))))
    }

    /// What was kept so far, or is left to be replayed.
    pub fn tape(&self) -> Vec<Exchange> {
        match &self.0 {
            Mode::Off => Vec::new(),
            Mode::Recording(tape) => tape.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Mode::Replaying(tape) => {
                let replay = tape.lock().unwrap_or_else(PoisonError::into_inner);
                replay.left.iter().cloned().collect()
            }
        }
    }

    /// Where a replay first went another way than its recording, if it did. Not
    /// every import can fail, so whoever replays looks here at the end.
    pub fn diverged(&self) -> Option<Diverged> {
        match &self.0 {
            Mode::Off | Mode::Recording(_) => None,
            Mode::Replaying(replay) => {
                let replay = replay.lock().unwrap_or_else(PoisonError::into_inner);
                replay.diverged.clone()
            }
        }
    }

    /// Whether answers are neither kept nor taken from a tape. Who would have to
    /// hold a whole stream in memory to record it asks this first.
    pub fn is_off(&self) -> bool {
        matches!(self.0, Mode::Off)
    }

    /// The answer to a question that the host knows at once.
    pub(super) fn ask<Q, A>(
        &self,
        import: Import,
        question: &Q,
        live: impl FnOnce() -> A,
    ) -> Result<A, Diverged>
    where
        Q: Serialize,
        A: Serialize + DeserializeOwned,
    {
        if let Some(answer) = self.recorded(import, question)? {
            return Ok(answer);
        }
        let answer = live();
        self.keep(import, question, &answer);
        Ok(answer)
    }

    /// The answer to a question that the host has to wait for.
    pub(super) async fn wait<Q, A>(
        &self,
        import: Import,
        question: &Q,
        live: impl Future<Output = A> + Send,
    ) -> Result<A, Diverged>
    where
        Q: Serialize + Sync,
        A: Serialize + DeserializeOwned + Send,
    {
        if let Some(answer) = self.recorded(import, question)? {
            return Ok(answer);
        }
        let answer = live.await;
        self.keep(import, question, &answer);
        Ok(answer)
    }

    fn keep(&self, import: Import, question: &impl Serialize, answer: &impl Serialize) {
        if let Mode::Recording(tape) = &self.0 {
            let exchange = Exchange {
                import,
                question: json(question),
                answer: json(answer),
            };
            tape.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(exchange);
        }
    }

    fn recorded<A: DeserializeOwned>(
        &self,
        import: Import,
        question: &impl Serialize,
    ) -> Result<Option<A>, Diverged> {
        let Mode::Replaying(replay) = &self.0 else {
            return Ok(None);
        };
        let mut replay = replay.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match replay.left.pop_front() {
            Some(next) => next.answer_to(import, &json(question)),
            None => Err(Diverged {
                asked: import,
                recorded: "nothing more".to_owned(),
            }),
        };
        if let (Err(diverged), None) = (&answer, &replay.diverged) {
            replay.diverged = Some(diverged.clone());
        }
        answer.map(Some)
    }
}

impl Exchange {
    fn answer_to<A: DeserializeOwned>(self, import: Import, question: &str) -> Result<A, Diverged> {
        let diverged = |recorded: String| Diverged {
            asked: import,
            recorded,
        };
        if self.import != import || self.question != question {
            return Err(diverged(format!("{:?}", self.import)));
        }
        serde_json::from_str(&self.answer)
            .map_err(|_| diverged("an answer of another form".to_owned()))
    }
}

/// None of the types that go through here can fail to be written.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_gives_what_was_recorded_and_asks_nobody() {
        let recorder = Recorder::recording();
        let first = recorder.ask(Import::WallClock, &(), || 7_u64).unwrap();
        let second = recorder.ask(Import::Remaining, &(), || 8_u64).unwrap();
        let replay = Recorder::replaying(recorder.tape());
        let never = || -> u64 { panic!("the host was asked") };
        assert_eq!(replay.ask(Import::WallClock, &(), never).unwrap(), first);
        assert_eq!(replay.ask(Import::Remaining, &(), never).unwrap(), second);
        assert!(replay.tape().is_empty());
    }

    #[test]
    fn a_replay_that_goes_another_way_is_noticed() {
        let recorder = Recorder::recording();
        recorder.ask(Import::WallClock, &"a", || 7_u64).unwrap();
        for question in ["b", "a"] {
            let replay = Recorder::replaying(recorder.tape());
            let import = if question == "a" {
                Import::Remaining
            } else {
                Import::WallClock
            };
            let refused = replay.ask(import, &question, || 0_u64).unwrap_err();
            assert_eq!(replay.diverged(), Some(refused));
        }
        let replay = Recorder::replaying(Vec::new());
        assert!(replay.ask(Import::WallClock, &"a", || 0_u64).is_err());
    }
}
