use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn payload(fields: &Value) -> String {
    let mut payload = json!({
        "type": "ToolWebHookPayload", "status": "Running", "callId": "c", "agentId": "a",
        "orgId": "o", "callAdditionalData": {}, "agentAdditionalData": {},
    });
    let (Some(payload_fields), Some(fields)) = (payload.as_object_mut(), fields.as_object()) else {
        panic!("fields must be an object");
    };
    for (key, value) in fields {
        if value == "(absent)" {
            payload_fields.remove(key);
        } else {
            payload_fields.insert(key.clone(), value.clone());
        }
    }
    payload.to_string()
}

fn parse(fields: &Value) -> Result<CallEvent, ReadError> {
    Dasha.parse(&payload(fields))
}

fn asked(name: &str) -> CallEvent {
    parse(&json!({ "type": name })).unwrap()
}

#[test]
fn the_older_documents_name_for_the_type_is_read_where_there_is_no_other() {
    for (name, kind) in [
        ("call.completed", Kind::COMPLETED),
        ("call.failed", Kind::FAILED),
        ("agent.updated", Kind::UNKNOWN),
    ] {
        let fields = json!({ "type": "(absent)", "status": "(absent)", "eventType": name });
        let event = parse(&fields).unwrap();
        assert_eq!((event.kind(), &*event.platform_type), (kind, name));
    }
    let both = json!({ "type": "StartWebHookPayload", "eventType": "call.completed" });
    assert_eq!(parse(&both).unwrap().kind(), Kind::START);
}

#[test]
fn every_type_has_its_kind() {
    for (name, kind) in [
        ("StartWebHookPayload", Kind::START),
        ("CompletedWebHookPayload", Kind::COMPLETED),
        ("FailedWebHookPayload", Kind::FAILED),
        ("CallDeadLineWebHookPayload", Kind::DEADLINE),
        ("TransferWebHookPayload", Kind::TRANSFER),
        ("ToolWebHookPayload", Kind::TOOL),
        ("UnknownWebHookPayload", Kind::UNKNOWN),
        ("BrandNewWebHookPayload", Kind::UNKNOWN),
    ] {
        let event = parse(&json!({ "type": name, "toolName": "t" })).unwrap();
        assert_eq!(event.kind(), kind, "{name}");
        assert_eq!(event.platform_type, name);
    }
}

#[test]
fn the_status_tells_a_missing_type() {
    for (status, more, kind) in [
        ("Queued", json!({}), Kind::START),
        ("Completed", json!({}), Kind::COMPLETED),
        ("Failed", json!({}), Kind::FAILED),
        ("Canceled", json!({}), Kind::DEADLINE),
        ("Running", json!({ "toolName": "t" }), Kind::TOOL),
        ("Running", json!({ "transcription": [] }), Kind::TRANSFER),
        ("Running", json!({}), Kind::UNKNOWN),
        ("Pending", json!({}), Kind::UNKNOWN),
    ] {
        let mut fields = more;
        fields["status"] = json!(status);
        fields["type"] = json!("(absent)");
        assert_eq!(parse(&fields).unwrap().kind(), kind, "{status}");
    }
}

#[test]
fn args_stands_in_for_arguments() {
    for fields in [
        json!({ "toolName": "t", "args": { "x": 1 } }),
        json!({ "toolName": "t", "arguments": { "x": 1 }, "args": { "y": 2 } }),
    ] {
        let event = parse(&fields).unwrap();
        let Matter::Question(Question::Tool { arguments, .. }) = event.matter else {
            panic!("a tool call");
        };
        assert_eq!(arguments.get(), r#"{"x":1}"#);
    }
}

#[test]
fn the_field_at_fault_is_named() {
    for (fields, field) in [
        (json!({ "type": 7 }), "type"),
        (json!({ "callId": 7, "toolName": "t" }), "callId"),
        (json!({ "callId": "(absent)", "toolName": "t" }), "callId"),
        (json!({ "agentId": "", "toolName": "t" }), "agentId"),
        (json!({}), "toolName"),
        (json!({ "toolName": "drop table" }), "toolName"),
        (json!({ "toolName": "t", "arguments": [1] }), "arguments"),
        (json!({ "toolName": "t", "args": "x" }), "args"),
        (
            json!({ "toolName": "t", "callAdditionalData": [] }),
            "callAdditionalData",
        ),
        (
            json!({ "toolName": "t", "sip": { "fromUser": 1 } }),
            "sip.fromUser",
        ),
        (
            json!({ "toolName": "t", "sip": { "diversion": "x" } }),
            "sip.diversion",
        ),
        (
            json!({ "type": "StartWebHookPayload", "originalAgentConfig": 1 }),
            "originalAgentConfig",
        ),
        (
            json!({ "type": "TransferWebHookPayload", "transcription": [{}, { "text": 1 }] }),
            "transcription[1].text",
        ),
        (
            json!({ "type": "TransferWebHookPayload", "transcription": {} }),
            "transcription",
        ),
        (json!({ "type": "(absent)", "status": "(absent)" }), "type"),
        (
            json!({ "toolName": "t", "orgId": "x".repeat(300) }),
            "orgId",
        ),
    ] {
        let named = match parse(&fields) {
            Err(ReadError::MissingField { field } | ReadError::InvalidField { field, .. }) => field,
            other => panic!("{fields}: {other:?}"),
        };
        assert_eq!(named, field, "{fields}");
    }
}

#[test]
fn text_that_is_no_json_object_is_refused() {
    for text in [
        "",
        "{",
        "nonsense",
        "{\"type\":}",
        "{} {}",
        "[1",
        "{\"type\":\"x\" \"y\":1}",
    ] {
        assert!(
            matches!(Dasha.parse(text), Err(ReadError::NotJson(_))),
            "{text:?}"
        );
    }
    for text in ["[]", "7", "\"x\"", "null"] {
        assert!(
            matches!(Dasha.parse(text), Err(ReadError::InvalidField { .. })),
            "{text:?}"
        );
    }
}

#[test]
fn a_replacing_agent_config_must_be_whole() {
    let accept = |config: &str| {
        let config = RawValue::from_string(config.to_owned()).unwrap();
        Dasha.accept(&asked("StartWebHookPayload"), Some(&config), None)
    };
    let whole = r#"{"primaryLanguage":"en-US","ttsConfig":{},"llmConfig":{}}"#;
    let reply = accept(whole).unwrap();
    assert_eq!(
        reply.get(),
        format!(r#"{{"accept":true,"overrideAgentConfig":{whole}}}"#)
    );
    for partial in [
        "[]",
        "7",
        "{}",
        r#"{"primaryLanguage":"en-US","llmConfig":{}}"#,
    ] {
        assert!(accept(partial).is_err(), "{partial} was taken");
    }
}

#[test]
fn options_cannot_change_where_a_call_goes() {
    let target = Target {
        destination: "+14155550100".to_owned().try_into().unwrap(),
        options: Some(
            RawValue::from_string(
                r#"{"type":"cold","endpointDestination":"+1","description":"d"}"#.to_owned(),
            )
            .unwrap(),
        ),
    };
    let asked = asked("TransferWebHookPayload");
    let reply = Dasha.transfer(&asked, Mode::Warm, &target).unwrap();
    let reply: Value = serde_json::from_str(reply.get()).unwrap();
    let wanted =
        json!({ "type": "warm", "endpointDestination": "+14155550100", "description": "d" });
    assert_eq!(reply, wanted);
}

#[test]
fn options_are_sent_as_they_were_written() {
    let options = r#"{"delay":1.50,"id":123456789012345678901}"#;
    let target = Target {
        destination: "+14155550100".to_owned().try_into().unwrap(),
        options: Some(RawValue::from_string(options.to_owned()).unwrap()),
    };
    let asked = asked("TransferWebHookPayload");
    let reply = Dasha.transfer(&asked, Mode::Cold, &target).unwrap();
    assert_eq!(
        reply.get(),
        format!(
            r#"{{"type":"cold","endpointDestination":"+14155550100",{}"#,
            &options[1..]
        )
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _ = Dasha.parse(&text);
    }

    #[test]
    fn no_value_in_any_field_makes_the_parser_panic(
        field in prop::sample::select(vec![
            "type", "status", "callId", "agentId", "orgId", "endpoint", "sip", "toolName",
            "arguments", "args", "transcription", "transferReason", "originalAgentConfig",
        ]),
        value in prop::sample::select(vec![
            json!(null), json!(true), json!(-1.5e300), json!("x"), json!([]), json!({}),
            json!([[[[]]]]), json!({ "a": { "b": null } }), json!("\u{0}\u{10FFFF}"),
        ]),
    ) {
        let _ = parse(&json!({ field: value }));
    }
}
