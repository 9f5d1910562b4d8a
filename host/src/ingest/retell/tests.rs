use super::*;
use crate::ingest::{self, Inbound, Reply};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(
            "../../../../tests/fixtures/retell/",
            $name,
            ".json"
        ))
    };
}

fn parse(text: &str) -> CallEvent {
    Retell
        .parse(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn json(text: &str) -> Json {
    RawValue::from_string(text.to_owned()).unwrap()
}

#[test]
fn every_event_has_its_kind() {
    for (text, kind) in [
        (fixture!("call_inbound"), "call.start"),
        (fixture!("custom_function"), "tool.call"),
        (fixture!("call_started"), "call.started"),
        (fixture!("call_ended"), "call.completed"),
        (fixture!("call_analyzed"), "call.analyzed"),
        (fixture!("transfer_started"), "transfer.started"),
        (fixture!("chat_inbound"), "chat.inbound"),
        (r#"{"event":"brand_new"}"#, "unknown"),
    ] {
        assert_eq!(parse(text).kind().as_str(), kind, "{text}");
    }
}

#[test]
fn a_call_that_never_was_one_has_failed() {
    for (reason, kind) in [
        ("user_hangup", Kind::COMPLETED),
        ("call_transfer", Kind::COMPLETED),
        ("voicemail_reached", Kind::COMPLETED),
        ("dial_no_answer", Kind::FAILED),
        ("error_llm_websocket_open", Kind::FAILED),
        ("registered_call_timeout", Kind::FAILED),
    ] {
        let text = fixture!("call_ended").replace("user_hangup", reason);
        assert_eq!(parse(&text).kind(), kind, "{reason}");
    }
    let text = r#"{"event":"call_ended","call":{"call_id":"c","call_status":"not_connected"}}"#;
    assert_eq!(parse(text).kind(), Kind::FAILED);
}

#[test]
fn a_call_is_read_from_each_of_its_places() {
    let inbound = parse(fixture!("call_inbound")).call;
    assert_eq!((&*inbound.call_id, &*inbound.agent_id), ("", "agent_12345"));
    assert_eq!(inbound.endpoint.as_deref(), Some("+12137771234"));
    assert_eq!(
        inbound.sip.unwrap().to_user.as_deref(),
        Some("+12137771235")
    );
    let running = parse(fixture!("custom_function")).call;
    assert_eq!(running.call_id, "Jabr9TXYYJHfvl6Syypi88rdAHYHmcq6");
    assert!(running.call_data.get().contains("John Doe"));
    let outbound = fixture!("call_ended").replace("\"inbound\"", "\"outbound\"");
    assert_eq!(
        parse(&outbound).call.endpoint.as_deref(),
        Some("+12137771235")
    );
}

#[test]
fn the_field_at_fault_is_named() {
    for (text, field) in [
        ("{}", "event"),
        (r#"{"event":""}"#, "event"),
        (r#"{"name":"f","args":{}}"#, "event"),
        (r#"{"event":"call_inbound"}"#, "call_inbound"),
        (
            r#"{"event":"call_inbound","call_inbound":{"from_number":"+1"}}"#,
            "call_inbound.to_number",
        ),
        (r#"{"event":"call_ended"}"#, "call"),
        (r#"{"event":"call_ended","call":{}}"#, "call.call_id"),
        (r#"{"name":"f","args":[],"call":{"call_id":"c"}}"#, "args"),
        (r#"{"name":"f","args":{},"call":{}}"#, "call.call_id"),
        (r#"{"name":7,"args":{},"call":{"call_id":"c"}}"#, "name"),
    ] {
        let named = match Retell.parse(text) {
            Err(ReadError::MissingField { field } | ReadError::InvalidField { field, .. }) => field,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(named, field, "{text}");
    }
}

fn accepted(config: Option<&str>, data: Option<&str>) -> Result<String, InvalidAnswer> {
    let asked = parse(fixture!("call_inbound"));
    let answer = Answer::Start(StartAnswer::Accept {
        agent_config: config.map(json),
        additional_data: data.map(json),
    });
    match ingest::render(&Retell, &asked, &answer)? {
        Some(Reply::Body(body)) => Ok(body.get().to_owned()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_configuration_is_the_fields_of_the_reply_and_data_are_variables_of_text() {
    assert_eq!(accepted(None, None).unwrap(), r#"{"call_inbound":{}}"#);
    let config = r#"{"override_agent_id":"a","reject":true,"dynamic_variables":{"x":"1"}}"#;
    let data = r#"{"name":"Ann","n":1e400,"tags":["a"]}"#;
    assert_eq!(
        accepted(Some(config), Some(data)).unwrap(),
        r#"{"call_inbound":{"dynamic_variables":{"n":"1e400","name":"Ann","tags":"[\"a\"]","x":"1"},"override_agent_id":"a"}}"#
    );
    assert!(accepted(Some("[]"), None).is_err());
    assert!(accepted(None, Some("[]")).is_err());
}

#[test]
fn a_rejection_has_nothing_beside_it() {
    let reason = Reason::try_from("closed".to_owned()).unwrap();
    let reply = Retell
        .reject(&parse(fixture!("call_inbound")), &reason)
        .unwrap();
    assert_eq!(reply.get(), r#"{"call_inbound":{"reject":true}}"#);
}

#[test]
fn an_endpoints_reply_is_relayed_if_it_is_understood() {
    let (start, tool) = (fixture!("call_inbound"), fixture!("custom_function"));
    for (asked, reply, word) in [
        (start, r#"{"call_inbound":{}}"#, Some("accept")),
        (
            start,
            r#"{"call_inbound":{"override_agent_id":"a"}}"#,
            Some("accept"),
        ),
        (start, r#"{"call_inbound":{"reject":true}}"#, Some("reject")),
        (
            start,
            r#"{"call_inbound":{"reject":"true"}}"#,
            Some("accept"),
        ),
        (start, "{}", None),
        (start, r#"{"call_inbound":[]}"#, None),
        (start, r#"{"call_inbound":{"override_agent_id":""}}"#, None),
        (
            start,
            r#"{"call_inbound":{"dynamic_variables":{"n":1}}}"#,
            None,
        ),
        (tool, "\"25f and sunny\"", Some("answer")),
        (tool, "25f and sunny", None),
    ] {
        let relayed = ingest::relay(&Retell, &parse(asked), reply);
        let said = relayed.ok().map(|(answer, _)| answer.word());
        assert_eq!(said, word, "{reply}");
    }
}

#[test]
fn a_chat_goes_on_though_no_handler_is_for_it() {
    let chat = parse(fixture!("chat_inbound"));
    let Reply::Body(reply) = Retell.acknowledge(&chat, uuid::Uuid::from_u128(7).into()) else {
        panic!("no reply");
    };
    assert_eq!(reply.get(), r#"{"chat_inbound":{}}"#);
}

// RetellAI/retell-typescript-sdk tests/webhook-auth.test.ts, and the Python SDK's tests.
const BODY: &str = r#"{"event":"call_ended"}"#;
const KEY: &str = "test-api-key";
const MILLISECOND: i64 = 1_700_000_000_000;
const DIGEST: &str = "07024cabe7dd8f6d1c6e4a8324ca92c812e6ad4a7ee506c04f7e462e3321823e";

fn believed(key: &str, header: &str, body: &str, late_ms: i64) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert(SIGNATURE, header.parse().unwrap());
    let inbound = Inbound {
        headers,
        body: body.to_owned().into(),
        peer: [127, 0, 0, 1].into(),
    };
    let proof = format!(r#"{{"type":"platform","secrets":["{key}"]}}"#);
    let proof = serde_json::from_str(&proof).unwrap();
    let now = Timestamp::from_millisecond(MILLISECOND + late_ms).unwrap();
    proof::check(&Retell, &[proof], &inbound, now).is_ok()
}

#[test]
fn the_published_signature_is_believed_for_five_minutes() {
    let header = format!("v={MILLISECOND},d={DIGEST}");
    for (late_ms, fresh) in [
        (0, true),
        (300_000, true),
        (-300_000, true),
        (300_001, false),
        (-300_001, false),
    ] {
        assert_eq!(believed(KEY, &header, BODY, late_ms), fresh, "{late_ms}");
    }
    assert!(!believed("another-key", &header, BODY, 0));
    assert!(!believed(KEY, &header, r#"{"event": "call_ended"}"#, 0));
}

#[test]
fn what_the_platforms_own_tests_refuse_is_refused() {
    for header in [
        String::new(),
        format!("v={MILLISECOND}"),
        format!("d={DIGEST},v={MILLISECOND}"),
        format!("prefix-v={MILLISECOND},d={DIGEST}"),
        format!("v={MILLISECOND},d={DIGEST}-suffix"),
        format!("v={MILLISECOND},d=not-hex"),
        format!("v={MILLISECOND},d={}", &DIGEST[2..]),
        format!("v=999999999999999999999999,d={DIGEST}"),
        format!("v=-{MILLISECOND},d={DIGEST}"),
        format!("v=+{MILLISECOND},d={DIGEST}"),
        format!("v={MILLISECOND},d={DIGEST},extra=value"),
    ] {
        assert!(!believed(KEY, &header, BODY, 0), "{header}");
    }
}

#[test]
fn what_we_sign_is_what_is_published() {
    let mut headers = HeaderMap::new();
    let secret = Secret::try_from(KEY.to_owned()).unwrap();
    let now = Timestamp::from_millisecond(MILLISECOND).unwrap();
    Signature.prove(&secret, &mut headers, BODY.as_bytes(), now);
    assert_eq!(headers[SIGNATURE], format!("v={MILLISECOND},d={DIGEST}"));
}
