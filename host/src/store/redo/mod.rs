//! The redo log: what is acknowledged, before it is in its tables.
//!
//! Who waits for an answer to a live call must not wait for a database, which writes
//! pages here and there and syncs its files. So an entry is appended to a file, which is
//! a copy of some bytes ([`segment`]), and that is all its sender waits for; or for the
//! disk to have them, where an acknowledgement has to survive the loss of power
//! ([`super::disk`]). A thread of its own ([`applier`]) writes what has come meanwhile into the
//! tables, many entries in one transaction: by far cheaper than each batch of those
//! that wait. Another one ([`ahead`]) has the next file ready before this one is full.
//!
//! Each entry has a number, and the database says up to which it has them, in the same
//! transaction that writes them. What a process leaves in the log when it dies, the
//! next one writes before anything else ([`replay`]). A file goes once everything in it
//! is in the database and on the disk.
//!
//! Whoever reads tables that are written this way waits first until what was
//! acknowledged is there ([`Redo::settled`]). That hurries the applier, which otherwise
//! takes its time to have more at once.

mod ahead;
mod applier;
mod replay;
mod segment;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memmap2::MmapRaw;
use tokio::sync::{Mutex as AsyncMutex, Notify, Semaphore, TryAcquireError, watch};

pub(super) use self::applier::Database;
pub(super) use self::replay::replay;
use self::segment::Segment;
use super::disk::DiskSync;
use super::rows::Entry;
use super::{OpenError, StoreError};

/// How large files are: the first ones less, as most servers have little to write.
const FIRST_FILE: usize = 1 << 20;
const LARGEST_FILE: usize = 32 << 20;
const GROWTH: usize = 4;

/// What may wait to be written into the tables; who brings more waits. In units of
/// [`UNIT`] bytes.
const ROOM: usize = (64 << 20) / UNIT;
const UNIT: usize = 1 << 10;

/// After a file could not be made, the next one is not tried for so long.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

/// Held by whoever writes into the database, which takes one transaction at a time.
pub(super) type Pen = Arc<AsyncMutex<()>>;

/// Where entries go. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Redo(Arc<Handle>);

/// The log takes no more entries once this is gone.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    disk: DiskSync,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    tail: Mutex<Tail>,
    /// Tells the applier that there is something to write, or that it is urgent.
    work: Condvar,
    /// Tells who makes files that one is wanted.
    wanted: Condvar,
    /// Tells who waits for a file that there is one, or that it cannot be made.
    made: Notify,
    /// Tells threads that more is in the tables, or cannot be.
    progress: Condvar,
    room: Semaphore,
    written: watch::Sender<Written>,
    /// How often it was begun to write something into the tables.
    attempts: AtomicU64,
    /// The disk has refused a file, and what is in it is not known to be in the tables on
    /// the disk.
    distrusted: AtomicBool,
}

/// Up to which entry all are in the tables.
#[derive(Debug, Clone, Default)]
struct Written {
    sequence: u64,
    /// Why it does not go on.
    failure: Option<Failure>,
}

#[derive(Debug, Clone)]
struct Failure {
    attempt: u64,
    why: StoreError,
}

/// What somebody waits for: that entry in its table, or the failure of an attempt that
/// was begun since.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    sequence: u64,
    attempts: u64,
}

impl Written {
    /// How it stands for somebody; none if that is not known yet.
    fn outcome(&self, wanted: Wanted) -> Option<Result<(), StoreError>> {
        if self.sequence >= wanted.sequence {
            return Some(Ok(()));
        }
        let failure = self.failure.as_ref();
        let since = failure.filter(|failure| failure.attempt > wanted.attempts);
        since.map(|failure| Err(failure.why.clone()))
    }
}

/// Where the log ends, and what is not yet in the tables.
#[derive(Debug)]
struct Tail {
    file: Segment,
    /// How large files are made by now, unless an entry needs more.
    usual_size: usize,
    /// Up to where the file is on the disk, as far as anybody asked for it.
    synced: usize,
    next: NextFile,
    /// Of the last entry.
    sequence: u64,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// Files that are full, the oldest first.
    full: VecDeque<FullFile>,
    /// A full file that can be used again.
    spare: Option<Segment>,
    /// Parts of files that are full which are not on the disk.
    unsynced: Vec<Unsynced>,
    /// The applier has nothing to do.
    idle: bool,
    /// Somebody waits for the tables.
    urgent: bool,
    closed: bool,
}

#[derive(Debug)]
enum NextFile {
    NotYet,
    Wanted { size: usize },
    Ready(Segment),
    Failed { at: Instant, why: Arc<io::Error> },
}

/// An entry that is in the log and not in the tables.
#[derive(Debug)]
struct Waiting {
    sequence: u64,
    entry: Entry,
}

#[derive(Debug)]
struct FullFile {
    file: Segment,
    /// The number of its last entry.
    last: u64,
}

/// Bytes of a file that are to be synced.
#[derive(Debug)]
struct Unsynced {
    memory: Arc<MmapRaw>,
    from: usize,
    to: usize,
}

/// Why an entry is not appended.
enum Refused {
    /// A file for it is being made.
    NoFile,
    Failed(Arc<io::Error>),
    Closed,
}

/// The threads, to be waited for at the end.
#[derive(Debug)]
pub(super) struct Threads {
    redo: Redo,
    applier: std::thread::JoinHandle<bool>,
    ahead: std::thread::JoinHandle<()>,
    sync: std::thread::JoinHandle<()>,
}

/// Begins a log after that entry, in an empty folder.
pub(super) fn start(
    folder: PathBuf,
    last: u64,
    database: Database,
    pen: Pen,
) -> Result<(Redo, Threads), OpenError> {
    let number = last + 1;
    let path = ahead::path(&folder, number);
    let mut file = Segment::create(&path, FIRST_FILE)
        .map_err(|source| OpenError::Redo { file: path, source })?;
    file.begin(number);
    let shared = Arc::new(Shared {
        folder,
        tail: Mutex::new(Tail::new(file, last)),
        work: Condvar::new(),
        wanted: Condvar::new(),
        made: Notify::new(),
        progress: Condvar::new(),
        room: Semaphore::new(ROOM),
        written: watch::Sender::new(Written {
            sequence: last,
            failure: None,
        }),
        attempts: AtomicU64::new(0),
        distrusted: AtomicBool::new(false),
    });
    let (log, of_disk) = (database.log(), Arc::clone(&shared));
    let (disk, sync) =
        DiskSync::start("redo-sync", move || of_disk.sync(&log)).map_err(OpenError::Thread)?;
    let applier = applier::start(Arc::clone(&shared), database, pen)?;
    let ahead = ahead::start(Arc::clone(&shared), number)?;
    let redo = Redo(Arc::new(Handle { shared, disk }));
    let threads = Threads {
        redo: redo.clone(),
        applier,
        ahead,
        sync,
    };
    Ok((redo, threads))
}

impl Redo {
    /// Appends an entry. When this returns it survives the death of the process.
    pub(super) async fn append(&self, mut entry: Entry) -> Result<(), StoreError> {
        let check = segment::check(entry.bytes());
        let units = entry.bytes().len().div_ceil(UNIT).clamp(1, ROOM) as u32;
        let room = match self.0.shared.room.try_acquire_many(units) {
            Ok(room) => room,
            Err(TryAcquireError::NoPermits) => {
                let room = self.0.shared.room.acquire_many(units).await;
                room.map_err(|_| StoreError::Closing)?
            }
            Err(TryAcquireError::Closed) => return Err(StoreError::Closing),
        };
        loop {
            let mut made = std::pin::pin!(self.0.shared.made.notified());
            made.as_mut().enable();
            match self.0.shared.append(&mut entry, check) {
                Ok(()) => break,
                Err(Refused::NoFile) => {}
                Err(Refused::Failed(why)) => return Err(StoreError::Disk(why)),
                Err(Refused::Closed) => return Err(StoreError::Closing),
            }
            made.await;
        }
        // The applier gives it back.
        room.forget();
        Ok(())
    }

    /// Waits until what was appended so far survives the loss of power.
    pub(super) async fn synced(&self) -> Result<(), StoreError> {
        self.0.disk.wait().await
    }

    /// Waits until what was appended so far is in the tables.
    pub(super) async fn settled(&self) -> Result<(), StoreError> {
        let Some(wanted) = self.0.shared.hurry() else {
            return Ok(());
        };
        let mut written = self.0.shared.written.subscribe();
        loop {
            if let Some(outcome) = written.borrow_and_update().outcome(wanted) {
                return outcome;
            }
            let changed = written.changed().await;
            changed.map_err(|_| StoreError::Closing)?;
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Threads {
    /// Waits until everything is in the tables. Blocks.
    pub(super) fn finish(self) {
        let Self {
            redo,
            applier,
            ahead,
            sync,
        } = self;
        let shared = Arc::clone(&redo.0.shared);
        shared.close();
        drop(redo);
        let panicked =
            |name| tracing::error!(thread = name, "a thread of the redo log has panicked");
        let written = applier.join().unwrap_or_else(|_| {
            panicked("applier");
            false
        });
        for (name, thread) in [("ahead", ahead), ("sync", sync)] {
            if thread.join().is_err() {
                panicked(name);
            }
        }
        if written {
            shared.tail().remove_files();
        }
    }
}

impl Shared {
    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes no more entries. What it has goes into the tables still.
    fn close(&self) {
        self.room.close();
        self.tail().closed = true;
        self.work.notify_all();
        self.wanted.notify_all();
        self.made.notify_waiters();
    }

    fn append(&self, entry: &mut Entry, check: u32) -> Result<(), Refused> {
        let mut tail = self.tail();
        let appended = tail.append(entry, check);
        if matches!(tail.next, NextFile::Wanted { .. }) {
            self.wanted.notify_one();
        }
        let wake = tail.idle;
        drop(tail);
        if wake && appended.is_ok() {
            self.work.notify_one();
        }
        appended
    }

    /// Hurries the applier. Gives what there is to wait for, if there is anything.
    fn hurry(&self) -> Option<Wanted> {
        let mut tail = self.tail();
        if self.written.borrow().sequence >= tail.sequence {
            return None;
        }
        tail.urgent = true;
        self.work.notify_one();
        Some(Wanted {
            sequence: tail.sequence,
            attempts: self.attempts.load(Ordering::Acquire),
        })
    }
}

impl Tail {
    fn new(file: Segment, sequence: u64) -> Self {
        Self {
            file,
            usual_size: FIRST_FILE,
            synced: 0,
            next: NextFile::NotYet,
            sequence,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            full: VecDeque::new(),
            spare: None,
            unsynced: Vec::new(),
            idle: false,
            urgent: false,
            closed: false,
        }
    }

    /// Appends an entry, and takes it.
    fn append(&mut self, entry: &mut Entry, check: u32) -> Result<(), Refused> {
        if self.closed {
            return Err(Refused::Closed);
        }
        let sequence = self.sequence + 1;
        let bytes = entry.bytes();
        if self.file.append(sequence, bytes, check).is_err() {
            self.turn(sequence, bytes.len())?;
            let appended = self.file.append(sequence, bytes, check);
            appended.map_err(|_full| Refused::NoFile)?;
        }
        self.sequence = sequence;
        self.waiting_bytes += bytes.len();
        let entry = mem::take(entry);
        self.waiting.push_back(Waiting { sequence, entry });
        if self.file.end() > self.file.size() / 2 && matches!(self.next, NextFile::NotYet) {
            let size = self.next_size(0);
            self.next = NextFile::Wanted { size };
        }
        Ok(())
    }

    /// Goes on in the next file, which has room for so many bytes.
    fn turn(&mut self, first: u64, bytes: usize) -> Result<(), Refused> {
        let size = self.next_size(bytes);
        match mem::replace(&mut self.next, NextFile::Wanted { size }) {
            NextFile::Ready(mut file) if file.size() >= Segment::size_for(bytes) => {
                file.begin(first);
                let full = mem::replace(&mut self.file, file);
                if !full.is_spoilt() {
                    self.unsynced.push(Unsynced {
                        memory: Arc::clone(full.memory()),
                        from: self.synced,
                        to: full.end(),
                    });
                }
                self.synced = 0;
                // One large entry is no reason for larger files.
                if self.file.size() <= self.next_usual_size() {
                    self.usual_size = self.next_usual_size();
                }
                self.next = NextFile::NotYet;
                self.retire(full, first - 1);
                Ok(())
            }
            NextFile::Ready(too_small) => {
                self.retire(too_small, first - 1);
                Err(Refused::NoFile)
            }
            NextFile::Failed { at, why } if at.elapsed() < AFTER_FAILURE => {
                let refused = Refused::Failed(Arc::clone(&why));
                self.next = NextFile::Failed { at, why };
                Err(refused)
            }
            NextFile::Failed { .. } | NextFile::Wanted { .. } | NextFile::NotYet => {
                Err(Refused::NoFile)
            }
        }
    }

    /// A file goes when everything up to that entry is in its table.
    fn retire(&mut self, file: Segment, last: u64) {
        self.full.push_back(FullFile { file, last });
    }

    fn next_usual_size(&self) -> usize {
        self.usual_size.saturating_mul(GROWTH).min(LARGEST_FILE)
    }

    fn next_size(&self, bytes: usize) -> usize {
        self.next_usual_size().max(Segment::size_for(bytes))
    }

    /// Leaves nothing behind: everything is in the tables.
    fn remove_files(&mut self) {
        let full = self.full.drain(..).map(|full| full.file);
        let next = match mem::replace(&mut self.next, NextFile::NotYet) {
            NextFile::Ready(next) => Some(next),
            _ => None,
        };
        for file in full.chain(self.spare.take()).chain(next) {
            applier::remove(file.path());
        }
        applier::remove(self.file.path());
    }

    /// What is not on the disk yet, and counts as if it were.
    fn take_unsynced(&mut self) -> Vec<Unsynced> {
        let mut parts = mem::take(&mut self.unsynced);
        if self.file.end() > self.synced && !self.file.is_spoilt() {
            parts.push(Unsynced {
                memory: Arc::clone(self.file.memory()),
                from: self.synced,
                to: self.file.end(),
            });
            self.synced = self.file.end();
        }
        parts
    }
}

impl Shared {
    /// Puts what was appended so far onto the disk.
    ///
    /// What a disk refuses it may say once only, so the file is not trusted again: what
    /// is in it is on the disk when it is so in the tables, and the log goes on in
    /// another file.
    fn sync(&self, log: &Path) -> Result<(), StoreError> {
        let parts = self.tail().take_unsynced();
        let flush = |part: &Unsynced| part.memory.flush_range(part.from, part.to - part.from);
        if let Err(error) = parts.iter().try_for_each(flush) {
            tracing::error!(%error, "the redo log cannot be synchronized, the tables are instead");
            self.distrusted.store(true, Ordering::Release);
            self.tail().file.spoil();
        }
        if !self.distrusted.load(Ordering::Acquire) {
            return Ok(());
        }
        // With all that came into the file before it took no more.
        self.wait_until_written()?;
        let synced = File::open(log).and_then(|file| file.sync_data());
        synced.map_err(|error| StoreError::Disk(Arc::new(error)))?;
        self.distrusted.store(false, Ordering::Release);
        Ok(())
    }

    /// The same as [`Redo::settled`], for threads.
    fn wait_until_written(&self) -> Result<(), StoreError> {
        let Some(wanted) = self.hurry() else {
            return Ok(());
        };
        let mut tail = self.tail();
        loop {
            let outcome = self.written.borrow().outcome(wanted);
            if let Some(outcome) = outcome {
                return outcome;
            }
            let woken = self.progress.wait(tail);
            tail = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}
