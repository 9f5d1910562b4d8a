use proptest::prelude::*;
use serde_json::json;

use super::*;

fn topics() -> Vec<Topic> {
    let arguments = RawValue::from_string(r#"{"n":1e400,"b":2.50}"#.to_owned()).unwrap();
    let tool = Topic::Tool {
        name: "book".to_owned(),
        arguments,
    };
    let transfer = Topic::Transfer {
        reason: Some("a person".to_owned()),
    };
    vec![
        Topic::Start,
        Topic::Started,
        Topic::Said,
        transfer,
        tool,
        Topic::Completed,
        Topic::Failed,
        Topic::Deadline,
        Topic::Unknown,
    ]
}

fn sample(topic: Topic) -> Sample {
    let now = "2026-01-02T03:04:05Z".parse().unwrap();
    Sample {
        call_id: "550e8400-e29b-41d4-a716-446655440000".to_owned(),
        said: vec![Said {
            by_customer: true,
            text: "a person, please".to_owned(),
            at: now,
        }],
        now,
        ..Sample::about(topic)
    }
}

#[test]
fn every_sample_is_read_as_what_it_is_about() {
    for dialect in DIALECTS {
        for topic in topics() {
            let Some(payload) = dialect.sample(&sample(topic.clone())) else {
                continue;
            };
            let event = dialect.parse(payload.get());
            let event = event.unwrap_or_else(|error| panic!("{payload}: {error}"));
            assert_eq!(event.call.platform, dialect.name());
            let kind = event.kind();
            assert_eq!(kind.handler(), topic.handler(), "{payload}");
            assert!(!kind.is_our_own(), "{payload}");
            let wanted = match (&topic, dialect.name()) {
                (Topic::Started, _) => Kind::STARTED,
                (Topic::Said, _) => Kind::TRANSCRIPTION,
                (Topic::Completed, _) => Kind::COMPLETED,
                (Topic::Failed, "dsai") => Kind::parse("call.error").unwrap(),
                (Topic::Failed, _) => Kind::FAILED,
                (Topic::Deadline, _) => Kind::DEADLINE,
                (Topic::Unknown, _) => Kind::UNKNOWN,
                _ => kind.clone(),
            };
            assert_eq!(kind, wanted, "{payload}");
            if let Matter::Question(Question::Tool {
                name, arguments, ..
            }) = &event.matter
            {
                assert_eq!(name, "book");
                assert_eq!(arguments.get(), r#"{"n":1e400,"b":2.50}"#, "as written");
            }
        }
    }
}

#[test]
fn every_kind_of_a_table_is_one() {
    for (name, kind) in DIALECTS.iter().flat_map(|it| it.notices()) {
        assert_eq!(
            Kind::parse(kind.as_str()).ok().as_ref(),
            Some(kind),
            "{name}"
        );
        assert!(!kind.is_question() && !kind.is_our_own(), "{name}");
    }
}

#[test]
fn a_payload_of_another_platform_is_refused_or_unknown() {
    for sender in DIALECTS {
        for topic in topics() {
            let Some(payload) = sender.sample(&sample(topic)) else {
                continue;
            };
            for reader in DIALECTS.iter().filter(|it| it.name() != sender.name()) {
                // Dasha's unknown types are never an error.
                if let Ok(event) = reader.parse(payload.get()) {
                    let names = (sender.name(), reader.name());
                    assert_eq!(event.kind(), Kind::UNKNOWN, "{names:?}: {payload}");
                }
            }
        }
    }
}

#[test]
fn what_is_relayed_is_as_it_was_written() {
    let vapi = dialect("vapi").unwrap();
    let asked = vapi.sample(&sample(Topic::Start)).unwrap();
    let asked = vapi.parse(asked.get()).unwrap();
    let reply = r#"{ "assistantId":"a", "more":1e400 }"#;
    let (_, relayed) = relay(vapi, &asked, reply).unwrap();
    assert_eq!(relayed.get(), reply);
}

#[test]
fn nobody_relays_an_answer_to_a_notice() {
    for dialect in DIALECTS {
        let notice = dialect.sample(&sample(Topic::Completed)).unwrap();
        let notice = dialect.parse(notice.get()).unwrap();
        assert!(
            relay(*dialect, &notice, "{}").is_err(),
            "{}",
            dialect.name()
        );
        let acknowledged = dialect.acknowledge(&notice, uuid::Uuid::from_u128(7).into());
        assert!(matches!(acknowledged, Reply::Body(_)));
    }
}

#[test]
fn an_agent_may_be_named_in_a_header() {
    let mut headers = HeaderMap::new();
    headers.insert("x-avr-agent-id", "agent_9".parse().unwrap());
    assert_eq!(
        agent(dialect("dsai").unwrap(), &headers).as_deref(),
        Some("agent_9")
    );
    assert_eq!(agent(DASHA, &headers), None);
    headers.insert("x-avr-agent-id", "x".repeat(300).parse().unwrap());
    assert_eq!(agent(dialect("dsai").unwrap(), &headers), None);
}

/// JSON near to what platforms send.
fn near_payload() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!({})),
        Just(json!([])),
        any::<i32>().prop_map(|n| json!(n)),
        "[a-z_.-]{0,12}".prop_map(|text| json!(text)),
        Just(json!("tool-calls")),
        Just(json!("call_inbound")),
        Just(json!("call_initiated")),
    ];
    let name = prop_oneof![
        Just("type"),
        Just("message"),
        Just("call"),
        Just("event"),
        Just("uuid"),
        Just("timestamp"),
        Just("payload"),
        Just("data"),
        Just("name"),
        Just("args"),
        Just("call_inbound"),
        Just("toolCallList"),
        Just("toolCalls"),
        Just("function"),
        Just("id"),
        Just("call_id"),
        Just("from_number"),
        Just("to_number"),
        Just("customer"),
        Just("artifact"),
        Just("messages"),
        Just("status"),
        Just("arguments"),
    ];
    let value = leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|it| json!(it)),
            proptest::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|it| json!(it)),
        ]
    });
    value.prop_map(|it| it.to_string())
}

proptest! {
    #[test]
    fn anything_is_read_or_refused(text in prop_oneof![near_payload(), "\\PC{0,64}"]) {
        for dialect in DIALECTS {
            let body = Bytes::from(text.clone());
            let payloads = match bodies(*dialect, body) {
                Ok(Bodies::One(body)) => vec![body],
                Ok(Bodies::Several(split)) => split.payloads,
                Err(_) => continue,
            };
            for payload in payloads {
                let _ = dialect.parse(json::text(&payload).unwrap());
            }
        }
    }

    #[test]
    fn any_reply_is_read_or_refused(text in prop_oneof![near_payload(), "\\PC{0,64}"]) {
        for dialect in DIALECTS {
            for topic in topics() {
                let Some(asked) = dialect.sample(&sample(topic)) else { continue };
                let asked = dialect.parse(asked.get()).unwrap();
                let _ = relay(*dialect, &asked, &text);
            }
        }
    }
}
