//! What is sent in a payload's place: text with places for fields of the payload.
//!
//! Nothing is computed. A language with loops and text functions would let a few
//! characters fill the memory of the process; who wants to compute writes a plugin.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::path::Path;

/// `{"text": {{ result.reason }}}`: every place is filled in with the field's JSON,
/// `null` where the payload has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BodyTemplate {
    parts: Vec<Part>,
}

crate::domain::schema::of!(BodyTemplate as String);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Path),
}

/// A text that is no template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    #[error("a template has at most {} bytes", BodyTemplate::MAX_LEN)]
    TooLong,
    #[error("{{{{ must be followed by a field's path and }}}}, as in {{{{ result.reason }}}}")]
    Place,
}

/// The template writes more than a body may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the template writes more than {} bytes with this event",
    BodyTemplate::MAX_BODY
)]
pub struct TooLarge;

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

impl BodyTemplate {
    /// Longest template, in bytes.
    pub const MAX_LEN: usize = 16 << 10;
    /// Longest body it may write, in bytes.
    pub const MAX_BODY: usize = 16 << 20;

    fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        if text.len() > Self::MAX_LEN {
            return Err(InvalidTemplate::TooLong);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(OPEN) {
            let (inside, left) = after.split_once(CLOSE).ok_or(InvalidTemplate::Place)?;
            let path = Path::parse(inside.trim()).map_err(|_| InvalidTemplate::Place)?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Field(path));
            rest = left;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Ok(Self { parts })
    }

    pub fn render(&self, payload: &Value) -> Result<String, TooLarge> {
        let mut body = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => body.push_str(text),
                Part::Field(path) => match path.find(payload) {
                    Some(value) => body.push_str(&value.to_string()),
                    None => body.push_str("null"),
                },
            }
            if body.len() > Self::MAX_BODY {
                return Err(TooLarge);
            }
        }
        Ok(body)
    }
}

impl TryFrom<String> for BodyTemplate {
    type Error = InvalidTemplate;
    fn try_from(text: String) -> Result<Self, InvalidTemplate> {
        Self::parse(&text)
    }
}

impl fmt::Display for BodyTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Field(path) => write!(f, "{OPEN} {} {CLOSE}", path.as_str()),
        })
    }
}

impl From<BodyTemplate> for String {
    fn from(template: BodyTemplate) -> Self {
        template.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn render(template: &str, payload: &Value) -> Result<String, TooLarge> {
        BodyTemplate::parse(template).unwrap().render(payload)
    }

    #[test]
    fn places_are_filled_in_with_json() {
        let payload = json!({"reason": "he said \"no\"", "n": [1, 2]});
        assert_eq!(
            render(r#"{"text":{{reason}},"n":{{ n }},"x":{{ n.7 }}}"#, &payload).unwrap(),
            r#"{"text":"he said \"no\"","n":[1,2],"x":null}"#
        );
        assert_eq!(
            render("{{reason}}", &json!({"reason": "{{reason}}"})).unwrap(),
            r#""{{reason}}""#,
            "what a payload holds is not read again"
        );
    }

    #[test]
    fn a_body_is_bounded() {
        let payload = json!({"a": "x".repeat(1 << 20)});
        assert_eq!(render(&"{{a}}".repeat(17), &payload), Err(TooLarge));
    }

    #[test]
    fn mistakes_are_refused() {
        for text in ["{{", "{{ a", "{{}}", "{{ a b }}", "{{ a | upper }}"] {
            assert_eq!(
                BodyTemplate::parse(text),
                Err(InvalidTemplate::Place),
                "{text}"
            );
        }
        let long = "x".repeat(BodyTemplate::MAX_LEN + 1);
        assert_eq!(BodyTemplate::parse(&long), Err(InvalidTemplate::TooLong));
    }

    proptest! {
        #[test]
        fn a_template_reads_back_what_it_shows(text in "[ -~]{0,40}") {
            if let Ok(template) = BodyTemplate::parse(&text) {
                prop_assert_eq!(BodyTemplate::parse(&template.to_string()), Ok(template));
            }
        }
    }
}
