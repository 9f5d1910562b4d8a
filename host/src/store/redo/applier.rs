//! Writes what is in the redo log into the tables: a thread with a connection of its
//! own, which takes what has come since the last time and commits it together.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use super::{Failure, FullFile, LARGEST_FILE, Pen, ROOM, Shared, UNIT, Waiting, Written};
use crate::priority;
use crate::store::rows::{self, Entry, WriteError};
use crate::store::{BUSY_TIMEOUT, OpenError, StoreError, wal};

/// The least time from one transaction to the next, unless somebody waits for it. A
/// thousand entries together cost a third of what twenty at a time do each
/// (docs/performance.md).
const LINGER: Duration = Duration::from_millis(20);
/// What is taken together at most.
const MAX_BATCH: usize = 2048;
const MAX_BATCH_BYTES: usize = 8 << 20;

/// How long the processor is kept from threads that answer calls. The system lets them
/// wait until its next clock tick otherwise, which is milliseconds.
const TURN: Duration = Duration::from_micros(100);

/// Pages of a batch stay in memory until it is committed.
const CACHE_KIB: i64 = 8 << 10;
const STATEMENTS: usize = 32;

/// After a failure it is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// The applier's side of the database.
#[derive(Debug)]
pub(in crate::store) struct Database {
    path: PathBuf,
    connection: Connection,
}

impl Database {
    /// Opens a database that is there and has its tables.
    pub(in crate::store) fn open(path: &Path) -> Result<Self, WriteError> {
        Ok(Self {
            path: path.to_owned(),
            connection: connect(path)?,
        })
    }

    /// The file into which it commits.
    pub(super) fn log(&self) -> PathBuf {
        wal(&self.path)
    }

    /// Up to which entry it has them.
    pub(super) fn position(&self) -> Result<u64, WriteError> {
        let read = self
            .connection
            .query_row("SELECT sequence FROM redo_position", (), |row| row.get(0));
        let position: i64 = read?;
        Ok(position.unsigned_abs())
    }

    /// Commits entries, of which the last one has that number.
    pub(super) fn write<'e>(
        &mut self,
        entries: impl Iterator<Item = &'e Entry>,
        last: u64,
    ) -> Result<(), WriteError> {
        let immediate = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(immediate)?;
        let mut begun = Instant::now();
        rows::write_all(&transaction, entries, || {
            if begun.elapsed() >= TURN {
                thread::yield_now();
                begun = Instant::now();
            }
        })?;
        transaction
            .prepare_cached("UPDATE redo_position SET sequence = ?1")?
            .execute([last.cast_signed()])?;
        transaction.commit()?;
        Ok(())
    }

    /// Puts what is committed onto the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(self.log())?.sync_data()
    }

    /// A failure may have left the connection in a state from which it does not recover.
    fn renew(&mut self) {
        match connect(&self.path) {
            Ok(connection) => self.connection = connection,
            Err(error) => tracing::error!(%error, "the database could not be opened again"),
        }
    }
}

fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // As those of the other connections (`super::super::options`).
    connection.pragma_update(None, "journal_size_limit", super::super::LOG_KEPT)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

/// Starts the thread.
pub(super) fn start(
    shared: Arc<Shared>,
    database: Database,
    pen: Pen,
) -> Result<JoinHandle<bool>, OpenError> {
    let applier = Applier {
        shared,
        database,
        pen,
        last_commit: None,
    };
    thread::Builder::new()
        .name("redo-applier".to_owned())
        .spawn(move || applier.run())
        .map_err(OpenError::Thread)
}

struct Applier {
    shared: Arc<Shared>,
    database: Database,
    pen: Pen,
    last_commit: Option<Instant>,
}

impl Applier {
    /// Gives at its end whether everything is in the tables, and on the disk.
    fn run(mut self) -> bool {
        // Without it, calls are held up a little longer.
        let _ = priority::yield_to_others();
        while let Some(batch) = self.next_batch() {
            if !self.write(&batch) {
                // The next process finds it in the log.
                return false;
            }
            self.last_commit = Some(Instant::now());
            self.tell(&batch);
            self.release();
        }
        let synced = self.database.sync();
        if let Err(error) = &synced {
            tracing::error!(%error, "the database cannot be synchronized, the redo log is kept");
        }
        synced.is_ok()
    }

    /// What is written next; none when that was all.
    fn next_batch(&self) -> Option<Vec<Waiting>> {
        let shared = &self.shared;
        let mut tail = shared.tail();
        while tail.waiting.is_empty() {
            if tail.closed {
                return None;
            }
            tail.idle = true;
            let woken = shared.work.wait(tail);
            tail = woken.unwrap_or_else(PoisonError::into_inner);
            tail.idle = false;
        }
        let rest = self
            .last_commit
            .map_or(Duration::ZERO, |at| LINGER.saturating_sub(at.elapsed()));
        let (mut tail, _) = shared
            .work
            .wait_timeout_while(tail, rest, |tail| {
                !tail.urgent && !tail.closed && tail.waiting_bytes < MAX_BATCH_BYTES
            })
            .unwrap_or_else(PoisonError::into_inner);
        let mut bytes = 0;
        let fits = |waiting: &&Waiting| {
            let is_first = bytes == 0;
            bytes += waiting.entry.bytes().len();
            is_first || bytes <= MAX_BATCH_BYTES
        };
        let count = tail.waiting.iter().take(MAX_BATCH).take_while(fits).count();
        let batch: Vec<_> = tail.waiting.drain(..count).collect();
        tail.waiting_bytes -= batch.iter().map(|it| it.entry.bytes().len()).sum::<usize>();
        // Whoever is in a hurry waits for everything that is there.
        tail.urgent &= !tail.waiting.is_empty();
        Some(batch)
    }

    /// Writes a batch, however long it takes; gives up only where the server is ending.
    fn write(&mut self, batch: &[Waiting]) -> bool {
        let mut failed = false;
        loop {
            let attempt = self.shared.attempts.fetch_add(1, Ordering::AcqRel) + 1;
            let pen = Arc::clone(&self.pen).blocking_lock_owned();
            let written = write_or_set_aside(&mut self.database, &self.shared.folder, batch);
            drop(pen);
            let Err(error) = written else {
                if failed {
                    tracing::info!("the tables can be written again");
                }
                return true;
            };
            if !failed {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the tables cannot be written, what comes waits in the redo log"
                );
            }
            failed = true;
            self.tell_failure(attempt, error);
            if self.shared.tail().closed {
                return false;
            }
            thread::sleep(AGAIN);
            self.database.renew();
        }
    }

    fn tell(&self, batch: &[Waiting]) {
        let Some(last) = batch.last() else { return };
        self.shared.written.send_replace(Written {
            sequence: last.sequence,
            failure: None,
        });
        let units = |it: &Waiting| it.entry.bytes().len().div_ceil(UNIT).clamp(1, ROOM);
        self.shared.room.add_permits(batch.iter().map(units).sum());
        self.wake_threads();
    }

    fn tell_failure(&self, attempt: u64, error: WriteError) {
        let why = StoreError::Write(Arc::new(error));
        let failure = Failure { attempt, why };
        self.shared
            .written
            .send_modify(|written| written.failure = Some(failure));
        self.wake_threads();
    }

    /// With the lock in hand, so that nobody falls asleep just then.
    fn wake_threads(&self) {
        let _tail = self.shared.tail();
        self.shared.progress.notify_all();
    }

    /// Gives up files of which everything is in the tables.
    fn release(&self) {
        let written = self.shared.written.borrow().sequence;
        let mut done = Vec::new();
        {
            let mut tail = self.shared.tail();
            while tail.full.front().is_some_and(|it| it.last <= written) {
                done.extend(tail.full.pop_front());
            }
        }
        if done.is_empty() {
            return;
        }
        if let Err(error) = self.database.sync() {
            tracing::error!(%error, "the database cannot be synchronized, the redo log is kept");
            let mut tail = self.shared.tail();
            for file in done.into_iter().rev() {
                tail.full.push_front(file);
            }
            return;
        }
        for FullFile { file, .. } in done {
            let mut tail = self.shared.tail();
            tail.unsynced
                .retain(|part| !Arc::ptr_eq(&part.memory, file.memory()));
            if tail.spare.is_none() && file.size() == LARGEST_FILE && !file.is_spoilt() {
                tail.spare = Some(file);
            } else {
                drop(tail);
                remove(file.path());
            }
        }
    }
}

/// Whoever waits for a thread that has panicked would wait for ever.
impl Drop for Applier {
    fn drop(&mut self) {
        if thread::panicking() {
            self.shared.written.send_modify(|written| {
                written.failure = Some(Failure {
                    attempt: u64::MAX,
                    why: StoreError::Closing,
                });
            });
            self.wake_threads();
            self.shared.close();
        }
    }
}

pub(super) fn remove(file: &Path) {
    if let Err(error) = fs::remove_file(file) {
        tracing::warn!(file = %file.display(), %error, "a file of the redo log cannot be removed");
    }
}

/// Writes entries together; if there is one that can never be written, each by itself,
/// and those into files of their own, for people to look at.
fn write_or_set_aside(
    database: &mut Database,
    folder: &Path,
    batch: &[Waiting],
) -> Result<(), WriteError> {
    let Some(last) = batch.last() else {
        return Ok(());
    };
    match database.write(batch.iter().map(|it| &it.entry), last.sequence) {
        Err(error) if error.is_of_rows() => {}
        done => return done,
    }
    for Waiting { sequence, entry } in batch {
        match database.write(std::iter::once(entry), *sequence) {
            Err(error) if error.is_of_rows() => {
                tracing::error!(
                    sequence,
                    error = &error as &dyn std::error::Error,
                    "an entry of the redo log cannot be written, it is set aside"
                );
                let aside = folder.join(format!("{sequence:020}.aside"));
                if let Err(error) = fs::write(&aside, entry.bytes()) {
                    tracing::error!(sequence, %error, "it cannot be set aside either");
                }
                database.write(std::iter::empty(), *sequence)?;
            }
            done => done?,
        }
    }
    Ok(())
}

pub(super) fn write_left(
    database: &mut Database,
    folder: &Path,
    entries: Vec<(u64, Entry)>,
) -> Result<(), WriteError> {
    let batch: Vec<_> = entries
        .into_iter()
        .map(|(sequence, entry)| Waiting { sequence, entry })
        .collect();
    write_or_set_aside(database, folder, &batch)
}
