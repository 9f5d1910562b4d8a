//! Verdicts as operators write them: what is read shows as it was read, and every
//! dialect sends it or says why not.

use hookswitch::domain::Json;
use hookswitch::domain::decision::{
    Answer, OnFailure, StartAnswer, ToolAnswer, TransferAnswer, Verdicts,
};
use hookswitch::domain::plugin::Handler;
use hookswitch::ingest::DIALECTS;
use hookswitch::json;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::dialect::replies;
use crate::read_error;

/// Reads the text as a source's verdicts and as a binding's.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(verdicts) = read::<Verdicts>(text) {
        for handler in Handler::ALL {
            sendable(text, &verdicts.for_handler(handler));
        }
    }
    if let Some(on_failure) = read::<OnFailure>(text) {
        let answers = Handler::ALL.map(|handler| on_failure.for_handler(handler));
        for answer in answers.iter().flatten() {
            sendable(text, answer);
        }
    }
}

/// What is shown reads as what it was read from.
fn read<T: Serialize + DeserializeOwned>(text: &str) -> Option<T> {
    match json::object::<T>(text) {
        Err(error) => {
            read_error::check(text, "", &error);
            None
        }
        Ok(verdicts) => {
            let shown = serde_json::to_string(&verdicts).expect("verdicts are JSON");
            let again: T = json::object(&shown).unwrap_or_else(|error| panic!("{shown}: {error}"));
            let again = serde_json::to_string(&again).expect("verdicts are JSON");
            assert_eq!(again, shown);
            Some(verdicts)
        }
    }
}

fn sendable(text: &str, answer: &Answer) {
    for part in passed_through(answer) {
        assert!(text.contains(part.get()), "{part} was written otherwise");
    }
    for dialect in DIALECTS {
        if let Some(asked) = replies::question(*dialect, answer) {
            replies::check(*dialect, &asked, answer);
        }
    }
}

/// The parts that mean nothing to us and go to the platform as they were written.
fn passed_through(answer: &Answer) -> Vec<&Json> {
    match answer {
        Answer::Start(StartAnswer::Accept {
            agent_config,
            additional_data,
        }) => agent_config.iter().chain(additional_data).collect(),
        Answer::Transfer(TransferAnswer::Cold { target } | TransferAnswer::Warm { target }) => {
            target.options.iter().collect()
        }
        Answer::Tool(ToolAnswer::Answer { result }) => vec![result],
        _ => Vec::new(),
    }
}
