use serde_json::value::RawValue;

use super::*;
use crate::ingest::{self, Reply};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/fixtures/dsai/", $name, ".json"))
    };
}

fn parse(text: &str) -> CallEvent {
    Dsai.parse(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn initiated() -> CallEvent {
    parse(fixture!("call_initiated"))
}

fn json(text: &str) -> Json {
    RawValue::from_string(text.to_owned()).unwrap()
}

#[test]
fn every_type_has_its_kind() {
    for (text, kind) in [
        (fixture!("call_initiated"), "call.start"),
        (fixture!("call_started"), "call.started"),
        (fixture!("call_ended"), "call.completed"),
        (fixture!("interruption"), "call.interruption"),
        (fixture!("transcription"), "call.transcription"),
        (fixture!("dtmf_digit"), "call.dtmf"),
        (fixture!("error"), "call.error"),
        (
            r#"{"uuid":"u","type":"brand_new","timestamp":"t"}"#,
            "unknown",
        ),
    ] {
        assert_eq!(parse(text).kind().as_str(), kind, "{text}");
    }
}

#[test]
fn a_call_says_who_calls_whom() {
    let call = initiated().call;
    assert_eq!(call.call_id, "935652e3-7c59-4edc-b17f-9646a9c2a265");
    assert_eq!(call.endpoint.as_deref(), Some("2000"));
    assert_eq!(call.sip.unwrap().to_user.as_deref(), Some("5001"));
    assert!(call.call_data.get().contains("PJSIP/2000-00000013"));
}

#[test]
fn what_is_missing_is_named() {
    for (text, field) in [
        (r#"{"type":"call_started","timestamp":"t"}"#, "uuid"),
        (
            r#"{"uuid":"","type":"call_started","timestamp":"t"}"#,
            "uuid",
        ),
        (r#"{"uuid":"u","timestamp":"t"}"#, "type"),
        (r#"{"uuid":"u","type":"call_started"}"#, "timestamp"),
        (
            r#"{"uuid":"u","type":"call_started","timestamp":"t","payload":[]}"#,
            "payload",
        ),
        (
            r#"{"uuid":7,"type":"call_started","timestamp":"t"}"#,
            "uuid",
        ),
    ] {
        let named = match Dsai.parse(text) {
            Err(ReadError::MissingField { field } | ReadError::InvalidField { field, .. }) => field,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(named, field, "{text}");
    }
}

fn accepted(config: Option<&str>, data: Option<&str>) -> Result<String, InvalidAnswer> {
    let answer = Answer::Start(StartAnswer::Accept {
        agent_config: config.map(json),
        additional_data: data.map(json),
    });
    match ingest::render(&Dsai, &initiated(), &answer)? {
        Some(Reply::Body(body)) => Ok(body.get().to_owned()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_configuration_is_where_the_speech_goes() {
    assert_eq!(accepted(None, None).unwrap(), "{}");
    let config = r#"{"sts_url":"ws://sts:6030?uuid=1"}"#;
    assert_eq!(accepted(Some(config), None).unwrap(), config);
    let both = accepted(
        Some(config),
        Some(r#"{"tier":"gold","sts_url":"ws://other"}"#),
    );
    assert_eq!(
        both.unwrap(),
        r#"{"sts_url":"ws://sts:6030?uuid=1","tier":"gold"}"#
    );
    for wrong in [
        "{}",
        "[]",
        r#"{"sts_url":"http://sts"}"#,
        r#"{"sts_url":"ws://"}"#,
        r#"{"sts_url":7}"#,
    ] {
        assert!(accepted(Some(wrong), None).is_err(), "{wrong}");
    }
}

#[test]
fn the_source_says_where_speech_goes_if_the_plugin_does_not() {
    let mut asked = initiated();
    ingest::suppose(&mut asked, Some(&json(r#"{"sts_url":"wss://usual"}"#)));
    let reply = Dsai.accept(&asked, None, None).unwrap();
    assert_eq!(reply.get(), r#"{"sts_url":"wss://usual"}"#);
    let own = json(r#"{"sts_url":"wss://own"}"#);
    let reply = Dsai.accept(&asked, Some(&own), None).unwrap();
    assert_eq!(reply.get(), own.get());
}

#[test]
fn a_call_that_is_answered_cannot_be_rejected() {
    let reason = Reason::try_from("closed".to_owned()).unwrap();
    let answer = Answer::Start(StartAnswer::Reject { reason });
    let refused = ingest::render(&Dsai, &initiated(), &answer).unwrap_err();
    assert!(
        refused.to_string().contains("cannot be rejected"),
        "{refused}"
    );
}

#[test]
fn an_endpoints_reply_is_relayed_if_it_is_understood() {
    for (reply, taken) in [
        (r#"{"sts_url":"ws://sts"}"#, true),
        (r#"{"status":"ok"}"#, true),
        ("{}", true),
        (r#"{"sts_url":"http://sts"}"#, false),
        (r#"{"sts_url":null}"#, false),
        ("[]", false),
        ("", false),
    ] {
        let relayed = ingest::relay(&Dsai, &initiated(), reply);
        assert_eq!(relayed.is_ok(), taken, "{reply}: {relayed:?}");
    }
}

#[test]
fn the_secret_is_taken_under_either_name() {
    let mut headers = HeaderMap::new();
    let claim = |headers: &HeaderMap| match SharedSecret.claim(headers, b"") {
        Ok(Claim::Secret(given)) => Ok(given.concat()),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    };
    assert!(claim(&headers).is_err());
    headers.insert("X-AVR-WEBHOOK-SECRET", "s".parse().unwrap());
    assert_eq!(claim(&headers), Ok(b"s".to_vec()));
    headers.insert("X-DSAI-WEBHOOK-SECRET", "t".parse().unwrap());
    // Both must be right.
    assert_eq!(claim(&headers), Ok(b"ts".to_vec()));
    headers.append("X-DSAI-WEBHOOK-SECRET", "t".parse().unwrap());
    assert!(claim(&headers).is_err());
}
