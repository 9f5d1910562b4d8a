//! The settings, read and checked at once: a call is judged by good ones or not
//! at all.

use hookswitch_sdk::config::{self, Error};
use jiff::tz::TimeZone;
use opening_hours::Calendar;
use serde::Deserialize;

use crate::{Objection, known::Callers, number::Patterns};

/// What the operator wants; the module header of the crate has the table.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) blocked: Patterns,
    pub(crate) allowed: Patterns,
    pub(crate) rejects_anonymous: bool,
    pub(crate) time_zone: TimeZone,
    pub(crate) calendar: Option<Calendar>,
    pub(crate) daily_limit: Option<u32>,
    pub(crate) callers: Callers,
    pub(crate) reasons: Reasons,
}

/// What the platform is told about a rejection.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reasons {
    blocked: String,
    not_allowed: String,
    anonymous: String,
    closed: String,
    daily_limit: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Anonymous {
    Accept,
    Reject,
}

impl Settings {
    pub(crate) fn read() -> Result<Self, Error> {
        let callers = Callers::new(config::json("callers")?.unwrap_or_default());
        let reasons: Reasons = config::json("reasons")?.unwrap_or_default();
        if reasons.any_is_empty() {
            return Err(Error::new("reasons", "must not have an empty reason"));
        }
        Ok(Self {
            blocked: config::json("blocked")?.unwrap_or_default(),
            allowed: config::json("allowed")?.unwrap_or_default(),
            rejects_anonymous: matches!(config::json("anonymous")?, Some(Anonymous::Reject)),
            time_zone: opening_hours::time_zone()?,
            calendar: Calendar::from_settings()?,
            daily_limit: config::parse("daily_limit")?,
            callers: callers
                .map_err(|problem| Error::new("callers", format!("does not fit: {problem}")))?,
            reasons,
        })
    }
}

impl Reasons {
    pub(crate) fn of(&self, objection: Objection) -> &str {
        match objection {
            Objection::Blocked => &self.blocked,
            Objection::NotAllowed => &self.not_allowed,
            Objection::Anonymous => &self.anonymous,
            Objection::Closed => &self.closed,
            Objection::DailyLimit => &self.daily_limit,
        }
    }

    fn any_is_empty(&self) -> bool {
        let all = [
            &self.blocked,
            &self.not_allowed,
            &self.anonymous,
            &self.closed,
            &self.daily_limit,
        ];
        all.iter().any(|reason| reason.trim().is_empty())
    }
}

impl Default for Reasons {
    fn default() -> Self {
        Self {
            blocked: "This number is blocked.".to_owned(),
            not_allowed: "This number is not on the list of callers.".to_owned(),
            anonymous: "Calls without a number are not taken.".to_owned(),
            closed: "Outside business hours.".to_owned(),
            daily_limit: "Too many calls from this number today.".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_sdk::{json, serde_json::Value, testing::Host};

    use super::*;

    #[track_caller]
    fn assert_refused(settings: Value, beginning: &str) {
        let _host = Host::new().settings(settings);
        let error = Settings::read().unwrap_err().to_string();
        assert!(error.starts_with(beginning), "{error}");
    }

    #[test]
    fn a_bad_setting_is_named_with_its_place() {
        assert_refused(
            json!({"blocked": ["+1", "*"]}),
            "setting `blocked` does not fit: [1]: `*` is no number",
        );
        assert_refused(
            json!({"allowed": "+1 only"}),
            "setting `allowed` does not fit: ",
        );
        assert_refused(
            json!({"anonymous": "maybe"}),
            "setting `anonymous` does not fit: unknown variant `maybe`",
        );
        assert_refused(
            json!({"time_zone": "Mars"}),
            "setting `time_zone` is `Mars`, which is no IANA",
        );
        assert_refused(
            json!({"hours": {"monday": ["9-5"]}}),
            "setting `hours` does not fit: monday[0]: `9-5`",
        );
        assert_refused(
            json!({"daily_limit": -1}),
            "setting `daily_limit` is `-1`, which is no u32",
        );
        assert_refused(
            json!({"callers": {"me": {"overlay": 1}}}),
            "setting `callers` does not fit: me.overlay:",
        );
        assert_refused(
            json!({"callers": {"*": {}}}),
            "setting `callers` does not fit: `*` is no number",
        );
        assert_refused(
            json!({"reasons": {"closed": ""}}),
            "setting `reasons` must not have an empty",
        );
        assert_refused(
            json!({"reasons": {"shut": "x"}}),
            "setting `reasons` does not fit: shut: unknown field",
        );
    }
}
