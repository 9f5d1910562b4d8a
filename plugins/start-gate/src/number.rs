//! Numbers as platforms write them, and the patterns of the settings.

use std::fmt;

use serde::Deserialize;

/// A phone number or SIP user, in the one form that patterns compare with.
///
/// Platforms and carriers write the same number in many ways: with and without
/// `+`, with spaces, as a `sip:` URI. Scheme, domain, punctuation and case go;
/// the `+` does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    plain: String,
    international: bool,
}

impl Number {
    /// None when nothing is left of the text, or the caller hides the number.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = ["sip:", "sips:", "tel:"]
            .iter()
            .find_map(|scheme| strip_prefix_ignoring_case(text, scheme))
            .unwrap_or(text);
        let user = text.split(['@', ';']).next().unwrap_or_default();
        let plain: String = user
            .chars()
            .filter(|c| !" -().+".contains(*c))
            .flat_map(char::to_lowercase)
            .collect();
        let hidden = ["anonymous", "unknown", "private", "restricted"].contains(&plain.as_str());
        let international = user.trim_start().starts_with('+');
        (!plain.is_empty() && !hidden).then_some(Self {
            plain,
            international,
        })
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_number = self.plain.bytes().all(|byte| byte.is_ascii_digit());
        let plus = if self.international || is_number {
            "+"
        } else {
            ""
        };
        write!(formatter, "{plus}{}", self.plain)
    }
}

/// A number, or the beginning of one followed by `*`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Pattern {
    plain: String,
    is_prefix: bool,
}

impl Pattern {
    /// How much of the number the pattern names, or none when it is not about
    /// that number. A whole number is more than every prefix.
    pub(crate) fn matches(&self, number: &Number) -> Option<usize> {
        if self.is_prefix {
            number
                .plain
                .starts_with(&self.plain)
                .then_some(self.plain.len())
        } else {
            (self.plain == number.plain).then_some(self.plain.len() + 1)
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (number, is_prefix) = match text.trim().strip_suffix('*') {
            Some(number) => (number, true),
            None => (text.trim(), false),
        };
        match Number::new(number) {
            Some(number) if !number.plain.contains('*') => Ok(Self {
                plain: number.plain,
                is_prefix,
            }),
            _ => Err(format!(
                "`{text}` is no number like +14155551234 or prefix like +1415*"
            )),
        }
    }
}

/// Patterns without an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Patterns(Vec<Pattern>);

impl Patterns {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How much the best pattern names of that number, or none.
    pub(crate) fn longest_match(&self, number: &Number) -> Option<usize> {
        self.0
            .iter()
            .filter_map(|pattern| pattern.matches(number))
            .max()
    }
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| &text[prefix.len()..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        Number::new(text).unwrap()
    }

    fn pattern(text: &str) -> Pattern {
        Pattern::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn one_number_in_many_forms_is_one_number() {
        for text in [
            "14155551234",
            " +1 (415) 555-1234 ",
            "sip:+14155551234@sip.provider.com",
            "SIP:14155551234;user=phone",
            "tel:+1-415-555-1234",
        ] {
            assert_eq!(number(text).plain, "14155551234", "{text}");
            assert_eq!(number(text).to_string(), "+14155551234", "{text}");
        }
        assert_eq!(number("sip:Alice@example.com").to_string(), "alice");
    }

    #[test]
    fn a_hidden_number_is_none() {
        for text in [
            "",
            "  ",
            "anonymous",
            "sip:anonymous@anonymous.invalid",
            "Unknown",
            "+",
        ] {
            assert_eq!(Number::new(text), None, "{text}");
        }
    }

    #[test]
    fn a_whole_number_is_more_than_the_longest_prefix() {
        let caller = number("+14155551234");
        let whole = pattern("+14155551234").matches(&caller);
        let prefix = pattern("+14155551234*").matches(&caller);
        assert!(whole > prefix && prefix > pattern("+1415*").matches(&caller));
        assert_eq!(pattern("+1416*").matches(&caller), None);
        assert_eq!(pattern("+1415").matches(&caller), None);
    }

    #[test]
    fn a_pattern_that_names_nothing_is_refused() {
        for text in ["", "*", "+*", "+1*415", "**"] {
            assert!(Pattern::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_number_or_none(text in "\\PC*") {
            let _ = Number::new(&text);
            let _ = Pattern::try_from(text);
        }

        #[test]
        fn a_number_matches_itself_and_each_of_its_prefixes(digits in "[1-9][0-9]{6,14}", length in 1_usize..7) {
            let caller = number(&format!("+{digits}"));
            let prefix = format!("+{}*", &digits[..length]);
            prop_assert!(pattern(&digits).matches(&caller).is_some());
            prop_assert!(pattern(&prefix).matches(&caller).is_some());
        }
    }
}
