//! Building the guests: every plugin under `plugins/` and every guest of the
//! failure tests under `tests/guests/` becomes a component in
//! `target/guests/<package-name>.wasm`.
//!
//! In reading order: [`ensure`] decides whether there is anything to do,
//! `sources.rs` says which guests there are and what they are made of,
//! `toolchain.rs` finds a Rust that can build for `wasm32-wasip2`, and
//! `build.rs` runs it. Guests in other languages have a way of their own:
//! `languages/`.

mod build;
mod environment;
pub mod languages;
mod sources;
mod toolchain;

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use anyhow::{Context, Result, anyhow};

pub(crate) use self::toolchain::run_within;
use self::{sources::Sources, toolchain::Toolchain};

/// The built guests.
#[derive(Clone, Debug)]
pub struct Guests {
    components: BTreeMap<String, PathBuf>,
}

impl Guests {
    /// The component of that name. The error lists the names there are.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        self.components.get(name).cloned().ok_or_else(|| {
            let names: Vec<_> = self.components.keys().map(String::as_str).collect();
            anyhow!("there is no guest `{name}`; there are {}", names.join(", "))
        })
    }

    /// Every guest's name and component, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.components
            .iter()
            .map(|(name, path)| (name.as_str(), path.as_path()))
    }
}

/// Builds the guests unless they are there and made of today's sources.
///
/// When nothing has changed this takes milliseconds and runs no other program;
/// a process that has asked once knows. Of several processes that ask at once,
/// one builds and the others wait.
///
/// Fails when the guests do not build, or when there is no Rust that can build
/// for `wasm32-wasip2` and none can be installed; the error says what to do.
pub fn ensure() -> Result<Guests> {
    static KNOWN: OnceLock<Guests> = OnceLock::new();
    if let Some(guests) = KNOWN.get() {
        return Ok(guests.clone());
    }
    let guests = find_or_build()?;
    Ok(KNOWN.get_or_init(|| guests).clone())
}

fn find_or_build() -> Result<Guests> {
    let root = repository();
    let folder = target_folder(&root).join("guests");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let _lock = lock(&folder)?;

    let sources = Sources::read(&root)?;
    let components: BTreeMap<_, _> = sources
        .guests
        .iter()
        .map(|guest| (guest.clone(), folder.join(format!("{guest}.wasm"))))
        .collect();
    let stamp = folder.join("stamp");

    if let Some(toolchain) = Toolchain::installed()? {
        let fingerprint = toolchain.fingerprint(&sources.digest);
        if is_built(&stamp, &fingerprint, &components) {
            return Ok(Guests { components });
        }
    }
    let toolchain = Toolchain::installed_or_install()?;
    let fingerprint = toolchain.fingerprint(&sources.digest);
    // A build that fails half way must not pass for the last good one.
    let _ = fs::remove_file(&stamp);
    build::build(&toolchain, &root, &folder, &components)?;
    fs::write(&stamp, fingerprint).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(Guests { components })
}

/// Builds a component that is no plugin, from a workspace of its own in that folder.
pub(crate) fn apart(workspace: &Path, package: &str) -> Result<PathBuf> {
    let folder = target_folder(&repository()).join("guests");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let _lock = lock(&folder)?;
    let toolchain = Toolchain::installed_or_install()?;
    build::build_apart(&toolchain, workspace, &folder, package)
}

fn is_built(stamp: &Path, fingerprint: &str, components: &BTreeMap<String, PathBuf>) -> bool {
    fs::read_to_string(stamp).is_ok_and(|found| found == fingerprint)
        && components.values().all(|path| path.is_file())
}

/// Waits until this process alone works on the guests. The lock goes with the
/// file, also when the process is killed.
pub(crate) fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    file.lock()
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// The folder this crate was compiled in.
pub(crate) fn repository() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// The root workspace's target folder, as cargo would choose it.
pub(crate) fn target_folder(root: &Path) -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty()) {
        // A relative one is meant from the root, where cargo is called: tests run
        // in the folder of their package. An absolute one `join` leaves as it is.
        Some(folder) => root.join(folder),
        None => root.join("target"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_guest_is_refused_with_the_names_there_are() {
        let components = ["a-gate", "b-tools"].map(|name| (name.to_owned(), PathBuf::from(name)));
        let guests = Guests {
            components: components.into(),
        };
        assert_eq!(guests.path("a-gate").unwrap(), Path::new("a-gate"));
        let error = guests.path("c").unwrap_err().to_string();
        assert_eq!(error, "there is no guest `c`; there are a-gate, b-tools");
    }
}
