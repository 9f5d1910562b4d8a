//! The keys of a data folder, for the command line: looking at them, changing them.
//!
//! A server that runs keeps the keys that it started with. So a key may be added at
//! any time, and the server seals with it once it has read the file again; but only
//! where no server runs can a key be taken away.

use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnection;

use super::file::{KeyError, KeyFile, KeySource};
use super::values::{self, Resealed, Use};
use super::{KeyId, Keyring};
use crate::store::{DATABASE, FolderLock, OpenError, connect, lock, migrate};

/// A data folder and where its keys are.
#[derive(Debug)]
pub struct KeyFolder {
    folder: PathBuf,
    database: PathBuf,
    source: KeySource,
}

/// What there is.
#[derive(Debug)]
pub struct Listed {
    /// The current one first.
    pub keys: Vec<KeyId>,
    pub uses: Vec<Use>,
}

/// A new key seals.
#[derive(Debug)]
pub struct Rotated {
    pub old: KeyId,
    pub new: KeyId,
    /// None while a server runs: it does that when it has read the new key.
    pub resealed: Option<Resealed>,
}

/// What came of taking away what nothing needs.
#[derive(Debug)]
pub struct Retired {
    pub gone: Vec<KeyId>,
    /// Older keys that still seal something, which does not open.
    pub needed: Vec<KeyId>,
}

impl KeyFolder {
    pub fn new(folder: &Path, source: KeySource) -> Result<Self, OpenError> {
        let database = folder.join(DATABASE);
        if !database.is_file() {
            return Err(OpenError::NoDatabase {
                folder: folder.to_owned(),
            });
        }
        Ok(Self {
            folder: folder.to_owned(),
            database,
            source,
        })
    }

    pub async fn list(&self) -> Result<Listed, OpenError> {
        let keys = self.source.load(&self.folder)?;
        let mut connection = connect(&self.database).await?;
        let uses = values::uses(&mut connection).await?;
        Ok(Listed {
            keys: keys.map(|keys| keys.ids()).unwrap_or_default(),
            uses,
        })
    }

    /// Puts a new key before the others, and seals everything with it if no server
    /// runs. Ending it between the two loses nothing: the other keys stay.
    pub async fn rotate(&self) -> Result<Rotated, OpenError> {
        let file = self.key_file(
            "put a new one (hookswitch key generate) before the others there and start the server with them; it seals everything with the new one",
        )?;
        let _only_one = file.lock()?;
        let server_stays_away = self.lock()?;
        let keys = file.read()?;
        let mut connection = connect(&self.database).await?;
        if server_stays_away.is_some() {
            migrate(&mut connection).await?;
        }
        self.check(&mut connection, &keys).await?;
        let rotated = keys.rotated();
        file.replace(&rotated)?;
        let resealed = match server_stays_away {
            Some(_lock) => Some(values::reseal(&mut connection, &rotated).await?),
            None => None,
        };
        Ok(Rotated {
            old: keys.current.id,
            new: rotated.current.id,
            resealed,
        })
    }

    /// Takes away the keys that seal nothing, after sealing everything with the current
    /// one.
    pub async fn retire(&self) -> Result<Retired, OpenError> {
        let file = self.key_file(
            "start the server, see with hookswitch key list which keys seal nothing, and take those away there",
        )?;
        let _only_one = file.lock()?;
        let Some(_lock) = self.lock()? else {
            return Err(OpenError::InUse {
                folder: self.folder.clone(),
            });
        };
        let keys = file.read()?;
        let mut connection = connect(&self.database).await?;
        migrate(&mut connection).await?;
        self.check(&mut connection, &keys).await?;
        values::reseal(&mut connection, &keys).await?;
        let needed = values::needed(&values::uses(&mut connection).await?);
        let left = keys.retaining(|id| needed.contains(&id));
        let gone: Vec<KeyId> = keys.ids();
        let gone = gone.into_iter().filter(|id| left.key(*id).is_none());
        let gone: Vec<KeyId> = gone.collect();
        if !gone.is_empty() {
            file.replace(&left)?;
        }
        Ok(Retired {
            gone,
            needed: left.older.iter().map(|key| key.id).collect(),
        })
    }

    fn key_file(&self, instead: &'static str) -> Result<KeyFile, KeyError> {
        let file = self.source.file(&self.folder);
        file.ok_or(KeyError::Environment { instead })
    }

    /// None while a server has the folder.
    fn lock(&self) -> Result<Option<FolderLock>, OpenError> {
        match lock(&self.folder) {
            Err(OpenError::InUse { .. }) => Ok(None),
            locked => locked.map(Some),
        }
    }

    async fn check(
        &self,
        connection: &mut SqliteConnection,
        keys: &Keyring,
    ) -> Result<(), OpenError> {
        let needed = values::needed(&values::uses(connection).await?);
        Ok(self.source.check(&self.folder, keys, &needed)?)
    }
}
