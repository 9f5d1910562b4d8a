//! Has the next file of the redo log ready before the one in use is full: making one
//! takes as long as the disk does.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use super::segment::Segment;
use super::{NextFile, Shared};
use crate::priority;
use crate::store::OpenError;

/// By it files are known in the folder.
pub(super) const EXTENSION: &str = "redo";

/// Names are never used twice.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:020}.{EXTENSION}"))
}

/// Starts the thread. Files get numbers after that one.
pub(super) fn start(shared: Arc<Shared>, number: u64) -> Result<JoinHandle<()>, OpenError> {
    std::thread::Builder::new()
        .name("redo-ahead".to_owned())
        .spawn(move || run(&shared, number))
        .map_err(OpenError::Thread)
}

fn run(shared: &Shared, mut number: u64) {
    // Without it, others are held up a little longer.
    let _ = priority::yield_to_others();
    while let Some((size, spare)) = next_wanted(shared) {
        let made = if let Some(spare) = spare {
            Ok(spare)
        } else {
            number += 1;
            make(&shared.folder, number, size)
        };
        shared.tail().next = match made {
            Ok(file) => NextFile::Ready(file),
            Err(error) => {
                tracing::error!(%error, "the redo log cannot be made longer");
                let (at, why) = (Instant::now(), Arc::new(error));
                NextFile::Failed { at, why }
            }
        };
        shared.made.notify_waiters();
    }
}

/// Waits until a file of some size is wanted; none when that is over.
fn next_wanted(shared: &Shared) -> Option<(usize, Option<Segment>)> {
    let mut tail = shared.tail();
    loop {
        if tail.closed {
            return None;
        }
        if let NextFile::Wanted { size } = tail.next {
            return Some((size, tail.spare.take_if(|spare| spare.size() >= size)));
        }
        let woken = shared.wanted.wait(tail);
        tail = woken.unwrap_or_else(PoisonError::into_inner);
    }
}

fn make(folder: &Path, number: u64, size: usize) -> io::Result<Segment> {
    let file = Segment::create(&path(folder, number), size)?;
    // Its name too has to be there after a loss of power.
    File::open(folder)?.sync_all()?;
    Ok(file)
}
