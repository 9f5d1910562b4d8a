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

/// A component and the place for its compiled form.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) component: TempPath,
    pub(super) output: TempPath,
}
