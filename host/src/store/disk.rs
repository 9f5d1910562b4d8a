//! Group commit's second half: putting SQLite's log file onto the disk.
//!
//! The writer commits with `synchronous=NORMAL`: the transaction is then in the
//! write-ahead log as far as the operating system is concerned, and survives the
//! death of the process. Whoever asked for more waits here. A thread takes all who
//! wait, calls `fdatasync` on the log once, and lets them go; meanwhile the writer
//! commits on, and an answer to a live call has no sync of its own to wait for.
//!
//! Why this is as safe as `synchronous=FULL`, which does the same sync inside the
//! commit: frames of the log before the sync are on the disk after it. If a
//! checkpoint moved them into the database first, SQLite synced the log before and
//! the database after (as it does in NORMAL), and only then may the log be
//! overwritten. The log is not unlinked while the writer's connection lives.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::StoreError;

/// Called with the outcome of the sync.
pub(super) type AfterSync = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

#[derive(Debug)]
pub(super) struct DiskSync {
    waiting: mpsc::UnboundedSender<AfterSync>,
}

impl DiskSync {
    /// Starts the thread; it ends when the handle is dropped and nobody waits.
    pub(super) fn start(log: PathBuf) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (waiting, receiver) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("disk-sync".to_owned())
            .spawn(move || run(&log, receiver))?;
        Ok((Self { waiting }, thread))
    }

    pub(super) fn after_sync(&self, call: AfterSync) {
        if let Err(refused) = self.waiting.send(call) {
            (refused.0)(Err(StoreError::Closing));
        }
    }
}

fn run(log: &PathBuf, mut waiting: mpsc::UnboundedReceiver<AfterSync>) {
    let mut file: Option<File> = None;
    let mut group = Vec::new();
    while waiting.blocking_recv_many(&mut group, usize::MAX) > 0 {
        let synced = sync(log, &mut file);
        if let Err(error) = &synced {
            tracing::error!(%error, "the disk cannot be synchronized");
        }
        let synced = synced.map_err(|error| StoreError::Disk(Arc::new(error)));
        for call in group.drain(..) {
            call(synced.clone());
        }
    }
}

/// The file is opened once; a failed sync opens it anew, because what the kernel
/// could not write it may have forgotten.
fn sync(log: &PathBuf, file: &mut Option<File>) -> std::io::Result<()> {
    let open = match file.take() {
        Some(open) => open,
        None => File::open(log)?,
    };
    open.sync_data()?;
    *file = Some(open);
    Ok(())
}
