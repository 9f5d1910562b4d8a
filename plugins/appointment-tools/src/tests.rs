//! The tools as an agent calls them: by name, with JSON.
//!
//! 2025-10-25 is a Saturday.

use std::collections::BTreeSet;

use hookswitch_sdk::{
    Call, Json, ToolDecision, ToolHandler, json,
    kv::{self, Code},
    serde_json::Value,
    testing::{self, Host},
};

use crate::AppointmentTools;

const ANN: &str = "+14155551234";
const BOB: &str = "+14155559999";

/// Saturdays from ten to one, on the Monday before.
fn host() -> Host {
    Host::new()
        .settings(json!({
            "hours": {"monday": ["09:00-11:00"], "saturday": ["10:00-13:00"]},
            "slot_minutes": 60,
        }))
        .received_at("2025-10-20T15:30:00Z")
}

fn call_of(phone: &str, call_id: &str) -> Call {
    testing::call()
        .inbound(phone, "agent-line")
        .call_id(call_id)
        .build()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "so that tests can say `json!` in place"
)]
fn ask(call: &Call, tool: &str, arguments: Value) -> Value {
    let arguments = Json::of(&arguments).unwrap();
    match AppointmentTools::call_tool(call, tool, &arguments).unwrap() {
        ToolDecision::Answer(answer) => answer.value().unwrap(),
        other => panic!("no answer: {other:?}"),
    }
}

fn check(date: &str) -> Value {
    ask(
        &call_of(ANN, "call_1"),
        "check_availability",
        json!({ "date": date }),
    )
}

fn book(call: &Call, time: &str) -> Value {
    ask(
        call,
        "book_appointment",
        json!({"date": "2025-10-25", "time": time, "name": "Ann"}),
    )
}

#[test]
fn the_sample_tool_call_is_answered_with_the_free_slots() {
    let _host = host();
    let arguments = json!({"date": "2025-10-25", "service": "consultation"});
    assert_eq!(
        ask(&call_of(ANN, "call_1"), "check_availability", arguments),
        json!({
            "date": "2025-10-25",
            "weekday": "Saturday",
            "service": "consultation",
            "available": true,
            "slots": ["10:00", "11:00", "12:00"],
            "slot_minutes": 60,
            "time_zone": "UTC",
        })
    );
}

#[test]
fn a_closed_day_is_answered_with_the_next_one_that_has_room() {
    let _host = host();
    let answer = check("2025-10-26");
    assert_eq!(answer["available"], false);
    assert_eq!(answer["reason"], "closed");
    assert_eq!(answer["message"], "We are closed on Sunday, 2025-10-26.");
    assert_eq!(answer["next_date"], "2025-10-27");
}

#[test]
fn a_day_that_is_full_is_answered_with_the_next_one_that_has_room() {
    let _host = host();
    for (index, time) in ["10:00", "11:00", "12:00"].iter().enumerate() {
        book(&call_of(BOB, &format!("call_{index}")), time);
    }
    let answer = check("2025-10-25");
    assert_eq!(answer["reason"], "fully_booked");
    assert_eq!(answer["slots"], json!([]));
    assert_eq!(answer["next_date"], "2025-10-27");
}

#[test]
fn a_past_day_is_refused_and_today_offers_what_has_not_begun() {
    let host = host().received_at("2025-10-25T11:00:00Z");
    assert_eq!(check("2025-10-25")["slots"], json!(["12:00"]));
    let past = check("2025-10-18");
    assert_eq!(past["reason"], "date_is_past");
    assert_eq!(
        past["message"],
        "2025-10-18 is in the past; today is 2025-10-25."
    );
    assert_eq!(past["next_date"], "2025-10-25");

    let call = call_of(ANN, "call_1");
    assert_eq!(book(&call, "10:00")["reason"], "no_such_slot");
    let _host = host.received_at("2025-10-26T00:00:00Z");
    assert_eq!(book(&call, "10:00")["reason"], "date_is_past");
}

#[test]
fn past_days_can_be_allowed_for_replays() {
    let _host = host()
        .config("past_dates", "allow")
        .received_at("2026-11-23T09:00:00Z");
    assert_eq!(check("2025-10-25")["available"], true);
    assert_eq!(book(&call_of(ANN, "call_1"), "10:00")["booked"], true);
}

#[test]
fn a_day_too_far_ahead_is_refused() {
    let _host = host();
    assert_eq!(check("2026-01-18")["reason"], "closed");
    assert_eq!(check("2026-01-19")["reason"], "too_far_ahead");
}

#[test]
fn today_is_today_in_the_time_zone() {
    let _host = host()
        .config("time_zone", "Pacific/Auckland")
        .config(
            "hours",
            json!({"friday": ["09:00-11:00"], "saturday": ["09:00-11:00"]}),
        )
        .received_at("2025-10-24T12:00:00Z");
    assert_eq!(check("2025-10-24")["reason"], "date_is_past");
    assert_eq!(check("2025-10-25")["available"], true);
}

#[test]
fn a_booking_is_confirmed_and_its_slot_is_gone() {
    let host = host();
    let answer = book(&call_of(ANN, "call_1"), "11:00");
    assert_eq!(answer["booked"], true);
    assert_eq!(answer["time"], "11:00");
    assert_eq!(answer["name"], "Ann");
    let reference = answer["reference"].as_str().unwrap();
    assert!(reference.len() == 6 && reference.chars().all(|c| c.is_ascii_alphanumeric()));
    assert_eq!(check("2025-10-25")["slots"], json!(["10:00", "12:00"]));
    assert_eq!(host.kv_keys(), ["day/2025-10-25"]);
}

#[test]
fn a_slot_is_never_booked_twice_and_others_are_offered() {
    let _host = host();
    book(&call_of(ANN, "call_1"), "11:00");
    let answer = book(&call_of(BOB, "call_2"), "11:00");
    assert_eq!(answer["booked"], false);
    assert_eq!(answer["reason"], "taken");
    assert_eq!(answer["alternatives"], json!(["10:00", "12:00"]));
}

#[test]
fn the_same_call_that_books_again_gets_the_same_booking() {
    let _host = host();
    let call = call_of(ANN, "call_1");
    let first = book(&call, "11:00");
    assert_eq!(book(&call, "11:00"), first);
    let without_id = call_of(BOB, "");
    assert_eq!(book(&without_id, "12:00")["booked"], true);
    assert_eq!(book(&without_id, "12:00")["reason"], "taken");
}

#[test]
fn a_booking_that_loses_a_race_tries_again() {
    let host = host().lose_swaps(kv::UPDATE_ATTEMPTS - 1);
    assert_eq!(book(&call_of(ANN, "call_1"), "11:00")["booked"], true);
    let _host = host.lose_swaps(kv::UPDATE_ATTEMPTS);
    assert_eq!(book(&call_of(ANN, "call_2"), "12:00")["reason"], "busy");
}

#[test]
fn slots_of_another_length_do_not_overlap_old_bookings() {
    let host = host();
    book(&call_of(ANN, "call_1"), "11:00");
    let _host = host.config("slot_minutes", 45);
    // 10:45 would run into 11:00, and 11:30 begins inside of it.
    assert_eq!(check("2025-10-25")["slots"], json!(["10:00", "12:15"]));
}

#[test]
fn a_time_between_slots_is_no_slot() {
    let _host = host();
    let answer = book(&call_of(ANN, "call_1"), "10:30");
    assert_eq!(answer["reason"], "no_such_slot");
    assert_eq!(answer["alternatives"], json!(["10:00", "11:00", "12:00"]));
}

#[test]
fn a_service_that_is_not_offered_is_answered_with_those_that_are() {
    let _host = host().config("services", ["Consultation", "Cleaning"]);
    let call = call_of(ANN, "call_1");
    let arguments = json!({"date": "2025-10-25", "service": "haircut"});
    let answer = ask(&call, "check_availability", arguments);
    assert_eq!(answer["field"], "service");
    assert_eq!(
        answer["error"],
        "There is no service `haircut`. There are: Consultation, Cleaning."
    );
    let arguments = json!({"date": "2025-10-25", "service": "cleaning"});
    assert_eq!(
        ask(&call, "check_availability", arguments)["service"],
        "Cleaning"
    );
}

#[test]
fn arguments_that_do_not_fit_are_named_to_the_model() {
    let _host = host();
    let call = call_of(ANN, "call_1");
    let complaint = |tool: &str, arguments: Value| {
        let answer = ask(&call, tool, arguments);
        (
            answer["field"].clone(),
            answer["error"].as_str().unwrap().to_owned(),
        )
    };
    let (field, error) = complaint("check_availability", json!({"date": "next Friday"}));
    assert_eq!(field, "date");
    assert!(
        error.contains("`next Friday` is no day of the calendar"),
        "{error}"
    );
    let (field, error) = complaint("book_appointment", json!({"date": "2025-10-25"}));
    assert_eq!(
        (field, error.as_str()),
        (json!("time"), "The argument `time` is missing.")
    );
}

#[test]
fn the_one_who_booked_cancels_by_day() {
    let _host = host();
    let booked = book(&call_of(ANN, "call_1"), "11:00");
    let stranger = call_of(BOB, "call_2");
    let day = json!({"date": "2025-10-25"});
    assert_eq!(
        ask(&stranger, "cancel_appointment", day.clone())["reason"],
        "not_found"
    );
    let answer = ask(&call_of(ANN, "call_3"), "cancel_appointment", day);
    assert_eq!(answer["cancelled"], true);
    assert_eq!(answer["reference"], booked["reference"]);
    assert_eq!(
        check("2025-10-25")["slots"],
        json!(["10:00", "11:00", "12:00"])
    );
}

#[test]
fn anybody_cancels_by_reference_however_it_is_spelled() {
    let host = host();
    let booked = book(&call_of(ANN, "call_1"), "11:00");
    let reference = booked["reference"].as_str().unwrap().to_lowercase();
    let spelled = format!("{}-{}", &reference[..3], &reference[3..]);
    let arguments = json!({"date": "2025-10-25", "reference": spelled});
    assert_eq!(
        ask(&call_of(BOB, "call_2"), "cancel_appointment", arguments)["cancelled"],
        true
    );
    assert!(host.kv_keys().is_empty());
}

#[test]
fn of_several_appointments_one_must_be_named() {
    let _host = host();
    let call = call_of(ANN, "call_1");
    book(&call, "12:00");
    book(&call, "10:00");
    let answer = ask(&call, "cancel_appointment", json!({"date": "2025-10-25"}));
    assert_eq!(answer["reason"], "which_one");
    assert_eq!(answer["times"], json!(["10:00", "12:00"]));
    let named = json!({"date": "2025-10-25", "time": "10:00"});
    assert_eq!(ask(&call, "cancel_appointment", named)["cancelled"], true);
    assert_eq!(check("2025-10-25")["slots"], json!(["10:00", "11:00"]));
}

#[test]
fn a_store_that_is_not_granted_is_the_plugins_failure() {
    let _host = host().kv_fails(Code::Denied);
    let arguments = Json::trusted(r#"{"date": "2025-10-25"}"#);
    let call = call_of(ANN, "call_1");
    assert!(AppointmentTools::call_tool(&call, "check_availability", &arguments).is_err());
}

#[test]
fn the_tools_are_described_for_the_model() {
    let tools = AppointmentTools::tools();
    let names: BTreeSet<_> = tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(
        names,
        BTreeSet::from([
            "book_appointment",
            "cancel_appointment",
            "check_availability"
        ])
    );
    for tool in &tools {
        assert!(!tool.description.is_empty(), "{}", tool.name);
    }
    let schema = tools[0].input_schema.value().unwrap();
    assert_eq!(schema["required"], json!(["date"]));
    assert_eq!(schema["properties"]["date"]["type"], "string");
    assert_eq!(schema["properties"]["date"]["format"], "date");
}
