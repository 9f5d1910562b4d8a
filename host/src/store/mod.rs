//! What is kept: SQL, by noun.
//!
//! SQLite in WAL mode, several readers, and two who write, one at a time. What happens
//! to calls is appended to a redo log and thereby acknowledged; a thread writes it into
//! its tables soon after, much of it together ([`redo`]). What people set up, and what
//! is done with what is in the tables, are changes, made by the writer ([`writer`]).
//! Either is acknowledged once the disk has it where that was asked for ([`disk`]).
//! [`journal`] is the hot path (events, decisions, deliveries), in [`rows`],
//! [`notice`] the work that waits, [`repeat`] what an earlier request came to, [`event`]
//! what is read back, [`timeline`] the same in the order of time; `source`, `plugin`,
//! `binding`, `endpoint`, `secret`, `token` and `organization` are what operators and
//! customers set up, in the frame of `setup`, which writes the lines that `audit` reads,
//! and of which [`edition`] says whether a copy is still good;
//! `quota` says whether there is room, and [`seal`] keeps the secrets among it from those
//! who see the database; [`delivery`] is the queue of what is owed to endpoints, [`job`]
//! work on many deliveries at once, [`prune`] what has become too much of what is kept.
//!
//! Only this module knows SQL. `call` and `http` use it; it knows the domain and
//! nobody else.

mod audit;
mod binding;
mod checkpoint;
mod component;
pub mod delivery;
mod disk;
mod edition;
mod endpoint;
mod error;
pub mod event;
#[cfg(test)]
pub(crate) mod fixture;
pub mod job;
pub mod journal;
mod kv;
pub mod log;
pub mod notice;
mod organization;
mod page;
#[cfg(test)]
mod plan;
mod plugin;
mod proof;
pub mod prune;
mod quota;
mod redo;
pub mod repeat;
mod row;
mod rows;
pub mod seal;
mod secret;
mod setup;
mod source;
pub mod timeline;
mod token;
mod writer;

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};

pub use self::audit::{AuditFilter, AuditLine};
pub use self::binding::{About, NewBinding, VersionChange};
use self::checkpoint::Checkpointer;
pub use self::edition::Edition;
use self::edition::Editions;
pub use self::endpoint::{Alert, NewEndpoint};
pub use self::error::{OpenError, StoreError};
pub use self::organization::NewOrganization;
pub use self::page::{Page, PageRequest};
pub use self::plugin::{Upload, Uploaded};
pub use self::quota::Usage;
pub use self::seal::KeySource;
use self::seal::Sealer;
pub use self::secret::SecretEntry;
pub use self::setup::{Action, Author, By, Created, Creation, Idempotency, Show};
pub use self::source::NewSource;
pub use self::token::{NewToken, TokenHash};
use self::writer::{Connections, Writer};
use crate::domain::id::OrganizationId;
use crate::domain::organization::Quotas;

/// What an acknowledgement promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Nothing: it is not written at all. Only answers can be asked to be that light.
    Nothing,
    /// Survives the death of the process.
    Process,
    /// Survives the loss of power.
    PowerLoss,
}

/// The store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
pub struct Inner {
    readers: SqlitePool,
    writer: Writer,
    sealer: Sealer,
    answers: Durability,
    editions: Editions,
    /// Of organizations that have none of their own.
    quotas: Quotas,
}

const DATABASE: &str = "hookswitch.db";
const LOCK: &str = "hookswitch.lock";
const REDO: &str = "redo";
const READERS: u32 = 4;
/// After a burst the database's log file gives its room back but for so many bytes.
const LOG_KEPT: i64 = 64 << 20;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps a second server away from a data folder for as long as it lives.
#[derive(Debug)]
pub struct FolderLock {
    _file: fs::File,
}

/// An open store, and what has to be ended with it.
#[derive(Debug)]
pub struct OpenStore {
    pub store: Store,
    tasks: writer::Tasks,
    lock: FolderLock,
}

impl OpenStore {
    /// Opens the store in a folder, makes it if it is not there, and brings its
    /// tables and seals up to date. `answers` is what storing an answered question
    /// promises, `keys` where those are that seal secrets.
    pub async fn open(
        folder: &Path,
        answers: Durability,
        keys: &KeySource,
    ) -> Result<Self, OpenError> {
        make_folder(folder)?;
        let lock = lock(folder)?;
        let database = folder.join(DATABASE);
        let mut connection = connect(&database).await?;
        migrate(&mut connection).await?;
        let sealer = Sealer::start(&mut connection, keys, folder).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options(&database).read_only(true))
            .await?;
        let checkpointer = Checkpointer::start(&database)?;
        let (redo, pen) = open_redo(folder, &database).await?;
        let connections = Connections {
            writer: connection,
            again: writing(&database),
            checkpointer,
            log: wal(&database),
        };
        let (writer, tasks) = writer::start(connections, redo, pen)?;
        Ok(Self {
            store: Store(Arc::new(Inner {
                readers,
                writer,
                sealer,
                answers,
                editions: Editions::default(),
                quotas: Quotas::default(),
            })),
            tasks,
            lock,
        })
    }

    /// Writes what is waiting and closes. Every clone of the store must be gone.
    pub async fn close(self) {
        let Self { store, tasks, lock } = self;
        store.readers.close().await;
        drop(store);
        tasks.finish().await;
        drop(lock);
    }
}

impl Deref for Store {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Store {
    /// Whether the store answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.readers).await?;
        Ok(())
    }

    /// Readers of the journal's tables, in which is by now what was acknowledged.
    async fn journal_readers(&self) -> Result<&SqlitePool, StoreError> {
        self.writer.settled().await?;
        Ok(&self.readers)
    }

    /// Whether answered questions are kept that owe nobody anything.
    pub fn keeps_answers(&self) -> bool {
        self.answers != Durability::Nothing
    }

    /// The edition of what an organization has set up. Whoever keeps a copy of any of it
    /// takes this first, and the copy is good for as long as it is current.
    pub fn edition(&self, organization: OrganizationId) -> Edition {
        self.editions.of(organization)
    }
}

fn make_folder(folder: &Path) -> Result<(), OpenError> {
    let at = |source| OpenError::Folder {
        folder: folder.to_owned(),
        source,
    };
    fs::create_dir_all(folder).map_err(at)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(at)?;
    }
    Ok(())
}

fn lock(folder: &Path) -> Result<FolderLock, OpenError> {
    let at = |source| OpenError::Folder {
        folder: folder.to_owned(),
        source,
    };
    let file = fs::File::create(folder.join(LOCK)).map_err(at)?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock { _file: file }),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::InUse {
            folder: folder.to_owned(),
        }),
        Err(fs::TryLockError::Error(error)) => Err(at(error)),
    }
}

fn options(database: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(database)
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit is in the log file, not yet on the disk: `disk` sees to that for
        // those who wait for it, and they wait together.
        .synchronous(SqliteSynchronous::Normal)
        .pragma("temp_store", "memory")
        .pragma("journal_size_limit", LOG_KEPT.to_string())
        .log_statements(tracing::log::LevelFilter::Off)
}

/// Writes what a process before has left in the redo log, and begins a new one.
async fn open_redo(
    folder: &Path,
    database: &Path,
) -> Result<((redo::Redo, redo::Threads), redo::Pen), OpenError> {
    let (folder, database) = (folder.join(REDO), database.to_owned());
    let opened = tokio::task::spawn_blocking(move || {
        let mut database = redo::Database::open(&database)?;
        let last = redo::replay(&folder, &mut database)?;
        let pen = redo::Pen::default();
        let redo = redo::start(folder, last, database, Arc::clone(&pen))?;
        Ok((redo, pen))
    });
    match opened.await {
        Ok(opened) => opened,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// Checkpoints are the checkpointer's work, so that no commit waits for one.
fn writing(database: &Path) -> SqliteConnectOptions {
    options(database).pragma("wal_autocheckpoint", "0")
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    Ok(sqlx::migrate!("migrations/sqlite").run(connection).await?)
}

async fn connect(database: &Path) -> Result<SqliteConnection, OpenError> {
    Ok(SqliteConnection::connect_with(&writing(database)).await?)
}

fn wal(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}
