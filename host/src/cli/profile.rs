//! Profiles: servers and the tokens for them, as `hookswitch login` stores them.
//!
//! A TOML file in the user's configuration folder that only its owner may read:
//! `$XDG_CONFIG_HOME/hookswitch/config.toml`, else `~/.config/hookswitch/config.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

/// The profile of those who name none.
pub(super) const DEFAULT: &str = "default";

/// Everything in the file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profiles {
    /// The one that is used unless another is named: that of the last login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) current: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

/// A server, and who asks it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    pub(super) server: String,
    pub(super) token: String,
    /// For operators: the organization to act in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) organization: Option<String>,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// Reads a profile's name from the command line.
pub(super) fn name(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !text.is_empty() && text.len() <= 63 && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err("a profile's name has 1 to 63 letters, digits, - _ and .")
}

/// Where the file is, or shall be.
pub(super) fn path() -> anyhow::Result<PathBuf> {
    let set = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = set.filter(|path| path.is_absolute());
    let folder = folder.or_else(|| Some(std::env::home_dir()?.join(".config")));
    let folder =
        folder.context("where are profiles stored? Set HOME, or XDG_CONFIG_HOME to a folder")?;
    Ok(folder.join("hookswitch").join("config.toml"))
}

/// Reads the file. That there is none is all right: then there are no profiles.
pub(super) fn read() -> anyhow::Result<Profiles> {
    // Who has no folder for it has no file either.
    let Ok(path) = path() else {
        return Ok(Profiles::default());
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if is_absent(&error) => return Ok(Profiles::default()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
    };
    // Not the error's own text: it shows the line, and the token may be in it.
    toml::from_str(&text).map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        anyhow::anyhow!(
            "{}, line {line}: {}; correct it, or remove the file and log in again",
            path.display(),
            error.message()
        )
    })
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

impl Profiles {
    /// The profile of that name, or the current one, if there is any.
    pub(super) fn chosen(&self, name: Option<&str>) -> anyhow::Result<Option<Profile>> {
        match name {
            None => Ok(self.profiles.get(self.current_name()).cloned()),
            Some(name) => match self.profiles.get(name) {
                Some(profile) => Ok(Some(profile.clone())),
                None => bail!(
                    "there is no profile {name:?}{}: make it with hookswitch login --profile {name}",
                    self.known()
                ),
            },
        }
    }

    pub(super) fn current_name(&self) -> &str {
        self.current.as_deref().unwrap_or(DEFAULT)
    }

    fn known(&self) -> String {
        if self.profiles.is_empty() {
            return String::new();
        }
        let names: Vec<_> = self.profiles.keys().map(String::as_str).collect();
        format!(" (there is: {})", names.join(", "))
    }

    /// Puts a profile in, and makes it the current one.
    pub(super) fn put(&mut self, name: &str, profile: Profile) {
        self.profiles.insert(name.to_owned(), profile);
        self.current = Some(name.to_owned());
    }

    /// Takes a profile out. The current one is then another, if there is one.
    pub(super) fn remove(&mut self, name: &str) -> Option<Profile> {
        let removed = self.profiles.remove(name)?;
        if self.current_name() == name {
            self.current = self.profiles.keys().next().cloned();
        }
        Some(removed)
    }

    /// Replaces the file as a whole; nobody but its owner may read it, at no time.
    pub(super) fn write(&self) -> anyhow::Result<PathBuf> {
        let path = path()?;
        replace(&path, &toml::to_string(self)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Created with mode 0600, and takes it along.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(server: &str) -> Profile {
        Profile {
            server: server.to_owned(),
            token: "hsk_x".to_owned(),
            organization: None,
        }
    }

    #[test]
    fn the_last_login_is_the_current_profile_until_it_is_gone() {
        let mut profiles = Profiles::default();
        assert!(profiles.chosen(None).unwrap().is_none());
        assert!(profiles.chosen(Some("work")).is_err());
        profiles.put("default", profile("http://a"));
        profiles.put("work", profile("http://b"));
        assert_eq!(profiles.chosen(None).unwrap().unwrap().server, "http://b");
        let text = toml::to_string(&profiles).unwrap();
        let mut again: Profiles = toml::from_str(&text).unwrap();
        assert!(again.remove("work").is_some());
        assert_eq!(again.chosen(None).unwrap().unwrap().server, "http://a");
    }

    #[test]
    fn a_profile_does_not_show_its_token() {
        assert!(!format!("{:?}", profile("http://a")).contains("hsk_x"));
    }
}
