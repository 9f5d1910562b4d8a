//! What a step has to come to, and how what came differs from it.

use serde_json::{Value, json};

use super::api::Answered;

pub(super) enum Expected {
    /// A question: this body, with status 200.
    Reply(Value),
    /// A question nobody answers: the platform's own fallback acts.
    NoAnswer,
    /// A notice: acknowledged, then this record is delivered to these endpoints. The
    /// record also has the event's id, which nobody knows before.
    Delivered {
        to: Vec<&'static str>,
        record: Value,
    },
    /// A notice: acknowledged, and left as it is.
    Unchanged,
}

impl Expected {
    /// How what came differs from this; none if it does not.
    pub(super) fn difference(&self, answered: &Answered, event: &Value) -> Option<String> {
        let (expected, found) = match self {
            Self::Reply(body) => (json!([200, body]), json!([answered.status, answered.body])),
            Self::NoAnswer => (
                json!([503, "no_answer"]),
                json!([answered.status, answered.body["code"]]),
            ),
            Self::Delivered { to, record } => {
                let mut record = record.clone();
                record["event_id"] = json!(answered.event);
                let owed: Vec<Value> = to.iter().map(|name| json!([name, record])).collect();
                (
                    handled(answered, "deliver", &owed),
                    came_of(answered, event),
                )
            }
            Self::Unchanged => (
                handled(answered, "unchanged", &[]),
                came_of(answered, event),
            ),
        };
        (expected != found).then(|| format!("expected {expected}\n  found    {found}"))
    }
}

/// A notice as it should be: its reply, what was decided, and what was delivered.
fn handled(answered: &Answered, decision: &str, owed: &[Value]) -> Value {
    let delivered = owed.iter().map(|owed| json!([owed[0], "delivered"]));
    let delivered: Vec<Value> = delivered.collect();
    let reply = json!({"received": true, "eventId": answered.event});
    json!([200, reply, "handled", decision, owed, delivered])
}

fn came_of(answered: &Answered, event: &Value) -> Value {
    let answer = &event["decision"]["answer"];
    let rows = |rows: &Value, columns: [&str; 2]| -> Vec<Value> {
        let rows = rows.as_array().into_iter().flatten();
        rows.map(|row| json!([row[columns[0]], row[columns[1]]]))
            .collect()
    };
    json!([
        answered.status,
        answered.body,
        event["state"],
        answer["decision"],
        rows(&answer["deliveries"], ["endpoint", "body"]),
        rows(&event["deliveries"], ["endpoint_name", "state"]),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: Value) -> Answered {
        Answered {
            status,
            text: body.to_string(),
            body,
            event: "evt_1".to_owned(),
        }
    }

    #[test]
    fn a_reply_is_expected_to_the_letter() {
        let expected = Expected::Reply(json!({"accept": true}));
        let difference = |status, body| expected.difference(&answered(status, body), &Value::Null);
        assert_eq!(difference(200, json!({"accept": true})), None);
        assert!(difference(200, json!({"accept": true, "more": 1})).is_some());
        assert!(difference(200, json!({"accept": false})).is_some());
        assert!(difference(500, json!({"accept": true})).is_some());
    }

    #[test]
    fn a_delivery_is_expected_with_its_body() {
        let expected = Expected::Delivered {
            to: vec!["crm"],
            record: json!({"a": 1}),
        };
        let acknowledged = answered(200, json!({"received": true, "eventId": "evt_1"}));
        let difference = |asked: Value, delivered: Value| {
            let decision = json!({"answer": {"decision": "deliver", "deliveries": asked}});
            let event = json!({"state": "handled", "decision": decision, "deliveries": delivered});
            expected.difference(&acknowledged, &event)
        };
        let asked = json!({"endpoint": "crm", "body": {"a": 1, "event_id": "evt_1"}});
        let arrived = json!({"endpoint_name": "crm", "state": "delivered"});
        assert_eq!(difference(json!([asked]), json!([arrived])), None);
        assert!(difference(json!([]), json!([])).is_some());
        assert!(difference(json!([asked, asked]), json!([arrived, arrived])).is_some());
        let of_another = json!({"endpoint": "crm", "body": {"a": 1, "event_id": "evt_2"}});
        assert!(difference(json!([of_another]), json!([arrived])).is_some());
        let failed = json!({"endpoint_name": "crm", "state": "exhausted"});
        assert!(difference(json!([asked]), json!([failed])).is_some());
    }
}
