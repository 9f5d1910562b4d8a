//! The one writer: takes what is waiting, commits it together, acknowledges.
//!
//! Two kinds of work arrive. Journal entries are rows for known tables, already
//! written as JSON by whoever sends them, so that the writer only joins them and
//! runs one statement per table. Changes are closures over the connection: few,
//! and each may fail alone. What is committed together is one transaction; if its
//! commit fails, nobody in it is acknowledged.
//!
//! Somebody on the phone waits for a journal entry. So all entries go first, and then
//! only as many changes as are quick together: a plugin that writes large values makes
//! its own calls wait, and others for the one value that is being written.

use std::collections::VecDeque;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Sqlite, Transaction};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::disk::DiskSync;
use super::journal::Entry;
use super::{Durability, OpenError, StoreError};

/// Work that may wait for the writer before senders have to wait.
const QUEUE: usize = 4096;
/// Most pieces of work that are taken from the queue.
const MAX_BATCH: usize = 1024;
/// No more entries are taken when there are this many bytes of rows.
const MAX_BATCH_BYTES: usize = 8 << 20;
/// Changes are committed together up to this many bytes; one alone may have more.
const MAX_CHANGES_BYTES: usize = 64 << 10;

/// How a committed change tells its sender.
type Tell = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

pub(super) type Running<'c, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>;

trait Change: Send {
    fn run<'c>(
        self: Box<Self>,
        connection: &'c mut SqliteConnection,
    ) -> Pin<Box<dyn Future<Output = Tell> + Send + 'c>>;

    /// Tells the sender that it will not be run.
    fn refuse(self: Box<Self>, error: StoreError);
}

struct Closure<F, T> {
    run: F,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Change for Closure<F, T>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> Running<'c, T> + Send + 'static,
    T: Send + 'static,
{
    fn run<'c>(
        self: Box<Self>,
        connection: &'c mut SqliteConnection,
    ) -> Pin<Box<dyn Future<Output = Tell> + Send + 'c>> {
        Box::pin(async move {
            let result = (self.run)(connection).await;
            let reply = self.reply;
            let tell: Tell = Box::new(move |committed: Result<(), StoreError>| {
                // A sender that stopped waiting does not want to know.
                let _ = reply.send(committed.and(result));
            });
            tell
        })
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        let _ = self.reply.send(Err(error));
    }
}

enum Work {
    Journal {
        entry: Box<Entry>,
        durability: Durability,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    Change(Waiting),
}

/// A change that waits for its turn.
struct Waiting {
    change: Box<dyn Change>,
    /// What it writes, about.
    bytes: usize,
    durability: Durability,
}

/// Where to send work. Cheap to clone; the writer ends when all are gone.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Work>,
}

impl Writer {
    /// Writes the entry's rows; returns once they are as durable as asked.
    pub(super) async fn journal(
        &self,
        entry: Entry,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        let work = Work::Journal {
            entry: Box::new(entry),
            durability,
            reply,
        };
        self.queue
            .send(work)
            .await
            .map_err(|_| StoreError::Closing)?;
        answer.await.map_err(|_| StoreError::Closing)?
    }

    /// Runs a change inside the writer's transaction. One that fails after it has
    /// written must undo that itself, with a savepoint (`connection.begin()`).
    pub(super) async fn change<T, F>(&self, durability: Durability, run: F) -> Result<T, StoreError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Running<'c, T> + Send + 'static,
        T: Send + 'static,
    {
        self.large_change(durability, 0, run).await
    }

    /// The same for a change that writes so many bytes.
    pub(super) async fn large_change<T, F>(
        &self,
        durability: Durability,
        bytes: usize,
        run: F,
    ) -> Result<T, StoreError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Running<'c, T> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work = Work::Change(Waiting {
            change: Box::new(Closure { run, reply }),
            bytes,
            durability,
        });
        self.queue
            .send(work)
            .await
            .map_err(|_| StoreError::Closing)?;
        answer.await.map_err(|_| StoreError::Closing)?
    }
}

/// What runs beside the store, to be waited for at its end.
#[derive(Debug)]
pub(super) struct Tasks {
    writer: JoinHandle<()>,
    checkpointer: JoinHandle<()>,
    disk: std::thread::JoinHandle<()>,
}

impl Tasks {
    /// Waits until everything sent is written. All `Writer`s must be gone.
    pub(super) async fn finish(self) {
        if self.writer.await.is_err() {
            tracing::error!("the store's writer has panicked");
        }
        self.checkpointer.abort();
        let _ = self.checkpointer.await;
        let joined = tokio::task::spawn_blocking(move || self.disk.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the store's sync thread has panicked");
        }
    }
}

/// Starts the writer on a connection; `again` is how it gets another one.
pub(super) fn start(
    connection: SqliteConnection,
    again: SqliteConnectOptions,
    checkpointer: SqliteConnection,
    log: PathBuf,
) -> Result<(Writer, Tasks), OpenError> {
    let (queue, receiver) = mpsc::channel(QUEUE);
    let (disk, disk_thread) = DiskSync::start(log.clone()).map_err(OpenError::Thread)?;
    let writer = tokio::spawn(write(connection, again, receiver, disk));
    let checkpointer = tokio::spawn(checkpoint(checkpointer, log));
    Ok((
        Writer { queue },
        Tasks {
            writer,
            checkpointer,
            disk: disk_thread,
        },
    ))
}

async fn write(
    mut connection: SqliteConnection,
    again: SqliteConnectOptions,
    mut queue: mpsc::Receiver<Work>,
    disk: DiskSync,
) {
    let mut backlog = Backlog::new(Instant::now());
    let mut open = true;
    while open || !backlog.is_empty() {
        let mut entries = Entries::default();
        if open && let Some(until) = backlog.idle_until(Instant::now()) {
            match timeout_at(until, queue.recv()).await {
                Ok(Some(work)) => sort(work, &mut entries, &mut backlog),
                Ok(None) => open = false,
                Err(_large_ones_may_go_on) => {}
            }
        }
        while !entries.is_full() && !backlog.is_full() {
            match queue.try_recv() {
                Ok(work) => sort(work, &mut entries, &mut backlog),
                Err(_) => break,
            }
        }
        let mut committed = entries.commit(&mut connection, &disk).await;
        let small = Changes::first_of(&mut backlog.small);
        committed = committed.and(small.commit(&mut connection, &disk).await);
        let begun = Instant::now();
        if let Some(large) = backlog.next_large(begun, open) {
            committed = committed.and(large.commit(&mut connection, &disk).await);
            backlog.rest(begun, Instant::now());
        }
        if committed.is_err() {
            renew(&mut connection, &again).await;
        }
    }
    if let Err(error) = connection.close().await {
        tracing::error!(%error, "the database could not be closed");
    }
}

/// A failure may have ended the transaction in the database, as a full disk does, while
/// the connection believes that it goes on, and would refuse to begin another for ever.
async fn renew(connection: &mut SqliteConnection, again: &SqliteConnectOptions) {
    match SqliteConnection::connect_with(again).await {
        Ok(new) => {
            let old = std::mem::replace(connection, new);
            if let Err(error) = old.close().await {
                tracing::warn!(%error, "a connection that failed could not be closed");
            }
        }
        // The next batch fails, and then this is tried again.
        Err(error) => tracing::error!(%error, "the database could not be opened again"),
    }
}

/// After a large change, large ones wait for so many times as long as it took, so that
/// who writes much leaves most of the writer's time to everybody else.
const REST: u32 = 4;

/// Changes that wait for their turn.
struct Backlog {
    small: VecDeque<Waiting>,
    large: VecDeque<Waiting>,
    large_from: Instant,
}

impl Backlog {
    fn new(now: Instant) -> Self {
        Self {
            small: VecDeque::new(),
            large: VecDeque::new(),
            large_from: now,
        }
    }

    fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_empty()
    }

    fn is_full(&self) -> bool {
        self.small.len() + self.large.len() >= MAX_BATCH
    }

    fn add(&mut self, change: Waiting) {
        if change.bytes > MAX_CHANGES_BYTES {
            self.large.push_back(change);
        } else {
            self.small.push_back(change);
        }
    }

    /// Until when there is nothing to do unless something comes; none if there is.
    fn idle_until(&self, now: Instant) -> Option<Instant> {
        if !self.small.is_empty() {
            return None;
        }
        if self.large.is_empty() {
            return Some(now + IDLE);
        }
        Some(self.large_from).filter(|from| *from > now)
    }

    /// A large change, if one may go now. Who closes does not rest.
    fn next_large(&mut self, now: Instant, open: bool) -> Option<Changes> {
        if open && now < self.large_from {
            return None;
        }
        let next = self.large.pop_front()?;
        Some(Changes(VecDeque::from([next])))
    }

    fn rest(&mut self, begun: Instant, ended: Instant) {
        self.large_from = ended + (ended - begun) * REST;
    }
}

/// Longest sleep of a writer that has nothing to do.
const IDLE: Duration = Duration::from_mins(1);

fn sort(work: Work, entries: &mut Entries, backlog: &mut Backlog) {
    match work {
        Work::Journal {
            entry,
            durability,
            reply,
        } => {
            entries.rows.append(*entry);
            let tell: Tell = Box::new(move |committed| {
                let _ = reply.send(committed);
            });
            entries.tell.push((tell, durability));
        }
        Work::Change(change) => backlog.add(change),
    }
}

/// Journal entries that are committed together.
#[derive(Default)]
struct Entries {
    rows: Entry,
    tell: Vec<(Tell, Durability)>,
}

impl Entries {
    fn is_full(&self) -> bool {
        self.tell.len() >= MAX_BATCH || self.rows.bytes() >= MAX_BATCH_BYTES
    }

    async fn commit(
        self,
        connection: &mut SqliteConnection,
        disk: &DiskSync,
    ) -> Result<(), StoreError> {
        if self.tell.is_empty() {
            return Ok(());
        }
        let committed = self.rows.commit(connection).await;
        acknowledge(self.tell, &committed, disk);
        committed
    }
}

/// Changes that are committed together.
struct Changes(VecDeque<Waiting>);

impl Changes {
    /// Those that come next, and are quick together.
    fn first_of(waiting: &mut VecDeque<Waiting>) -> Self {
        let mut bytes = 0_usize;
        let next = waiting.iter().take_while(|change| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(change.bytes.max(1));
            is_first || bytes <= MAX_CHANGES_BYTES
        });
        let next = next.count();
        Self(waiting.drain(..next).collect())
    }

    async fn commit(
        mut self,
        connection: &mut SqliteConnection,
        disk: &DiskSync,
    ) -> Result<(), StoreError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut tell = Vec::new();
        let committed = self.write(connection, &mut tell).await;
        acknowledge(tell, &committed, disk);
        if let Err(error) = &committed {
            for waiting in self.0 {
                waiting.change.refuse(error.clone());
            }
        }
        committed
    }

    async fn write(
        &mut self,
        connection: &mut SqliteConnection,
        tell: &mut Vec<(Tell, Durability)>,
    ) -> Result<(), StoreError> {
        let mut transaction: Transaction<'_, Sqlite> =
            connection.begin_with("BEGIN IMMEDIATE").await?;
        while let Some(next) = self.0.pop_front() {
            tell.push((next.change.run(&mut transaction).await, next.durability));
        }
        transaction.commit().await?;
        Ok(())
    }
}

fn acknowledge(tell: Vec<(Tell, Durability)>, committed: &Result<(), StoreError>, disk: &DiskSync) {
    if let Err(error) = committed {
        tracing::error!(
            error = error as &dyn std::error::Error,
            "a batch could not be written"
        );
    }
    for (tell, durability) in tell {
        match (committed, durability) {
            (Ok(()), Durability::PowerLoss) => disk.after_sync(tell),
            _ => tell(committed.clone()),
        }
    }
}

/// How often the log is looked at. Often, because a checkpoint syncs the log first,
/// and commits were measured to stall for as long as that takes (docs/architecture.md,
/// "The store"): many short stalls are better than a long one.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(50);
/// From this size on it is copied into the database while writing goes on.
const CHECKPOINT_BYTES: u64 = 1 << 20;
/// From this size on writers wait until it can begin anew.
const RESTART_BYTES: u64 = 256 << 20;

/// Keeps the log short, on a connection of its own.
async fn checkpoint(mut connection: SqliteConnection, log: PathBuf) {
    loop {
        tokio::time::sleep(CHECKPOINT_EVERY).await;
        let statement = match log_size(&log) {
            size if size >= RESTART_BYTES => "PRAGMA wal_checkpoint(RESTART)",
            size if size >= CHECKPOINT_BYTES => "PRAGMA wal_checkpoint(PASSIVE)",
            _ => continue,
        };
        if let Err(error) = sqlx::query(statement).execute(&mut connection).await {
            tracing::warn!(%error, "the database's log could not be copied yet");
        }
    }
}

fn log_size(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |file| file.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &mut SqliteConnection) -> Running<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn waiting(bytes: usize) -> Waiting {
        let (reply, _) = oneshot::channel::<Result<(), StoreError>>();
        Waiting {
            change: Box::new(Closure {
                run: nothing,
                reply,
            }),
            bytes,
            durability: Durability::Process,
        }
    }

    #[test]
    fn small_changes_are_committed_together_and_a_large_one_alone() {
        let sizes = [0, 10, MAX_CHANGES_BYTES, 4 * MAX_CHANGES_BYTES, 0];
        let mut left: VecDeque<Waiting> = sizes.into_iter().map(waiting).collect();
        let mut taken = Vec::new();
        while !left.is_empty() {
            taken.push(Changes::first_of(&mut left).0.len());
        }
        assert_eq!(taken, [2, 1, 1, 1]);
    }

    #[test]
    fn after_a_large_change_the_next_large_one_waits_and_small_ones_do_not() {
        let begun = Instant::now();
        let mut backlog = Backlog::new(begun);
        for bytes in [MAX_CHANGES_BYTES + 1, MAX_CHANGES_BYTES + 1, 0] {
            backlog.add(waiting(bytes));
        }
        assert!(backlog.next_large(begun, true).is_some());
        let ended = begun + Duration::from_millis(10);
        backlog.rest(begun, ended);
        assert!(backlog.next_large(ended, true).is_none());
        assert_eq!(backlog.idle_until(ended), None, "the small one can go");
        backlog.small.clear();
        let again = ended + Duration::from_millis(40);
        assert_eq!(backlog.idle_until(ended), Some(again));
        assert!(backlog.next_large(again, true).is_some());
    }

    #[tokio::test]
    async fn a_transaction_that_fails_is_undone_and_the_next_one_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let open = super::super::OpenStore::open(
            folder.path(),
            Durability::Process,
            &super::super::KeySource::DataFolder,
        )
        .await
        .unwrap();
        let writer = &open.store.writer;
        let entry = |rows: &[u8]| Entry::of_pending_notices(rows);
        let twice = writer.journal(entry(&[1, 2, 1]), Durability::Process).await;
        assert!(twice.is_err());
        for notice in [1, 2] {
            let written = writer.journal(entry(&[notice]), Durability::Process).await;
            assert!(written.is_ok(), "{notice}: {written:?}");
        }
    }
}
