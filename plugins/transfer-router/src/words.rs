//! Text as words, to find phrases at word boundaries and without regard to case.

use serde::Deserialize;

/// The words of a text, in order, in lower case. Whatever is neither letter nor
/// digit separates words, in the text as in the phrases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words(Vec<String>);

/// One word or several in a row.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Phrase(Words);

impl Words {
    pub(crate) fn of(text: &str) -> Self {
        let words = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty());
        Self(words.map(str::to_lowercase).collect())
    }

    pub(crate) fn contain(&self, phrase: &Phrase) -> bool {
        let Phrase(Words(phrase)) = phrase;
        self.0.windows(phrase.len()).any(|window| window == phrase)
    }
}

impl TryFrom<String> for Phrase {
    type Error = String;

    /// A phrase without a word would be in every text.
    fn try_from(text: String) -> Result<Self, String> {
        let words = Words::of(&text);
        if words.0.is_empty() {
            return Err(format!("`{text}` has no word in it"));
        }
        Ok(Self(words))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contains(text: &str, phrase: &str) -> bool {
        Words::of(text).contain(&Phrase::try_from(phrase.to_owned()).unwrap())
    }

    #[test]
    fn words_are_found_whole_and_in_any_case() {
        assert!(contains("I'd like to CANCEL, please.", "cancel"));
        assert!(contains("Ich möchte KÜNDIGEN!", "kündigen"));
        assert!(!contains("What is your cancellation policy?", "cancel"));
    }

    #[test]
    fn phrases_are_found_across_punctuation_but_not_across_other_words() {
        assert!(contains("Close my ... account!", "close my account"));
        assert!(contains("I don't want it", "don't want"));
        assert!(!contains("close my bank account", "close my account"));
    }

    proptest! {
        #[test]
        fn a_phrase_is_in_every_text_around_it(
            before in "[a-z ]{0,20}", phrase in "[a-z]{1,8}( [a-z]{1,8}){0,2}", after in "[a-z ]{0,20}"
        ) {
            let text = format!("{before}, {phrase}. {after}");
            prop_assert!(contains(&text, &phrase));
            prop_assert!(contains(&text.to_uppercase(), &phrase));
        }
    }
}
