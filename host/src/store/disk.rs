//! Group commit's second half: putting a file onto the disk for all who wait for it.
//!
//! What is written is first in the operating system's hands, and survives the death of
//! the process. Whoever asked for more waits here. A thread takes all who wait, syncs
//! once, and lets them go; meanwhile others write on, and an answer to a live call has no
//! sync of its own to wait for. There is one of these for the redo log ([`super::redo`])
//! and one for the database's ([`super::writer`]).
//!
//! Why that is as safe for the database as `synchronous=FULL`, which does the same sync
//! inside the commit: frames of its log before the sync are on the disk after it. If a
//! checkpoint moved them into the database first, SQLite synced the log before and
//! the database after (as it does in NORMAL), and only then may the log be
//! overwritten. The log is not unlinked while the writer's connection lives.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::StoreError;

/// Called with the outcome of the sync.
pub(super) type AfterSync = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

#[derive(Debug)]
pub(super) struct DiskSync {
    waiting: mpsc::UnboundedSender<AfterSync>,
}

impl DiskSync {
    /// Starts the thread; it ends when the handle is dropped and nobody waits.
    pub(super) fn start(
        name: &str,
        sync: impl FnMut() -> Result<(), StoreError> + Send + 'static,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (waiting, receiver) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(sync, receiver))?;
        Ok((Self { waiting }, thread))
    }

    pub(super) fn after_sync(&self, call: AfterSync) {
        if let Err(refused) = self.waiting.send(call) {
            (refused.0)(Err(StoreError::Closing));
        }
    }

    /// Waits until what was written so far is on the disk.
    pub(super) async fn wait(&self) -> Result<(), StoreError> {
        let (tell, told) = oneshot::channel();
        self.after_sync(Box::new(move |synced| {
            // Who stopped waiting does not want to know.
            let _ = tell.send(synced);
        }));
        told.await.map_err(|_| StoreError::Closing)?
    }
}

fn run(
    mut sync: impl FnMut() -> Result<(), StoreError>,
    mut waiting: mpsc::UnboundedReceiver<AfterSync>,
) {
    let mut group = Vec::new();
    while waiting.blocking_recv_many(&mut group, usize::MAX) > 0 {
        let synced = sync();
        for call in group.drain(..) {
            call(synced.clone());
        }
    }
}

/// A file that grows, and is synced again and again.
#[derive(Debug)]
pub(super) struct Synced {
    path: PathBuf,
    file: Option<File>,
}

impl Synced {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    /// The file is opened once; a failed sync opens it anew, because what the kernel
    /// could not write it may have forgotten.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        let synced = open(&self.path, self.file.take()).and_then(|file| {
            file.sync_data()?;
            Ok(file)
        });
        match synced {
            Ok(file) => {
                self.file = Some(file);
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "the disk cannot be synchronized");
                Err(StoreError::Disk(Arc::new(error)))
            }
        }
    }
}

fn open(path: &Path, before: Option<File>) -> std::io::Result<File> {
    before.map_or_else(|| File::open(path), Ok)
}
