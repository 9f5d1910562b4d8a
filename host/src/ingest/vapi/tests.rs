use super::*;
use crate::domain::decision::{StartAnswer, ToolAnswer};
use crate::ingest;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/fixtures/vapi/", $name, ".json"))
    };
}

fn parse(text: &str) -> CallEvent {
    Vapi.parse(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn json(text: &str) -> Json {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn rendered(asked: &str, answer: &Answer) -> Result<String, InvalidAnswer> {
    match ingest::render(&Vapi, &parse(asked), answer)? {
        Some(Reply::Body(body)) => Ok(body.get().to_owned()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_message_has_its_kind() {
    for (text, kind) in [
        (fixture!("assistant-request"), "call.start"),
        (fixture!("campaign.predial"), "call.start"),
        (fixture!("tool-calls"), "tool.call"),
        (fixture!("transfer-destination-request"), "call.transfer"),
        (fixture!("handoff-destination-request"), "call.handoff"),
        (fixture!("status-update"), "call.started"),
        (fixture!("transcript"), "call.transcription"),
        (fixture!("hang"), "call.hang"),
        (fixture!("end-of-call-report"), "call.completed"),
        (
            r#"{"message":{"type":"status-update","status":"ended"}}"#,
            "call.status",
        ),
        (r#"{"message":{"type":"brand-new"}}"#, "unknown"),
    ] {
        assert_eq!(parse(text).kind().as_str(), kind, "{text}");
    }
}

#[test]
fn a_report_tells_a_call_that_failed() {
    for (reason, kind) in [
        ("customer-ended-call", Kind::COMPLETED),
        ("assistant-forwarded-call", Kind::COMPLETED),
        ("silence-timed-out", Kind::COMPLETED),
        ("customer-did-not-answer", Kind::FAILED),
        ("pipeline-error-openai-llm-failed", Kind::FAILED),
        ("twilio-failed-to-connect-call", Kind::FAILED),
        ("assistant-request-returned-no-assistant", Kind::FAILED),
    ] {
        let text = fixture!("end-of-call-report").replace("customer-ended-call", reason);
        assert_eq!(parse(&text).kind(), kind, "{reason}");
    }
}

#[test]
fn a_call_is_read_with_what_stands_beside_it() {
    let call = parse(fixture!("assistant-request")).call;
    assert_eq!(call.call_id, "b1223960-1b4d-4585-91b8-a69b0f57ec2f");
    assert_eq!((&*call.agent_id, &*call.status), ("", "ringing"));
    assert_eq!(call.endpoint.as_deref(), Some("+14566836490"));
    assert_eq!(call.sip.unwrap().to_user.as_deref(), Some("+19254207621"));
    let contact = parse(fixture!("campaign.predial")).call;
    assert_eq!(contact.endpoint.as_deref(), Some("+14566836490"));
    let text = r#"{"message":{"type":"hang","call":{"id":"c","metadata":{"b":1,"c":2.50},
        "assistantOverrides":{"variableValues":{"a":1,"b":0}},
        "assistant":{"id":"asst","metadata":{"d":1}}}}}"#;
    let call = parse(text).call;
    assert_eq!(call.call_data.get(), r#"{"a":1,"b":1,"c":2.50}"#);
    assert_eq!(
        (&*call.agent_id, call.agent_data.get()),
        ("asst", r#"{"d":1}"#)
    );
}

#[test]
fn a_tool_call_is_read_in_each_of_its_forms() {
    for (text, id, name, argument) in [
        (
            fixture!("tool-calls"),
            "call_51kj",
            "getWeatherByCity",
            "Danville",
        ),
        (
            fixture!("tool-calls-documented"),
            "abc123",
            "sendEmail",
            "john@example.com",
        ),
        (
            fixture!("tool-calls-custom"),
            "toolu_01DTPAzUm5Gk3zxrpJ969oMF",
            "get_weather",
            "San Francisco",
        ),
        (
            fixture!("tool-calls-schema"),
            "call_7",
            "get_weather",
            "San Francisco",
        ),
        (
            r#"{"message":{"type":"tool-calls","toolWithToolCallList":[{"name":"f",
                "function":{"name":"g","parameters":{"type":"object"}},
                "toolCall":{"id":"1","function":{"name":"f","parameters":{"x":"found"}}}}]}}"#,
            "1",
            "f",
            "found",
        ),
        (
            r#"{"message":{"type":"tool-calls","toolCalls":[{"id":"1","name":"f",
                "arguments":" {\"x\":\"found\"} "}]}}"#,
            "1",
            "f",
            "found",
        ),
    ] {
        let Matter::Question(Question::Tool {
            id: found,
            name: called,
            arguments,
        }) = parse(text).matter
        else {
            panic!("{text}");
        };
        assert_eq!((found.as_deref(), &*called), (Some(id), name), "{text}");
        assert!(arguments.get().contains(argument), "{text}: {arguments}");
    }
}

#[test]
fn the_field_at_fault_is_named() {
    for (text, field) in [
        ("{}", "message"),
        (r#"{"message":7}"#, "message"),
        (r#"{"message":{}}"#, "message.type"),
        (
            r#"{"message":{"type":"assistant-request"}}"#,
            "message.call.id",
        ),
        (
            r#"{"message":{"type":"tool-calls"}}"#,
            "message.toolCallList",
        ),
        (
            r#"{"message":{"type":"tool-calls","toolCallList":[]}}"#,
            "message.toolCallList",
        ),
        (
            r#"{"message":{"type":"tool-calls","toolCallList":[{"name":"f"}]}}"#,
            "message.toolCallList[0].id",
        ),
        (
            r#"{"message":{"type":"tool-calls","toolCallList":[{"id":"1","name":"f","arguments":"x"}]}}"#,
            "message.toolCallList[0].arguments",
        ),
        (
            r#"{"message":{"type":"hang","call":{"id":7}}}"#,
            "message.call.id",
        ),
    ] {
        let named = match Vapi.parse(text) {
            Err(ReadError::MissingField { field } | ReadError::InvalidField { field, .. }) => field,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(named, field, "{text}");
    }
}

fn accept(config: Option<&str>, data: Option<&str>) -> Answer {
    Answer::Start(StartAnswer::Accept {
        agent_config: config.map(json),
        additional_data: data.map(json),
    })
}

#[test]
fn a_call_starts_with_an_assistant_or_not_at_all() {
    let request = fixture!("assistant-request");
    let assistant = r#"{"assistantId":"a"}"#;
    assert_eq!(
        rendered(request, &accept(Some(assistant), None)).unwrap(),
        assistant
    );
    let lacking = rendered(request, &accept(None, None)).unwrap_err();
    assert!(
        lacking.to_string().contains("agent_config of the source"),
        "{lacking}"
    );
    for wrong in [
        "{}",
        "[]",
        r#"{"assistantId":null}"#,
        r#"{"primaryLanguage":"en"}"#,
    ] {
        assert!(
            rendered(request, &accept(Some(wrong), None)).is_err(),
            "{wrong}"
        );
    }
    let reason = Reason::try_from("We are closed.".to_owned()).unwrap();
    let rejected = rendered(request, &Answer::Start(StartAnswer::Reject { reason }));
    assert_eq!(rejected.unwrap(), r#"{"error":"We are closed."}"#);
}

#[test]
fn additional_data_are_the_assistants_variables() {
    let request = fixture!("assistant-request");
    for (config, wanted) in [
        (
            r#"{"assistantId":"a","error":"x"}"#,
            r#"{"assistantId":"a","assistantOverrides":{"variableValues":{"n":1e400}}}"#,
        ),
        (
            r#"{"assistantId":"a","assistantOverrides":{"firstMessage":"Hi","variableValues":{"m":1}}}"#,
            r#"{"assistantId":"a","assistantOverrides":{"firstMessage":"Hi","variableValues":{"m":1,"n":1e400}}}"#,
        ),
        (
            r#"{"squadId":"s"}"#,
            r#"{"squadId":"s","squadOverrides":{"variableValues":{"n":1e400}}}"#,
        ),
        (
            r#"{"destination":{"type":"number","number":"+14155550100"}}"#,
            r#"{"destination":{"type":"number","number":"+14155550100"}}"#,
        ),
    ] {
        let reply = rendered(request, &accept(Some(config), Some(r#"{"n":1e400}"#)));
        assert_eq!(reply.unwrap(), wanted);
    }
}

#[test]
fn the_sources_assistant_stands_in_for_the_plugins() {
    let mut asked = parse(fixture!("assistant-request"));
    ingest::suppose(&mut asked, Some(&json(r#"{"assistantId":"usual"}"#)));
    let reply = Vapi.accept(&asked, None, None).unwrap();
    assert_eq!(reply.get(), r#"{"assistantId":"usual"}"#);
}

#[test]
fn a_campaign_is_told_whom_to_call() {
    let predial = fixture!("campaign.predial");
    assert_eq!(
        rendered(predial, &accept(None, None)).unwrap(),
        r#"{"eligible":true}"#
    );
    let reason = Reason::try_from("called twice today".to_owned()).unwrap();
    let rejected = rendered(predial, &Answer::Start(StartAnswer::Reject { reason }));
    assert_eq!(rejected.unwrap(), r#"{"eligible":false}"#);
}

#[test]
fn a_transfer_is_a_destination_with_what_the_platform_knows_of_the_options() {
    let target = |to: &str, options: Option<&str>| Target {
        destination: to.to_owned().try_into().unwrap(),
        options: options.map(json),
    };
    for (mode, to, wanted) in [
        (
            Mode::Cold,
            target("+14155550100", None),
            r#"{"destination":{"number":"+14155550100","type":"number"}}"#,
        ),
        (
            Mode::Cold,
            target(
                "sip:desk@pbx",
                Some(r#"{"transferRoutes":[],"message":"","type":"x"}"#),
            ),
            r#"{"destination":{"message":"","sipUri":"sip:desk@pbx","type":"sip"}}"#,
        ),
        (
            Mode::Warm,
            target("+14155550100", None),
            r#"{"destination":{"number":"+14155550100","transferPlan":{"mode":"warm-transfer-say-summary"},"type":"number"}}"#,
        ),
        (
            Mode::Warm,
            target(
                "+14155550100",
                Some(r#"{"transferPlan":{"mode":"warm-transfer-say-message","message":"Hi"}}"#),
            ),
            r#"{"destination":{"number":"+14155550100","transferPlan":{"mode":"warm-transfer-say-message","message":"Hi"},"type":"number"}}"#,
        ),
    ] {
        assert_eq!(reply::transfer(mode, &to).unwrap().get(), wanted);
    }
}

#[test]
fn what_was_said_is_what_was_spoken() {
    let asked = parse(fixture!("transfer-destination-request"));
    let Matter::Question(Question::Transfer { transcription, .. }) = asked.matter else {
        panic!("a transfer");
    };
    let said: Vec<_> = transcription
        .iter()
        .map(|it| (&*it.speaker, &*it.text))
        .collect();
    let wanted = [
        ("assistant", "Hi there. I'm assistant 1."),
        ("user", "I want to speak to a person."),
    ];
    assert_eq!(said, wanted);
    assert_eq!(
        transcription[1].start_time.as_deref(),
        Some("2024-07-27T21:23:32.000Z")
    );
}

#[test]
fn a_tools_result_is_one_line_of_text() {
    for (result, wanted) in [
        ("\"sunny\"", "sunny"),
        ("\"two\\nlines\"", "two lines"),
        (
            "{\n  \"slots\": [\"9:00\"]\n}",
            "{   \\\"slots\\\": [\\\"9:00\\\"] }",
        ),
        ("1e400", "1e400"),
        ("null", "null"),
    ] {
        let answer = Answer::Tool(ToolAnswer::Answer {
            result: json(result),
        });
        let reply = rendered(fixture!("tool-calls"), &answer).unwrap();
        let whole = format!(
            r#"{{"results":[{{"name":"getWeatherByCity","toolCallId":"call_51kj","result":"{wanted}"}}]}}"#
        );
        assert_eq!(reply, whole);
    }
}

#[test]
fn several_calls_are_taken_apart_and_their_results_put_together() {
    let parts = tool_calls::split(fixture!("tool-calls-several"))
        .unwrap()
        .unwrap();
    let asked: Vec<_> = parts.iter().map(|part| parse(part.get())).collect();
    let ids: Vec<_> = asked
        .iter()
        .map(|event| match &event.matter {
            Matter::Question(Question::Tool { id, .. }) => id.as_deref().unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, ["call_51kj", "call_52"]);
    for (part, other) in parts.iter().zip(ids.iter().rev()) {
        assert!(!part.get().contains(other), "a part is about itself alone");
        assert!(part.get().contains("+19254207621"), "the rest is in each");
    }
    let one = Reply::Body(Vapi.tool(&asked[0], &json("\"sunny\"")).unwrap());
    let joined = reply::join(&[(&asked[0], &one), (&asked[1], &Reply::Unavailable)]);
    assert_eq!(
        joined.get(),
        r#"{"results":[{"name":"getWeatherByCity","toolCallId":"call_51kj","result":"sunny"},{"name":"getTime","toolCallId":"call_52","error":"there is no answer"}]}"#
    );
}

#[test]
fn most_messages_are_one() {
    for text in [
        fixture!("tool-calls"),
        fixture!("hang"),
        r#"{"message":{"type":"transcript","transcript":"tool-calls"}}"#,
        r#"{"type":"tool-calls"}"#,
        "{}",
    ] {
        assert!(Vapi.split(text).unwrap().is_none(), "{text}");
    }
}

#[test]
fn an_endpoints_reply_is_relayed_if_it_is_understood() {
    let start = fixture!("assistant-request");
    let transfer = fixture!("transfer-destination-request");
    let tool = fixture!("tool-calls");
    let predial = fixture!("campaign.predial");
    for (asked, reply, word) in [
        (start, r#"{"assistantId":"a"}"#, Some("accept")),
        (start, r#"{"error":"no"}"#, Some("reject")),
        (start, r#"{"error":""}"#, None),
        (start, "{}", None),
        (start, r#"{"accept":true}"#, None),
        (predial, r#"{"eligible":true}"#, Some("accept")),
        (predial, r#"{"eligible":false}"#, Some("reject")),
        (predial, r#"{"eligible":"yes"}"#, None),
        (
            transfer,
            r#"{"destination":{"type":"number","number":"+14155550100"}}"#,
            Some("cold"),
        ),
        (
            transfer,
            r#"{"destination":{"type":"sip","sipUri":"sip:a@b","transferPlan":{"mode":"warm-transfer-say-summary"}}}"#,
            Some("warm"),
        ),
        (
            transfer,
            r#"{"destination":{"type":"number","number":"415"}}"#,
            None,
        ),
        (
            transfer,
            r#"{"destination":{"type":"assistant","assistantName":"x"}}"#,
            None,
        ),
        (transfer, r#"{"error":"no"}"#, None),
        (
            tool,
            r#"{"results":[{"toolCallId":"call_51kj","result":"sunny"}]}"#,
            Some("answer"),
        ),
        (
            tool,
            r#"{"results":[{"toolCallId":"call_51kj","error":"no"}]}"#,
            Some("answer"),
        ),
        (
            tool,
            r#"{"results":[{"toolCallId":"call_51kj","result":{"a":1}}]}"#,
            None,
        ),
        (
            tool,
            r#"{"results":[{"toolCallId":"other","result":"sunny"}]}"#,
            None,
        ),
        (tool, r#"{"results":[{"toolCallId":"call_51kj"}]}"#, None),
        (tool, "\"sunny\"", None),
    ] {
        let relayed = ingest::relay(&Vapi, &parse(asked), reply);
        let said = relayed.ok().map(|(answer, _)| answer.word());
        assert_eq!(said, word, "{reply}");
    }
}

#[test]
fn questions_without_a_handler_go_on() {
    let id = uuid::Uuid::from_u128(7).into();
    let reply = |text: &str| match Vapi.acknowledge(&parse(text), id) {
        Reply::Body(body) => Some(body.get().to_owned()),
        Reply::Unavailable => None,
    };
    let handoff = reply(fixture!("handoff-destination-request")).unwrap();
    assert_eq!(handoff, r#"{"error":"there is nobody to hand over to"}"#);
    let knowledge = reply(r#"{"message":{"type":"knowledge-base-request"}}"#).unwrap();
    assert_eq!(knowledge, r#"{"documents":[]}"#);
    assert_eq!(reply(r#"{"message":{"type":"voice-request"}}"#), None);
    assert!(reply(fixture!("hang")).unwrap().contains("received"));
}
