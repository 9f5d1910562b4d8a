//! Payloads of a platform, and the replies to it: whatever comes is given to every
//! dialect.
//!
//! What holds for all of them is here; what only one promises is in a file named like it. [`replies`] is also asked by `answers`.

mod dasha;
pub(crate) mod replies;

use bytes::Bytes;
use hookswitch::domain::Json;
use hookswitch::domain::event::{CallEvent, Kind, Matter, Question};
use hookswitch::domain::id::EventId;
use hookswitch::ingest::{self, Bodies, Dialect};
use hookswitch::json;
use uuid::Uuid;

use crate::read_error;

/// Longest id, name or state, in bytes, as the dialects promise it to the store.
const MAX_WORD_BYTES: usize = 256;

/// Checks what Dasha's dialect makes of a body: the one whose payloads can be written
/// back.
pub fn check_dasha(data: &[u8]) {
    check(ingest::DASHA, data);
}

/// Checks what every dialect makes of a body.
pub fn check_all(data: &[u8]) {
    for dialect in ingest::DIALECTS {
        check(*dialect, data);
    }
}

/// Checks what a dialect makes of a body.
fn check(dialect: &dyn Dialect, data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let parts = match ingest::bodies(dialect, body.clone()) {
        Ok(Bodies::One(body)) => vec![body],
        Ok(Bodies::Several(split)) => split.payloads,
        Err(error @ json::ReadError::NotUtf8 { .. }) => return not_text(data, &error),
        // Parsing says it better.
        Err(_) => vec![body],
    };
    for part in parts {
        parse(dialect, json::text(&part).expect("it was text"));
    }
}

fn parse(dialect: &dyn Dialect, text: &str) {
    match dialect.parse(text) {
        Err(error) => read_error::check(text, "", &error),
        Ok(event) => {
            sound(dialect, text, &event);
            tolerant(dialect, text, &event);
            if let Some(payload) = rendered(dialect, &event) {
                let again = dialect.parse(&payload);
                let again = again.unwrap_or_else(|error| panic!("{payload}: {error}"));
                assert_eq!(shown(&again), shown(&event), "read back from {payload}");
            }
            replies::to(dialect, &event);
        }
    }
}

fn not_text(data: &[u8], error: &json::ReadError) {
    let json::ReadError::NotUtf8 { offset } = *error else {
        panic!("bytes that are no text: {error}");
    };
    assert!(std::str::from_utf8(&data[..offset]).is_ok());
    assert!(std::str::from_utf8(data).is_err());
}

/// What `call`, `store` and plugins rely on.
fn sound(dialect: &dyn Dialect, text: &str, event: &CallEvent) {
    let CallEvent {
        call,
        matter,
        platform_type,
    } = event;
    assert_eq!(call.platform, dialect.name());
    for word in [
        &call.org_id,
        &call.agent_id,
        &call.call_id,
        &call.status,
        platform_type,
    ] {
        assert!(word.len() <= MAX_WORD_BYTES, "{word:?} is long");
    }
    assert!(!platform_type.is_empty(), "an event has a type");

    let kind = event.kind();
    assert!(Kind::parse(kind.as_str()).is_ok(), "{kind} is a kind");
    assert_eq!(kind.is_question(), matches!(matter, Matter::Question(_)));
    object(&call.call_data);
    object(&call.agent_data);
    match matter {
        Matter::Question(Question::Start { agent_config }) => {
            agent_config.iter().for_each(object);
        }
        Matter::Question(Question::Tool {
            name, arguments, ..
        }) => {
            assert!(!name.is_empty() && name.len() <= MAX_WORD_BYTES, "{name:?}");
            object(arguments);
        }
        Matter::Question(Question::Transfer { .. }) | Matter::Notice(_) => {}
    }
    if dialect.name() == "dasha" {
        dasha::sound(text, event);
    }
}

/// What plugins are told is one.
fn object(part: &Json) {
    let part = part.get();
    assert!(part.starts_with('{') && part.ends_with('}'), "{part}");
}

/// Fields that nobody knows and white space change nothing.
fn tolerant(dialect: &dyn Dialect, text: &str, event: &CallEvent) {
    let (before, fields) = text.split_once('{').expect("a payload is an object");
    let comma = if fields.trim_start().starts_with('}') {
        ""
    } else {
        ","
    };
    let more = format!("\n{before}{{\"\\u2603 nobody knows\":[{{}}]{comma}\t{fields} ");
    let again = dialect.parse(&more);
    let again = again.unwrap_or_else(|error| panic!("{more}: {error}"));
    assert_eq!(shown(&again), shown(event), "with a field more: {more}");
}

/// A payload that says the same, where we know how the platform writes it.
fn rendered(dialect: &dyn Dialect, event: &CallEvent) -> Option<String> {
    match dialect.name() {
        "dasha" => Some(dasha::payload(event)),
        _ => None,
    }
}

/// Events have no equality, since raw JSON has none; their whole text has.
fn shown(event: &CallEvent) -> String {
    format!("{event:?}")
}

/// An id for acknowledging.
fn event_id() -> EventId {
    EventId::from(Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0001))
}
