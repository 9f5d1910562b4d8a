//! `${env:NAME}` and `${file:PATH}` in a text stand for what is there. So a secret need
//! not be in the file, and one file serves several places.

use std::path::Path;

/// Why a text cannot be filled in.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfilled {
    #[error("the environment has no variable {0} (of ${{env:{0}}})")]
    NoVariable(String),
    #[error("{path} cannot be read (of ${{file:{path}}}): {source}")]
    NoFile {
        path: String,
        source: std::io::Error,
    },
    #[error("${{{0}: has no }} at its end")]
    Open(&'static str),
}

const ENV: &str = "env";
const FILE: &str = "file";

/// Fills a text in. Paths begin at the folder.
pub(super) fn fill(text: &str, folder: &Path) -> Result<String, Unfilled> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, what, after)) = next(rest) {
        filled.push_str(before);
        let (name, after) = after.split_once('}').ok_or(Unfilled::Open(what))?;
        filled.push_str(&value(what, name, folder)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// What is before the next thing to fill in, what it is, and what follows.
fn next(text: &str) -> Option<(&str, &'static str, &str)> {
    let found = [ENV, FILE].into_iter().filter_map(|what| {
        let (before, after) = text.split_once(&format!("${{{what}:"))?;
        Some((before, what, after))
    });
    found.min_by_key(|(before, _, _)| before.len())
}

fn value(what: &str, name: &str, folder: &Path) -> Result<String, Unfilled> {
    if what == ENV {
        return std::env::var(name).map_err(|_| Unfilled::NoVariable(name.to_owned()));
    }
    let text = std::fs::read_to_string(folder.join(name)).map_err(|source| Unfilled::NoFile {
        path: name.to_owned(),
        source,
    })?;
    // An editor's line end is not part of it.
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_filled_in() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "s3cret\n").unwrap();
        let fill = |text| fill(text, folder.path());
        assert_eq!(fill("Bearer ${file:token}!").unwrap(), "Bearer s3cret!");
        assert_eq!(
            fill("${secret:crm} ${file:token}${file:token} $").unwrap(),
            "${secret:crm} s3crets3cret $"
        );
        assert_eq!(fill("${env:PATH}").unwrap(), std::env::var("PATH").unwrap());
        for (bad, said) in [
            (
                "${env:HOOKSWITCH_NOBODY_SETS}",
                "no variable HOOKSWITCH_NOBODY_SETS",
            ),
            ("${file:nowhere}", "nowhere cannot be read"),
            ("${env:OPEN", "has no } at its end"),
        ] {
            let error = fill(bad).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
