//! Keeps the database's own log file short: copies what is committed from there into the
//! database, in a thread with a connection of its own.
//!
//! A checkpoint syncs both files, and commits were measured to stand still for as long
//! as that takes. Nobody on the phone waits for a commit ([`super::redo`]); who changes
//! something through the API may, so there are many short checkpoints rather than few
//! long ones.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::rows::WriteError;
use super::{BUSY_TIMEOUT, OpenError, wal};
use crate::priority;

/// How often the log is looked at.
const EVERY: Duration = Duration::from_millis(100);
/// From this size on it is copied into the database while writing goes on.
const BYTES: u64 = 1 << 20;
/// From this size on writers wait until it can begin anew.
const RESTART_BYTES: u64 = 256 << 20;

/// Ends the thread when it is dropped.
#[derive(Debug)]
pub(super) struct Checkpointer {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(database: &Path) -> Result<Self, OpenError> {
        let log = wal(database);
        let connection = Connection::open(database).map_err(WriteError::from)?;
        connection
            .busy_timeout(BUSY_TIMEOUT)
            .map_err(WriteError::from)?;
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("checkpointer".to_owned())
            .spawn(move || run(&connection, &log, &stopped))
            .map_err(OpenError::Thread)?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's checkpointer has panicked");
        }
    }
}

fn run(connection: &Connection, log: &Path, stopped: &Receiver<()>) {
    // Without it, others are held up a little longer.
    let _ = priority::yield_to_others();
    while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        let statement = match size(log) {
            size if size >= RESTART_BYTES => "PRAGMA wal_checkpoint(RESTART)",
            size if size >= BYTES => "PRAGMA wal_checkpoint(PASSIVE)",
            _ => continue,
        };
        let copied = connection.query_row(statement, (), |_| Ok(()));
        if let Err(error) = copied {
            tracing::warn!(%error, "the database's log could not be copied yet");
        }
    }
}

fn size(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |file| file.len())
}
