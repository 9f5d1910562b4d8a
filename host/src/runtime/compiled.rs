//! Compiled forms of components on disk, so that a restart compiles nothing.
//!
//! A compiled form is machine code: loading one that somebody else wrote would run
//! it. So the folder belongs to the host alone (mode 0700), files are named by the
//! component's digest under a folder named by the engine's settings, and they are
//! put in place whole, by renaming.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::TempPath;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::domain::plugin::Digest;

#[derive(Debug, Clone)]
pub(super) struct CompiledCache {
    folder: PathBuf,
}

impl CompiledCache {
    pub(super) fn open(root: &Path, engine: &Engine) -> io::Result<Self> {
        // Whatever changes machine code (version, target, settings) changes this.
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let folder = root.join(format!("{:016x}", hasher.finish()));
        fs::create_dir_all(&folder)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(root, fs::Permissions::from_mode(0o700))?;
        }
        Ok(Self { folder })
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{}.cwasm", digest.hex()))
    }

    /// The component, if its compiled form is there. One that cannot be loaded
    /// counts as absent: compiling again mends it.
    pub(super) fn load(&self, engine: &Engine, digest: &Digest) -> Option<Component> {
        if !self.path(digest).exists() {
            return None;
        }
        match self.try_load(engine, digest) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(%digest, error = format!("{error:#}"), "compiled form is unusable, compiling again");
                None
            }
        }
    }

    /// The component from its compiled form, which is removed if it is no good.
    #[allow(unsafe_code)]
    pub(super) fn try_load(&self, engine: &Engine, digest: &Digest) -> wasmtime::Result<Component> {
        let path = self.path(digest);
        // SAFETY: the file was put there by `keep` below, in a folder that only this
        // process's user may write to, from what the same engine settings compiled
        // (they are part of the path, and Wasmtime checks them again).
        let loaded = unsafe { Component::deserialize_file(engine, &path) };
        if loaded.is_err() {
            let _ = fs::remove_file(&path);
        }
        loaded
    }

    /// The digests of all compiled forms, the newest first.
    pub(super) fn digests(&self) -> io::Result<Vec<Digest>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let hex = name.to_str().and_then(|name| name.strip_suffix(".cwasm"));
            let digest = hex.and_then(|hex| format!("sha256:{hex}").parse().ok());
            if let Some(digest) = digest {
                let made = entry.metadata()?.modified()?;
                found.push((made, digest));
            }
        }
        found.sort_unstable_by_key(|&(made, _)| std::cmp::Reverse(made));
        Ok(found.into_iter().map(|(_, digest)| digest).collect())
    }

    /// Files beside the compiled forms, for a compilation: they go when dropped.
    pub(super) fn scratch(&self, bytes: &[u8]) -> io::Result<Scratch> {
        let mut component = tempfile::NamedTempFile::new_in(&self.folder)?;
        component.write_all(bytes)?;
        component.flush()?;
        Ok(Scratch {
            component: component.into_temp_path(),
            output: tempfile::NamedTempFile::new_in(&self.folder)?.into_temp_path(),
        })
    }

    /// Puts what was compiled in its place.
    pub(super) fn keep(&self, digest: &Digest, output: TempPath) -> io::Result<()> {
        output.persist(self.path(digest))?;
        Ok(())
    }
}

/// Takes the pages of a component's compiled form out of this process; they are mapped
/// again when they are next touched.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(super) fn give_back(component: &Component) {
    use rustix::mm::{Advice, madvise};

    let image = component.image_range();
    let bytes = image.end.addr() - image.start.addr();
    // SAFETY: all components of this process come from `try_load`, so the range is a
    // mapping of a file that stays as it is, and Wasmtime has made it read-only: what is
    // mapped again is what was there, whoever runs in it or reads it meanwhile.
    let given = unsafe { madvise(image.start.cast_mut().cast(), bytes, Advice::LinuxDontNeed) };
    if let Err(error) = given {
        tracing::debug!(%error, "the pages of an idle plugin stay");
    }
}

/// Only of Linux is it known that this loses nothing.
#[cfg(not(target_os = "linux"))]
pub(super) fn give_back(_component: &Component) {}

/// A component and the place for its compiled form.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) component: TempPath,
    pub(super) output: TempPath,
}
