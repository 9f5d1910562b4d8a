//! Answers on their way to a platform.

use hookswitch::domain::decision::{
    Answer, Destination, Reason, StartAnswer, Target, ToolAnswer, TransferAnswer,
};
use hookswitch::domain::event::{CallEvent, Matter, Question};
use hookswitch::ingest::{self, Dialect, Reply, Sample, Topic};
use serde::de::IgnoredAny;

use super::{dasha, event_id};

/// Answers an event with what it said itself, as a plugin might.
pub(super) fn to(dialect: &dyn Dialect, event: &CallEvent) {
    if let Reply::Body(acknowledged) = dialect.acknowledge(event, event_id()) {
        is_json(acknowledged.get());
    }
    let Matter::Question(question) = &event.matter else {
        return;
    };
    for answer in answers(question, event) {
        check(dialect, event, &answer);
    }
}

fn answers(question: &Question, event: &CallEvent) -> Vec<Answer> {
    let call = &event.call;
    match question {
        Question::Start { agent_config } => {
            let accept = Answer::Start(StartAnswer::Accept {
                agent_config: agent_config.clone(),
                additional_data: Some(call.call_data.clone()),
            });
            let reason = Reason::try_from(call.status.clone());
            let reject = reason.map(|reason| Answer::Start(StartAnswer::Reject { reason }));
            [Some(accept), reject.ok()].into_iter().flatten().collect()
        }
        Question::Transfer { .. } => {
            let endpoint = call.endpoint.clone().unwrap_or_default();
            let Ok(destination) = Destination::try_from(endpoint) else {
                return Vec::new();
            };
            let options = Some(call.call_data.clone());
            let target = Target {
                destination,
                options,
            };
            vec![
                Answer::Transfer(TransferAnswer::Cold {
                    target: target.clone(),
                }),
                Answer::Transfer(TransferAnswer::Warm { target }),
            ]
        }
        Question::Tool { arguments, .. } => {
            let result = arguments.clone();
            vec![Answer::Tool(ToolAnswer::Answer { result })]
        }
    }
}

/// A made-up question that an answer is to; none if the platform has none of the sort.
pub(crate) fn question(dialect: &dyn Dialect, answer: &Answer) -> Option<CallEvent> {
    let topic = Topic::asking(answer.handler())?;
    let payload = dialect.sample(&Sample::about(topic))?;
    let event = dialect.parse(payload.get());
    Some(event.expect("a sample is a payload"))
}

/// What is rendered is JSON and says what was answered; what cannot be is explained.
pub(crate) fn check(dialect: &dyn Dialect, asked: &CallEvent, answer: &Answer) {
    let reply = match ingest::render(dialect, asked, answer) {
        Ok(reply) => reply,
        Err(invalid) => return assert!(!invalid.to_string().is_empty()),
    };
    let unavailable = matches!(
        answer,
        Answer::Start(StartAnswer::Unavailable {})
            | Answer::Transfer(TransferAnswer::Unavailable {})
            | Answer::Tool(ToolAnswer::Unavailable {})
    );
    match reply {
        None => assert!(matches!(answer, Answer::Event(_)), "{answer:?} has a reply"),
        Some(Reply::Unavailable) => assert!(unavailable, "{answer:?} is an answer"),
        Some(Reply::Body(body)) => {
            is_json(body.get());
            if dialect.name() == "dasha" {
                dasha::says(answer, body.get());
            }
        }
    }
}

fn is_json(text: &str) {
    assert!(
        serde_json::from_str::<IgnoredAny>(text).is_ok(),
        "{text} is not JSON"
    );
}
