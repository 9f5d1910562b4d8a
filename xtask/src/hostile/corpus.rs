//! The attacks: what is uploaded, how it is bound, and how it has to end.
//!
//! One list for the tests and for the table. `uploads` are refused before anything of
//! them runs for a call; `calls` run and are ended; `egress` tries the way out.
//! Neighbour: `target` mounts what stands here.

mod calls;
mod egress;
mod uploads;

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::component;
use super::target::Materials;
use crate::host;

/// One attack.
#[derive(Debug)]
pub struct Attack {
    /// Also the name of its file in `tests/hostile/`, if it has one.
    pub name: &'static str,
    pub expected: Expected,
    bytes: Bytes,
    /// What its binding has beside plugin and selector: settings, grants, limits.
    pub(super) binding: Value,
    /// How many strike at a time in the table.
    pub(super) at_once: usize,
}

/// Where the bytes of an attack are from.
#[derive(Debug, Clone, Copy)]
enum Bytes {
    /// The file of its name, made into its binary form.
    Text,
    /// A file as it is.
    File(&'static str),
    Made(fn() -> Result<Vec<u8>>),
    MadeOf(fn(&Materials) -> Result<Vec<u8>>),
    /// One of the built guests.
    Guest(&'static str),
}

/// How an attack has to end.
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    /// At upload: 422 with one of these problem codes.
    Refused(&'static [&'static str]),
    /// In the call, which fails with this code; then its verdict stands.
    Failed(&'static str),
    /// The guest is told no, goes on and answers.
    Answered,
    /// The same; and it says which error of `wasi:http` it was told, one of these.
    Told(&'static [&'static str]),
}

/// How an attack ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Refused {
        status: u16,
        code: String,
    },
    Failed {
        code: String,
        message: String,
        memory_bytes: u64,
        /// Whether the binding's verdict was answered in the guest's place.
        verdict_stands: bool,
    },
    /// With what the guest said of an error it was told.
    Answered {
        error: Option<String>,
    },
}

impl Attack {
    fn new(name: &'static str, expected: Expected) -> Self {
        Self {
            name,
            expected,
            bytes: Bytes::Text,
            binding: json!({}),
            at_once: 4,
        }
    }

    fn of(mut self, bytes: Bytes) -> Self {
        self.bytes = bytes;
        self
    }

    fn bound(mut self, binding: Value) -> Self {
        self.binding = binding;
        self
    }

    fn one_at_a_time(mut self) -> Self {
        self.at_once = 1;
        self
    }

    /// What is uploaded.
    pub(super) fn bytes(&self, materials: &Materials) -> Result<Vec<u8>> {
        match self.bytes {
            Bytes::Text => {
                let path = folder()?.join(format!("{}.wat", self.name));
                let text = std::fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                component::from_text(&text).with_context(|| path.display().to_string())
            }
            Bytes::File(name) => {
                let path = folder()?.join(name);
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
            }
            Bytes::Made(make) => make(),
            Bytes::MadeOf(make) => make(materials),
            Bytes::Guest(name) => materials.guest(name),
        }
    }

    /// The name of its file in `tests/hostile/`.
    pub fn file(&self) -> Option<String> {
        match self.bytes {
            Bytes::Text => Some(format!("{}.wat", self.name)),
            Bytes::File(name) => Some(name.to_owned()),
            Bytes::Made(_) | Bytes::MadeOf(_) | Bytes::Guest(_) => None,
        }
    }
}

impl Expected {
    /// How an outcome differs from this; none if it does not.
    pub fn difference(&self, outcome: &Outcome) -> Option<String> {
        let as_expected = match (self, outcome) {
            (Self::Refused(codes), Outcome::Refused { status, code }) => {
                *status == 422 && codes.contains(&code.as_str())
            }
            (
                Self::Failed(wanted),
                Outcome::Failed {
                    code,
                    verdict_stands,
                    ..
                },
            ) => code == wanted && *verdict_stands,
            (Self::Answered, Outcome::Answered { .. }) => true,
            (Self::Told(codes), Outcome::Answered { error: Some(error) }) => {
                codes.contains(&error.as_str())
            }
            _ => false,
        };
        (!as_expected).then(|| format!("expected {self:?}, it ended with {outcome:?}"))
    }
}

impl Outcome {
    /// In a word or two.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Refused { code, .. } => format!("refused: {code}"),
            Self::Failed { code, .. } => format!("ended: {code}"),
            Self::Answered { error: Some(error) } => format!("told: {error}"),
            Self::Answered { error: None } => "told no, answered".to_owned(),
        }
    }
}

/// Every attack, against an adversary that listens on that port.
pub(super) fn attacks(port: u16) -> Vec<Attack> {
    let mut attacks = calls::attacks();
    attacks.extend(egress::attacks(port));
    attacks.extend(uploads::attacks());
    attacks
}

/// The names of the files in `tests/hostile/`.
pub fn files() -> Result<Vec<String>> {
    std::fs::read_dir(folder()?)
        .context("the folder of attacks cannot be read")?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

fn folder() -> Result<PathBuf> {
    Ok(host::workspace()?.join("tests/hostile"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_files_become_bytes() {
        let mut names = Vec::new();
        for attack in attacks(1) {
            assert!(!names.contains(&attack.name), "{} twice", attack.name);
            names.push(attack.name);
            if let Some(file) = attack.file() {
                let path = folder().unwrap().join(&file);
                let text = std::fs::read_to_string(path).unwrap();
                if file.strip_suffix(".wat").is_some() {
                    assert!(
                        text.starts_with(";; Attack: "),
                        "{file} does not say what it attacks"
                    );
                    assert!(
                        text.contains("\n;; Must happen: "),
                        "{file} does not say what must happen"
                    );
                    component::from_text(&text).unwrap();
                }
            }
        }
    }

    #[test]
    fn another_end_than_the_expected_one_is_a_difference() {
        let failed = |code: &str, verdict_stands| Outcome::Failed {
            code: code.to_owned(),
            message: String::new(),
            memory_bytes: 0,
            verdict_stands,
        };
        let cpu = Expected::Failed("cpu");
        assert_eq!(cpu.difference(&failed("cpu", true)), None);
        assert!(cpu.difference(&failed("trap", true)).is_some());
        assert!(cpu.difference(&failed("cpu", false)).is_some());
        assert!(cpu.difference(&Outcome::Answered { error: None }).is_some());
        let refused = |status| Outcome::Refused {
            status,
            code: "not_wasm".to_owned(),
        };
        let expected = Expected::Refused(&["not_wasm"]);
        assert_eq!(expected.difference(&refused(422)), None);
        assert!(expected.difference(&refused(500)).is_some());
        let told = |error: &str| Outcome::Answered {
            error: Some(error.to_owned()),
        };
        let expected = Expected::Told(&["DNS-error"]);
        assert_eq!(expected.difference(&told("DNS-error")), None);
        assert!(expected.difference(&told("DNS-timeout")).is_some());
        assert!(
            expected
                .difference(&Outcome::Answered { error: None })
                .is_some()
        );
    }
}
