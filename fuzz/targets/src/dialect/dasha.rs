//! What only Dasha's dialect promises: the platform's own names, both ways.

use hookswitch::domain::decision::{Answer, StartAnswer, Target, TransferAnswer};
use hookswitch::domain::event::{CallEvent, Matter, Question, Sip, Utterance};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(rename = "type")]
    platform_type: &'a str,
    status: &'a str,
    call_id: &'a str,
    agent_id: &'a str,
    org_id: &'a str,
    endpoint: Option<&'a str>,
    call_additional_data: Option<&'a RawValue>,
    agent_additional_data: Option<&'a RawValue>,
    sip: Option<Value>,
    original_agent_config: Option<&'a RawValue>,
    transfer_reason: Option<&'a str>,
    transcription: Option<Vec<Value>>,
    tool_name: Option<&'a str>,
    arguments: Option<&'a RawValue>,
}

/// What only this dialect promises of an event: nothing that passes through is another,
/// and who is called is known.
pub(super) fn sound(text: &str, event: &CallEvent) {
    let call = &event.call;
    if event.kind().is_question() {
        assert!(!call.call_id.is_empty() && !call.agent_id.is_empty());
    }
    let mut parts = vec![&call.call_data, &call.agent_data];
    match &event.matter {
        Matter::Question(Question::Start { agent_config }) => parts.extend(agent_config),
        Matter::Question(Question::Tool {
            name, arguments, ..
        }) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            assert!(name.chars().all(plain), "{name:?}");
            parts.push(arguments);
        }
        Matter::Question(Question::Transfer { .. }) | Matter::Notice(_) => {}
    }
    for part in parts {
        let part = part.get();
        assert!(part == "{}" || text.contains(part), "{part} was changed");
    }
}

/// The payload that would have made this event.
pub(super) fn payload(event: &CallEvent) -> String {
    let call = &event.call;
    let mut payload = Payload {
        platform_type: &event.platform_type,
        status: &call.status,
        call_id: &call.call_id,
        agent_id: &call.agent_id,
        org_id: &call.org_id,
        endpoint: call.endpoint.as_deref(),
        call_additional_data: Some(&call.call_data),
        agent_additional_data: Some(&call.agent_data),
        sip: call.sip.as_ref().map(sip),
        ..Payload::default()
    };
    match &event.matter {
        Matter::Notice(_) => {}
        Matter::Question(Question::Start { agent_config }) => {
            payload.original_agent_config = agent_config.as_deref();
        }
        Matter::Question(Question::Transfer {
            reason,
            transcription,
        }) => {
            payload.transfer_reason = reason.as_deref();
            payload.transcription = Some(transcription.iter().map(utterance).collect());
        }
        Matter::Question(Question::Tool {
            id: _,
            name,
            arguments,
        }) => {
            payload.tool_name = Some(name);
            payload.arguments = Some(arguments);
        }
    }
    serde_json::to_string(&payload).expect("a payload is JSON")
}

fn sip(sip: &Sip) -> Value {
    json!({
        "fromUser": sip.from_user, "fromDomain": sip.from_domain,
        "toUser": sip.to_user, "toDomain": sip.to_domain,
        "diversion": sip.diversion,
    })
}

fn utterance(said: &Utterance) -> Value {
    json!({
        "speaker": said.speaker, "name": said.name, "text": said.text,
        "startTime": said.start_time, "endTime": said.end_time,
    })
}

/// A reply says what the answer says, whatever else a plugin put beside it.
pub(super) fn says(answer: &Answer, reply: &str) {
    let reply: Value = match serde_json::from_str(reply) {
        Ok(reply) => reply,
        // What only passes through may have numbers too large for a `Value`.
        Err(_) => return,
    };
    match answer {
        Answer::Start(StartAnswer::Accept { .. }) => assert_eq!(reply["accept"], true),
        Answer::Start(StartAnswer::Reject { reason }) => assert_eq!(
            reply,
            json!({ "accept": false, "reasonMessage": reason.as_str() })
        ),
        Answer::Transfer(TransferAnswer::Cold { target }) => transferred(&reply, "cold", target),
        Answer::Transfer(TransferAnswer::Warm { target }) => transferred(&reply, "warm", target),
        _ => {}
    }
}

fn transferred(reply: &Value, mode: &str, target: &Target) {
    assert_eq!(reply["type"], mode);
    assert_eq!(reply["endpointDestination"], target.destination.as_str());
    let Some(options) = &target.options else {
        return;
    };
    let Ok(options) = serde_json::from_str::<Map<String, Value>>(options.get()) else {
        return;
    };
    for (name, value) in options {
        let ours = name == "type" || name == "endpointDestination";
        assert!(ours || reply[&name] == value, "{name} was changed");
    }
}
