//! Accepts or rejects calls: block list, allow list, business hours, and a
//! limit of calls a day for each caller; and gives known callers an agent of
//! their own.
//!
//! "The caller" here is the other party: who called, when the call came in, and
//! who is called, when the agent calls out.
//!
//! # Settings
//!
//! All are optional; without any, every call is accepted.
//!
//! | setting | what it is |
//! |---|---|
//! | `blocked` | numbers and prefixes (`"+1415*"`) that are rejected |
//! | `allowed` | when it names any: all others are rejected |
//! | `anonymous` | `"accept"` (default) or `"reject"`: calls without a number |
//! | `hours`, `closed_on`, `time_zone` | when calls are taken: see the crate `opening-hours`. Without `hours`: always |
//! | `daily_limit` | accepted calls of one caller on one day in `time_zone` |
//! | `callers` | agents for known callers: number or prefix → see below |
//! | `reasons` | what the platform is told: `blocked`, `not_allowed`, `anonymous`, `closed`, `daily_limit` |
//!
//! A number is on both lists? The longer pattern decides, so `+1415*` can be
//! blocked but for `+14155551234`; of equal ones the block list.
//!
//! An entry of `callers` has any of:
//! - `agent_config`: a complete agent configuration that replaces the agent's
//!   own. The platform replaces all of it and merges nothing.
//! - `overlay`: fields that replace those of the same name at the top level of
//!   the agent's own configuration; the plugin makes the complete one of it.
//! - `additional_data`: an object that is added to the call's context.
//!
//! ```json
//! {
//!   "blocked": ["+1415*"],
//!   "allowed": ["+14155551234", "+49*"],
//!   "time_zone": "America/Los_Angeles",
//!   "hours": {"monday": ["08:00-12:00", "13:00-18:00"], "friday": ["22:00-02:00"]},
//!   "daily_limit": 5,
//!   "callers": {"+49*": {"overlay": {"primaryLanguage": "de-DE"}, "additional_data": {"market": "DE"}}},
//!   "reasons": {"closed": "We are open from 8 to 6."}
//! }
//! ```
//!
//! The checks run in that order: lists, anonymity, hours, limit. Only a call
//! that passes all others counts towards the limit. Time is when the host
//! received the call, so a repeated webhook gets the same answer.
//!
//! # In here
//!
//! `settings.rs` reads and checks all settings, `number.rs` knows numbers and
//! patterns, `known.rs` makes a known caller's acceptance; the rules themselves
//! are in this file.

mod known;
mod number;
mod settings;

use hookswitch_sdk::{Call, Json, Result, StartDecision, StartHandler, kv, log};
use jiff::{SignedDuration, Zoned};

use self::{number::Number, settings::Settings};

/// Kept a little longer than the day, for hosts whose clocks differ.
const COUNTER_SLACK: SignedDuration = SignedDuration::from_hours(1);

struct StartGate;

hookswitch_sdk::export!(StartGate: start);

impl StartHandler for StartGate {
    fn on_start(call: &Call, agent_config: &Json) -> Result<StartDecision> {
        let settings = Settings::read()?;
        let caller = call.other_party().and_then(Number::new);
        if let Some(objection) = objection(&settings, caller.as_ref())? {
            log::info!("rejected: {objection:?}");
            return Ok(StartDecision::reject(settings.reasons.of(objection)));
        }
        let known = caller.and_then(|caller| settings.callers.best_for(&caller));
        known.map_or_else(
            || Ok(StartDecision::accept()),
            |known| known.accept(agent_config),
        )
    }
}

/// Why a call is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Objection {
    Blocked,
    NotAllowed,
    Anonymous,
    Closed,
    DailyLimit,
}

/// The first rule that speaks against a call.
fn objection(settings: &Settings, caller: Option<&Number>) -> Result<Option<Objection>> {
    if let Some(objection) = objection_of_lists(settings, caller) {
        return Ok(Some(objection));
    }
    let now = opening_hours::received_at(&settings.time_zone)?;
    if settings
        .calendar
        .as_ref()
        .is_some_and(|calendar| !calendar.is_open(now.datetime()))
    {
        return Ok(Some(Objection::Closed));
    }
    match (settings.daily_limit, caller) {
        (Some(limit), Some(caller)) if count_call(caller, &now)? > i64::from(limit) => {
            Ok(Some(Objection::DailyLimit))
        }
        _ => Ok(None),
    }
}

fn objection_of_lists(settings: &Settings, caller: Option<&Number>) -> Option<Objection> {
    let Some(caller) = caller else {
        let refused = settings.rejects_anonymous || !settings.allowed.is_empty();
        return refused.then_some(Objection::Anonymous);
    };
    // `None` is less than every length, and a block wins a draw.
    let allowed = settings.allowed.longest_match(caller);
    let blocked = settings.blocked.longest_match(caller);
    if blocked.is_some() && blocked >= allowed {
        return Some(Objection::Blocked);
    }
    (allowed.is_none() && !settings.allowed.is_empty()).then_some(Objection::NotAllowed)
}

/// Counts this call and gives the caller's number of calls on this day.
fn count_call(caller: &Number, now: &Zoned) -> Result<i64> {
    let midnight = now.tomorrow()?.start_of_day()?;
    let ttl = now.duration_until(&midnight) + COUNTER_SLACK;
    Ok(kv::increment(
        &format!("calls/{}/{caller}", now.date()),
        1,
        ttl.unsigned_abs(),
    )?)
}

#[cfg(test)]
mod tests {
    use hookswitch_sdk::{json, serde_json::Value, testing};
    use std::time::Duration;

    use super::*;

    const CALLER: &str = "+14155551234";

    /// Answers an inbound call under these settings, on a Monday at 15:30 UTC.
    fn answer(settings: Value, from: &str) -> StartDecision {
        let _host = testing::Host::new()
            .settings(settings)
            .received_at("2025-10-20T15:30:00Z");
        start(from)
    }

    fn start(from: &str) -> StartDecision {
        let call = testing::call().inbound(from, "agent-line").build();
        StartGate::on_start(&call, &testing::agent_config()).unwrap()
    }

    fn rejects_as(reason: &str) -> StartDecision {
        StartDecision::reject(reason)
    }

    #[test]
    fn without_settings_every_call_is_accepted() {
        assert_eq!(answer(json!({}), CALLER), StartDecision::accept());
        assert_eq!(answer(json!({}), ""), StartDecision::accept());
    }

    #[test]
    fn a_blocked_number_or_prefix_is_rejected_with_the_reason_of_the_settings() {
        let settings = json!({"blocked": ["+1415*"], "reasons": {"blocked": "No."}});
        assert_eq!(answer(settings.clone(), CALLER), rejects_as("No."));
        assert_eq!(answer(settings, "+14165551234"), StartDecision::accept());
    }

    #[test]
    fn an_allow_list_shuts_out_all_others() {
        let settings =
            json!({"allowed": [CALLER], "reasons": {"not_allowed": "Who?", "anonymous": "Hm."}});
        assert_eq!(answer(settings.clone(), CALLER), StartDecision::accept());
        assert_eq!(answer(settings.clone(), "+14155551235"), rejects_as("Who?"));
        assert_eq!(answer(settings, ""), rejects_as("Hm."));
    }

    #[test]
    fn the_longer_pattern_decides_and_the_block_list_wins_a_draw() {
        let except_one = json!({"blocked": ["+1415*"], "allowed": [CALLER, "+1*"], "reasons": {"blocked": "No."}});
        assert_eq!(answer(except_one.clone(), CALLER), StartDecision::accept());
        assert_eq!(answer(except_one, "+14155550000"), rejects_as("No."));
        let draw = json!({"blocked": [CALLER], "allowed": [CALLER], "reasons": {"blocked": "No."}});
        assert_eq!(answer(draw, CALLER), rejects_as("No."));
    }

    #[test]
    fn calls_without_a_number_are_rejected_when_the_settings_say_so() {
        let settings =
            json!({"anonymous": "reject", "reasons": {"anonymous": "Show your number."}});
        assert_eq!(answer(settings, ""), rejects_as("Show your number."));
    }

    #[test]
    fn an_outbound_call_is_judged_by_who_is_called() {
        let _host = testing::Host::new().config("blocked", [CALLER]);
        let call = testing::call().outbound(CALLER).build();
        let decision = StartGate::on_start(&call, &testing::agent_config()).unwrap();
        assert!(matches!(decision, StartDecision::Reject(_)));
    }

    #[test]
    fn hours_are_those_of_the_time_zone() {
        let hours = json!({"monday": ["09:00-17:00"]});
        let closed = json!({"hours": hours, "reasons": {"closed": "Closed."}});
        assert_eq!(answer(closed, CALLER), StartDecision::accept());
        // 15:30 UTC is 17:30 in Berlin.
        let berlin =
            json!({"hours": hours, "time_zone": "Europe/Berlin", "reasons": {"closed": "Closed."}});
        assert_eq!(answer(berlin, CALLER), rejects_as("Closed."));
    }

    #[test]
    fn the_call_over_the_daily_limit_is_rejected_until_the_next_local_day() {
        let host = testing::Host::new()
            .settings(json!({"daily_limit": 2, "time_zone": "America/Los_Angeles", "reasons": {"daily_limit": "Enough."}}))
            .received_at("2025-10-20T15:30:00Z");
        assert_eq!(start(CALLER), StartDecision::accept());
        assert_eq!(start(CALLER), StartDecision::accept());
        assert_eq!(start(CALLER), rejects_as("Enough."));
        assert_eq!(start("+14155550000"), StartDecision::accept());
        assert_eq!(
            host.kv_keys(),
            [
                "calls/2025-10-20/+14155550000",
                "calls/2025-10-20/+14155551234"
            ]
        );
        // Midnight in Los Angeles is 07:00 UTC.
        let host = host.received_at("2025-10-21T07:00:00Z");
        assert_eq!(start(CALLER), StartDecision::accept());
        // The first day's counters go an hour after their day.
        host.advance(Duration::from_hours(1));
        assert_eq!(host.kv_keys(), ["calls/2025-10-21/+14155551234"]);
    }

    #[test]
    fn a_call_that_is_rejected_anyway_does_not_count() {
        let host = testing::Host::new()
            .settings(json!({"daily_limit": 1, "blocked": [CALLER]}))
            .received_at("2025-10-20T15:30:00Z");
        start(CALLER);
        assert!(host.kv_keys().is_empty());
    }

    #[test]
    fn a_limit_without_a_store_is_the_plugins_failure() {
        let _host = testing::Host::new()
            .config("daily_limit", 1)
            .kv_fails(kv::Code::Denied);
        let call = testing::call().build();
        let error = StartGate::on_start(&call, &testing::agent_config()).unwrap_err();
        assert!(error.to_string().starts_with("key-value store, denied"));
    }
}
