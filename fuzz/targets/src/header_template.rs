//! Header templates of grants: a text with places for secrets, which is filled in
//! for every request of a plugin and must never become more than one header.
//!
//! Judged by a reading of our own: split at `${`, every piece but the first begins
//! with `secret:NAME}`.

use hookswitch::domain::grant::http::{HeaderTemplate, is_header_text};
use hookswitch::domain::plugin::Name;
use http::HeaderValue;

const OPEN: &str = "${";

/// A value that would be read as a place for a secret, if it were read.
const SECRET: &str = "${secret:other} \\ %0d%0a {x}";

/// Checks what is made of a text as a template.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let read = HeaderTemplate::parse(text);
    let wanted = pieces(text).filter(|_| {
        text.len() <= HeaderTemplate::MAX_LEN && text.chars().all(|c| matches!(c, ' '..='~'))
    });
    let (template, pieces) = match (read, wanted) {
        (Ok(template), Some(pieces)) => (template, pieces),
        (Err(error), None) => return assert!(!error.to_string().is_empty()),
        (read, wanted) => panic!("{text:?} was read as {read:?}, and is {wanted:?}"),
    };
    assert_eq!(
        template.to_string(),
        text,
        "a template shows what it was read from"
    );
    reads_back(&template);

    let names: Vec<&str> = template.names().map(Name::as_str).collect();
    let wanted: Vec<&str> = pieces.secrets().collect();
    assert_eq!(names, wanted);
    filled_in(&template, &pieces);
}

/// The texts of a template, and between them the names of its secrets.
#[derive(Debug)]
struct Pieces<'a> {
    first: &'a str,
    rest: Vec<(&'a str, &'a str)>,
}

impl<'a> Pieces<'a> {
    fn secrets(&self) -> impl Iterator<Item = &'a str> {
        self.rest.iter().map(|(name, _)| *name)
    }

    fn with(&self, secret: impl Fn(&str) -> &'a str) -> String {
        let rest = self
            .rest
            .iter()
            .flat_map(|(name, text)| [secret(name), *text]);
        std::iter::once(self.first).chain(rest).collect()
    }
}

fn pieces(text: &str) -> Option<Pieces<'_>> {
    let mut pieces = text.split(OPEN);
    let first = pieces.next()?;
    let rest = pieces.map(|piece| {
        let (name, text) = piece.strip_prefix("secret:")?.split_once('}')?;
        name.parse::<Name>().ok()?;
        Some((name, text))
    });
    let rest = rest.collect::<Option<_>>()?;
    Some(Pieces { first, rest })
}

fn filled_in(template: &HeaderTemplate, pieces: &Pieces<'_>) {
    let full = template
        .render(|_| Some(SECRET))
        .expect("every secret is there");
    assert_eq!(full, pieces.with(|_| SECRET), "a secret is not read again");
    assert!(is_header_text(&full));
    assert!(
        HeaderValue::from_str(&full).is_ok(),
        "{full:?} is a header's value"
    );

    for missing in pieces.secrets() {
        let others = |name: &Name| (name.as_str() != missing).then_some("x");
        assert_eq!(template.render(others), None, "without {missing}");
    }
    if pieces.rest.is_empty() {
        assert_eq!(template.render(|_| None).as_deref(), Some(pieces.first));
    }
    // By name, not by place.
    let own = template.render(|name| pieces.secrets().find(|wanted| *wanted == name.as_str()));
    let wanted: String = std::iter::once(pieces.first)
        .chain(pieces.rest.iter().flat_map(|(name, text)| [*name, *text]))
        .collect();
    assert_eq!(own, Some(wanted));
}

fn reads_back(template: &HeaderTemplate) {
    let shown = serde_json::to_string(template).expect("a template is JSON");
    let again: HeaderTemplate = serde_json::from_str(&shown).expect("what is shown can be read");
    assert_eq!(&again, template);
}
