//! The one writer of what people set up, and of all else that is not the journal: takes
//! the changes that are waiting, commits them together, acknowledges.
//!
//! A change is a closure over the connection; each may fail alone. What is committed
//! together is one transaction; if its commit fails, nobody in it is acknowledged.
//! Journal entries do not come through here but through the redo log, which somebody on
//! the phone waits for; most changes are made after what was acknowledged of it is in
//! its tables. Changes are committed together only as long as they are quick: a plugin
//! that writes large values makes its own calls wait, and others for the one value that
//! is being written.

use std::collections::VecDeque;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Sqlite, Transaction};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::checkpoint::Checkpointer;
use super::disk::{DiskSync, Synced};
use super::redo::{self, Pen, Redo};
use super::rows::Entry;
use super::{Durability, OpenError, StoreError};

/// Work that may wait for the writer before senders have to wait.
const QUEUE: usize = 4096;
/// Most pieces of work that are taken from the queue.
const MAX_BATCH: usize = 1024;
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

/// A change that waits for its turn.
struct Waiting {
    change: Box<dyn Change>,
    /// What it writes, about.
    bytes: usize,
    durability: Durability,
    after: After,
}

/// What is to be in its tables before a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// What was acknowledged of the journal.
    Journal,
    /// Nothing: it does not look at the journal.
    Nothing,
}

/// How a change is made: as durable as asked, small, and after what was acknowledged of
/// the journal, unless it says otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    durability: Durability,
    bytes: usize,
    after: After,
}

impl From<Durability> for Terms {
    fn from(durability: Durability) -> Self {
        Self {
            durability,
            bytes: 0,
            after: After::Journal,
        }
    }
}

impl Terms {
    /// It writes so many bytes.
    pub(super) fn of_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// It has nothing to do with the journal, and need not wait for it.
    pub(super) fn apart(self) -> Self {
        Self {
            after: After::Nothing,
            ..self
        }
    }
}

/// Where to send work. Cheap to clone; the writer ends when all are gone.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Waiting>,
    redo: Redo,
}

impl Writer {
    /// Takes an entry of the journal; returns once it is as durable as asked.
    pub(super) async fn journal(
        &self,
        entry: Entry,
        durability: Durability,
    ) -> Result<(), StoreError> {
        self.redo.append(entry).await?;
        match durability {
            Durability::PowerLoss => self.redo.synced().await,
            Durability::Process | Durability::Nothing => Ok(()),
        }
    }

    /// Waits until what was acknowledged of the journal can be read in its tables.
    pub(super) async fn settled(&self) -> Result<(), StoreError> {
        self.redo.settled().await
    }

    /// Runs a change inside the writer's transaction. One that fails after it has
    /// written must undo that itself, with a savepoint (`connection.begin()`).
    pub(super) async fn change<T, F>(
        &self,
        terms: impl Into<Terms>,
        run: F,
    ) -> Result<T, StoreError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Running<'c, T> + Send + 'static,
        T: Send + 'static,
    {
        let Terms {
            durability,
            bytes,
            after,
        } = terms.into();
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting {
            change: Box::new(Closure { run, reply }),
            bytes,
            durability,
            after,
        };
        let sent = self.queue.send(waiting).await;
        sent.map_err(|_| StoreError::Closing)?;
        answer.await.map_err(|_| StoreError::Closing)?
    }
}

/// What runs beside the store, to be waited for at its end.
#[derive(Debug)]
pub(super) struct Tasks {
    writer: JoinHandle<()>,
    checkpointer: Checkpointer,
    disk: std::thread::JoinHandle<()>,
    redo: redo::Threads,
}

impl Tasks {
    /// Waits until everything sent is written. All `Writer`s must be gone.
    pub(super) async fn finish(self) {
        if self.writer.await.is_err() {
            tracing::error!("the store's writer has panicked");
        }
        let (disk, redo, checkpointer) = (self.disk, self.redo, self.checkpointer);
        let joined = tokio::task::spawn_blocking(move || {
            redo.finish();
            drop(checkpointer);
            disk.join()
        });
        if !matches!(joined.await, Ok(Ok(()))) {
            tracing::error!("the store's sync thread has panicked");
        }
    }
}

/// The connections that write, and how to get others.
pub(super) struct Connections {
    pub(super) writer: SqliteConnection,
    pub(super) again: SqliteConnectOptions,
    pub(super) checkpointer: Checkpointer,
    /// The database's own log file.
    pub(super) log: PathBuf,
}

/// Starts the writer beside the redo log.
pub(super) fn start(
    connections: Connections,
    (redo, threads): (Redo, redo::Threads),
    pen: Pen,
) -> Result<(Writer, Tasks), OpenError> {
    let (queue, receiver) = mpsc::channel(QUEUE);
    let mut log = Synced::new(connections.log);
    let (disk, disk_thread) =
        DiskSync::start("disk-sync", move || log.sync()).map_err(OpenError::Thread)?;
    let writer = Desk {
        connection: connections.writer,
        again: connections.again,
        disk,
        redo: redo.clone(),
        pen,
    };
    let writer = tokio::spawn(writer.run(receiver));
    let tasks = Tasks {
        writer,
        checkpointer: connections.checkpointer,
        disk: disk_thread,
        redo: threads,
    };
    Ok((Writer { queue, redo }, tasks))
}

/// Where changes are made.
struct Desk {
    connection: SqliteConnection,
    again: SqliteConnectOptions,
    disk: DiskSync,
    redo: Redo,
    pen: Pen,
}

impl Desk {
    async fn run(mut self, mut queue: mpsc::Receiver<Waiting>) {
        let mut backlog = Backlog::new(Instant::now());
        let mut open = true;
        while open || !backlog.is_empty() {
            if open && let Some(until) = backlog.idle_until(Instant::now()) {
                match timeout_at(until, queue.recv()).await {
                    Ok(Some(change)) => backlog.add(change),
                    Ok(None) => open = false,
                    Err(_large_ones_may_go_on) => {}
                }
            }
            while !backlog.is_full() {
                match queue.try_recv() {
                    Ok(change) => backlog.add(change),
                    Err(_) => break,
                }
            }
            let small = Changes::first_of(&mut backlog.small);
            let mut committed = self.commit(small).await;
            let begun = Instant::now();
            if let Some(large) = backlog.next_large(begun, open) {
                committed = committed.and(self.commit(large).await);
                backlog.rest(begun, Instant::now());
            }
            if committed.is_err() {
                renew(&mut self.connection, &self.again).await;
            }
        }
        if let Err(error) = self.connection.close().await {
            tracing::error!(%error, "the database could not be closed");
        }
    }

    async fn commit(&mut self, changes: Changes) -> Result<(), StoreError> {
        if changes.0.is_empty() {
            return Ok(());
        }
        if changes.look_at_the_journal()
            && let Err(error) = self.redo.settled().await
        {
            changes.refuse(&error);
            return Ok(());
        }
        let pen = self.pen.lock().await;
        let committed = changes.commit(&mut self.connection, &self.disk).await;
        drop(pen);
        committed
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

    fn look_at_the_journal(&self) -> bool {
        self.0.iter().any(|waiting| waiting.after == After::Journal)
    }

    fn refuse(self, error: &StoreError) {
        for waiting in self.0 {
            waiting.change.refuse(error.clone());
        }
    }

    async fn commit(
        mut self,
        connection: &mut SqliteConnection,
        disk: &DiskSync,
    ) -> Result<(), StoreError> {
        let mut tell = Vec::new();
        let committed = self.write(connection, &mut tell).await;
        acknowledge(tell, &committed, disk);
        if let Err(error) = &committed {
            self.refuse(error);
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
            after: After::Nothing,
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
}
