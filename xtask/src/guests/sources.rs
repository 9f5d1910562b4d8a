//! What guests there are, and what they are made of.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

/// Folders whose direct children are guests, if their package is a component:
/// a `cdylib`. (The others are libraries that guests share.) A guest's folder is
/// named as its package.
const GUEST_FOLDERS: [&str; 2] = ["plugins", "tests/guests"];

/// Everything a guest is compiled from. The root manifest is among it because
/// the SDK takes its versions from there.
const INPUTS: [&str; 5] = ["Cargo.toml", "wit", "sdk", "plugins", "tests/guests"];

/// The guests of one state of the tree.
#[derive(Debug)]
pub(super) struct Sources {
    /// Package names, sorted.
    pub(super) guests: Vec<String>,
    /// SHA-256 over the relative paths and contents of all inputs.
    pub(super) digest: [u8; 32],
}

impl Sources {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut guests = Vec::new();
        for folder in GUEST_FOLDERS {
            for guest in folders_in(&root.join(folder))? {
                if is_component(&guest) {
                    guests.extend(
                        guest
                            .file_name()
                            .map(|name| name.to_string_lossy().into_owned()),
                    );
                }
            }
        }
        guests.sort();
        ensure!(
            !guests.is_empty(),
            "there are no guests under {}",
            root.display()
        );
        Ok(Self {
            guests,
            digest: digest(root)?,
        })
    }
}

fn is_component(package: &Path) -> bool {
    fs::read_to_string(package.join("Cargo.toml")).is_ok_and(|text| text.contains("cdylib"))
}

fn digest(root: &Path) -> Result<[u8; 32]> {
    digest_of(root, &INPUTS)
}

/// SHA-256 over the relative paths and contents of all files in these folders.
pub(super) fn digest_of(root: &Path, inputs: &[impl AsRef<Path>]) -> Result<[u8; 32]> {
    let mut files = Vec::new();
    for input in inputs {
        collect_files(&root.join(input), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file
            .strip_prefix(root)
            .unwrap_or(&file)
            .to_string_lossy()
            .into_owned();
        // Lengths first, so that no two trees run into the same bytes.
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(content);
    }
    Ok(hash.finalize().into())
}

fn collect_files(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_dir() {
        for entry in entries_in(path)? {
            if is_source(&entry) {
                collect_files(&entry, files)?;
            }
        }
    } else if path.is_file() {
        files.push(path.to_path_buf());
    }
    Ok(())
}

/// False for what cargo and editors leave lying about.
fn is_source(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name != "target" && !name.to_string_lossy().starts_with('.'))
}

fn folders_in(path: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries_in(path)?
        .into_iter()
        .filter(|entry| entry.is_dir())
        .collect())
}

fn entries_in(path: &Path) -> Result<Vec<PathBuf>> {
    let read = || fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect();
    let entries: std::io::Result<_> = read();
    entries.with_context(|| format!("cannot list {}", path.display()))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn tree() -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in [
            ("Cargo.toml", "[workspace]"),
            ("wit/v1/types.wit", "package a:b;"),
            ("sdk/src/lib.rs", "//! sdk"),
            ("plugins/Cargo.toml", "[workspace]"),
            ("plugins/gate/Cargo.toml", r#"crate-type = ["cdylib"]"#),
            ("plugins/gate/src/lib.rs", "//! gate"),
            ("tests/guests/bomb/Cargo.toml", r#"crate-type = ["cdylib"]"#),
        ] {
            write(root.path(), path, content);
        }
        root
    }

    fn write(root: &Path, path: &str, content: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[test]
    fn guests_are_the_components_in_both_folders() {
        let root = tree();
        write(root.path(), "plugins/notes/README.md", "no package");
        write(root.path(), "plugins/shared/Cargo.toml", "[package]");
        assert_eq!(Sources::read(root.path()).unwrap().guests, ["bomb", "gate"]);
    }

    #[test]
    fn every_change_of_a_source_changes_the_digest() {
        let root = tree();
        let before = digest(root.path()).unwrap();
        write(root.path(), "plugins/gate/src/lib.rs", "//! gate!");
        let changed = digest(root.path()).unwrap();
        assert_ne!(before, changed);
        write(root.path(), "plugins/gate/src/lib.rs", "//! gate");
        assert_eq!(before, digest(root.path()).unwrap());
        fs::rename(
            root.path().join("wit/v1/types.wit"),
            root.path().join("wit/v1/t.wit"),
        )
        .unwrap();
        assert_ne!(before, digest(root.path()).unwrap());
    }

    #[test]
    fn what_a_build_leaves_behind_changes_nothing() {
        let root = tree();
        let before = digest(root.path()).unwrap();
        write(root.path(), "plugins/target/release/gate.wasm", "built");
        write(root.path(), "plugins/gate/src/.lib.rs.swp", "editor");
        assert_eq!(before, digest(root.path()).unwrap());
    }
}
