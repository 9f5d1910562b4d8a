//! What can go wrong with the store.

use std::path::PathBuf;
use std::sync::Arc;

use super::rows::WriteError;
use super::seal::KeyError;

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the data folder {} cannot be used", folder.display())]
    Folder {
        folder: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "another hookswitch server uses the data folder {}: stop it, or choose another folder with --data-dir",
        folder.display()
    )]
    InUse { folder: PathBuf },
    #[error(
        "there is no database in the folder {}: name the data folder with --data-dir or --config, or start the server once",
        folder.display()
    )]
    NoDatabase { folder: PathBuf },
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("secrets cannot be sealed")]
    Seal(#[from] StoreError),
    #[error("the database cannot be opened")]
    Database(#[from] sqlx::Error),
    #[error(
        "the database's tables cannot be brought up to date; was it written by a newer hookswitch?"
    )]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("a thread of the store cannot be started")]
    Thread(#[source] std::io::Error),
    #[error("the redo log cannot be used: {}", file.display())]
    Redo {
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "the redo log is of format {found}, and this hookswitch knows {known}: start the version that wrote it once more and stop it, which empties the log"
    )]
    RedoFormat { found: u32, known: u32 },
    #[error("what is in the redo log cannot be written into the database")]
    Write(#[source] WriteError),
}

impl From<WriteError> for OpenError {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

/// An operation did not happen. Cloned for everybody whose work was in the batch.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("the database cannot be read or written")]
    Database(#[source] Arc<sqlx::Error>),
    #[error("the disk cannot be synchronized")]
    Disk(#[source] Arc<std::io::Error>),
    #[error("what was stored cannot be written into the tables yet")]
    Write(#[source] Arc<WriteError>),
    #[error("the store is closing")]
    Closing,
    /// A row that we wrote ourselves cannot be read.
    #[error("{what} in the database cannot be understood: {problem}")]
    Corrupt { what: &'static str, problem: String },
    #[error("there is a {what} of this name already")]
    NameTaken { what: &'static str },
    #[error("{what} {id} was changed or deleted meanwhile: read it again")]
    Changed { what: &'static str, id: String },
    #[error("{what} {id} is used by the binding {by}: delete or change that first")]
    InUse {
        what: &'static str,
        id: String,
        by: String,
    },
    #[error("there are {most} {what} already, which is the most there can be")]
    TooMany { what: &'static str, most: i64 },
    #[error(
        "this needs {needed} more of the quota {quota}, of which {used} of {most} are used; nothing was stored: ask who runs the server for a larger quota"
    )]
    QuotaExceeded {
        quota: &'static str,
        used: u64,
        most: u64,
        needed: u64,
    },
    #[error("this idempotency key was used for another request: send each request with its own")]
    KeyReused,
    #[error("this is the last token of an operator: make another one first")]
    LastOperator,
    #[error("binding {id} has run no version before this one")]
    NothingBefore { id: String },
    #[error("delivery {id} {why}")]
    NotRetryable { id: String, why: &'static str },
    #[error("there is no {what} {id}")]
    NotFound { what: &'static str, id: String },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl StoreError {
    pub(super) fn corrupt(what: &'static str, problem: impl std::fmt::Display) -> Self {
        Self::Corrupt {
            what,
            problem: problem.to_string(),
        }
    }

    /// What a unique name that is there already makes of a database error.
    pub(super) fn or_name_taken(error: sqlx::Error, what: &'static str) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => {
                Self::NameTaken { what }
            }
            _ => error.into(),
        }
    }
}
