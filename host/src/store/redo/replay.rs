//! What a process has left in the redo log when it died goes into the tables before
//! anything else does.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ahead::EXTENSION;
use super::applier::{self, Database};
use super::segment::Left;
use crate::store::OpenError;
use crate::store::rows::{self, Entry};

/// Written together.
const BATCH: usize = 1024;

/// Writes what is left, and empties the folder. Gives the number of the last entry.
pub(in crate::store) fn replay(folder: &Path, database: &mut Database) -> Result<u64, OpenError> {
    let paths = paths(folder).map_err(|source| OpenError::Redo {
        file: folder.to_owned(),
        source,
    })?;
    let mut left = Vec::new();
    for path in &paths {
        left.extend(read(path)?);
    }
    left.sort_by_key(Left::first);
    let before = database.position()?;
    let mut last = before;
    let mut batch = Vec::new();
    let mut missing = false;
    for (sequence, bytes) in left.iter().flat_map(Left::frames) {
        // A file that was used again comes after what it held before.
        if sequence <= last {
            continue;
        }
        if sequence != last + 1 {
            missing = true;
            break;
        }
        last = sequence;
        batch.push((sequence, Entry::of(bytes.to_vec())));
        if batch.len() >= BATCH {
            applier::write_left(database, folder, std::mem::take(&mut batch))?;
        }
    }
    applier::write_left(database, folder, batch)?;
    if last > before {
        tracing::info!(
            entries = last - before,
            "what the process before has acknowledged was written into the tables"
        );
    }
    // Also what that process has written itself: it need not be on the disk.
    if !paths.is_empty() {
        database.sync().map_err(|source| OpenError::Redo {
            file: database.log(),
            source,
        })?;
    }
    if missing {
        tracing::warn!(
            after = last,
            "after a loss of power the redo log has entries that do not follow what is there: they were promised to nobody, their files are kept with the ending .missing"
        );
    }
    for path in paths {
        let done = if missing {
            fs::rename(&path, path.with_extension("missing"))
        } else {
            fs::remove_file(&path)
        };
        done.map_err(|source| OpenError::Redo { file: path, source })?;
    }
    Ok(last)
}

fn paths(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let is_of_log = |path: &PathBuf| path.extension() == Some(OsStr::new(EXTENSION));
    paths
        .filter(|path| path.as_ref().map_or(true, is_of_log))
        .collect()
}

fn read(path: &Path) -> Result<Option<Left>, OpenError> {
    let read = Left::read(path).map_err(|source| OpenError::Redo {
        file: path.to_owned(),
        source,
    })?;
    read.map_err(|other| OpenError::RedoFormat {
        found: other.0,
        known: rows::FORMAT,
    })
}
