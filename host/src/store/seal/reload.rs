//! Other keys for a server that runs.

use std::path::Path;

use super::values::{self, Progress};
use super::{KeyError, KeySource};
use crate::store::writer::Terms;
use crate::store::{Durability, OpenError, Store, StoreError};

/// More than changes are committed with together, so that re-sealing rests between its
/// transactions and leaves the writer to everybody else.
const BYTES: usize = 128 << 10;

impl Store {
    /// Reads the file of keys again and seals everything with its first key. If that
    /// cannot be, the keys from before stay.
    pub async fn reload_keys(&self, folder: &Path, source: &KeySource) -> Result<(), OpenError> {
        let file = source.file(folder).ok_or(KeyError::Environment {
            instead: "start the server again with other ones",
        })?;
        let keys = file.read()?;
        // Something may be on its way to the writer that is sealed with it.
        let current = self.sealer.keys().current.id;
        if keys.key(current).is_none() {
            return Err(KeyError::Dropped(current).into());
        }
        let mut reader = self.readers.acquire().await?;
        let needed = values::needed(&values::uses(&mut reader).await?);
        drop(reader);
        source.check(folder, &keys, &needed)?;
        let key = keys.current.id;
        self.sealer.change(keys);
        self.reseal().await?.done.tell(key);
        Ok(())
    }

    async fn reseal(&self) -> Result<Progress, StoreError> {
        let mut progress = Progress::default();
        while !progress.is_done() {
            let keys = self.sealer.keys();
            let terms = Terms::from(Durability::Process).of_bytes(BYTES);
            progress = self
                .writer
                .change(terms, move |connection| {
                    Box::pin(async move { values::reseal_some(connection, &keys, progress).await })
                })
                .await?;
        }
        Ok(progress)
    }
}
