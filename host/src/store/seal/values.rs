//! The sealed columns, and how what they hold gets to the current key.
//!
//! Whoever seals another column adds it to [`ALL`]: what is not listed there keeps its
//! old key, and is lost when that is retired.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Form, KeyId, Keyring, PREFIX_LEN, Place, VERSION, prefix};
use crate::store::StoreError;

/// A column of sealed texts, in a table with an `organization_id`.
#[derive(Debug)]
#[allow(clippy::struct_field_names)] // Tables have columns.
pub(in crate::store) struct Column {
    /// `table.column`. Part of what a value is sealed for, so it stays.
    pub(super) name: &'static str,
    table: &'static str,
    column: &'static str,
    row: RowKey,
}

/// What a table's rows are known by.
#[derive(Debug, Clone, Copy)]
enum RowKey {
    /// `id`, which is the primary key.
    Id,
    /// A column of text, which is the primary key after `organization_id`.
    Text(&'static str),
}

pub(in crate::store) static SECRET_VALUE: Column = Column {
    name: "secret.value",
    table: "secret",
    column: "value",
    row: RowKey::Text("name"),
};
pub(in crate::store) static SOURCE_PROOF: Column = Column {
    name: "source.proof",
    table: "source",
    column: "proof",
    row: RowKey::Id,
};
pub(in crate::store) static ENDPOINT_PROOF: Column = Column {
    name: "endpoint.proof",
    table: "endpoint",
    column: "proof",
    row: RowKey::Id,
};
pub(in crate::store) static ENDPOINT_SIGNING: Column = Column {
    name: "endpoint.signing",
    table: "endpoint",
    column: "signing",
    row: RowKey::Id,
};
pub(in crate::store) static CREATION_ANSWER: Column = Column {
    name: "creation.answer",
    table: "creation",
    column: "answer",
    row: RowKey::Text("key"),
};

static ALL: [&Column; 5] = [
    &SECRET_VALUE,
    &SOURCE_PROOF,
    &ENDPOINT_PROOF,
    &ENDPOINT_SIGNING,
    &CREATION_ANSWER,
];

impl Column {
    /// The forms there are, with how many values have each. A value in clear counts as
    /// of no key.
    fn count(&self) -> String {
        let Self { table, column, .. } = self;
        format!(
            "SELECT CASE WHEN substr({column}, 1, {len}) = '{VERSION}' \
             THEN substr({column}, 1, {PREFIX_LEN}) ELSE '' END, count(*) FROM {table} GROUP BY 1",
            len = VERSION.len()
        )
    }

    /// Rows after (?1, ?2) whose value does not begin with ?3, at most ?4.
    fn page(&self) -> String {
        let Self { table, column, .. } = self;
        let (row, after, order) = match self.row {
            RowKey::Id => ("id".to_owned(), "id > ?2".to_owned(), "id".to_owned()),
            RowKey::Text(key) => (
                format!("CAST({key} AS BLOB)"),
                format!("(organization_id, {key}) > (?1, CAST(?2 AS TEXT))"),
                format!("organization_id, {key}"),
            ),
        };
        format!(
            "SELECT organization_id, {row}, {column} FROM {table} \
             WHERE {after} AND substr({column}, 1, {PREFIX_LEN}) <> ?3 ORDER BY {order} LIMIT ?4"
        )
    }

    /// Sets the value of (?1, ?2) to ?3 where it is still ?4.
    fn update(&self) -> String {
        let Self { table, column, .. } = self;
        let row = match self.row {
            RowKey::Id => "id = ?2".to_owned(),
            RowKey::Text(key) => format!("{key} = CAST(?2 AS TEXT)"),
        };
        format!(
            "UPDATE {table} SET {column} = ?3 WHERE organization_id = ?1 AND {row} AND {column} = ?4"
        )
    }
}

/// How many values of a column a key seals; those of no key stand in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    pub key: Option<KeyId>,
    pub column: &'static str,
    pub values: u64,
}

/// What the database holds, of every column and key.
pub(super) async fn uses(connection: &mut SqliteConnection) -> Result<Vec<Use>, StoreError> {
    let mut uses = Vec::new();
    for column in ALL {
        // The command line may look at a database from before.
        let table = sqlx::query("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1");
        let table = table.bind(column.table).fetch_optional(&mut *connection);
        if table.await?.is_none() {
            continue;
        }
        let counted: Vec<(String, i64)> = sqlx::query_as(AssertSqlSafe(column.count()))
            .fetch_all(&mut *connection)
            .await?;
        let mut by_key: BTreeMap<Option<KeyId>, u64> = BTreeMap::new();
        for (form, values) in counted {
            let key = match Form::of(&form) {
                Form::Sealed { key, .. } => Some(key),
                Form::Clear(_) | Form::Unknown => None,
            };
            *by_key.entry(key).or_default() += values.unsigned_abs();
        }
        uses.extend(by_key.into_iter().map(|(key, values)| Use {
            key,
            column: column.name,
            values,
        }));
    }
    Ok(uses)
}

/// The keys without which something in the database cannot be opened.
pub(super) fn needed(uses: &[Use]) -> BTreeSet<KeyId> {
    uses.iter().filter_map(|used| used.key).collect()
}

/// What re-sealing came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resealed {
    pub values: u64,
    /// Values that do not open though their key is here. They are left as they are.
    pub broken: u64,
}

impl Resealed {
    pub(super) fn tell(self, key: KeyId) {
        let Self { values, broken } = self;
        if values + broken > 0 {
            tracing::info!(%key, values, broken, "secrets were sealed with the current key");
        }
    }
}

/// Rows that are re-sealed in one transaction.
const ROWS: u32 = 100;

/// How far re-sealing has come.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    column: usize,
    organization: Vec<u8>,
    row: Vec<u8>,
    pub(super) done: Resealed,
}

impl Progress {
    pub(super) fn is_done(&self) -> bool {
        self.column == ALL.len()
    }
}

/// Seals everything with the current key, in a transaction for each some rows.
pub(super) async fn reseal(
    connection: &mut SqliteConnection,
    keys: &Keyring,
) -> Result<Resealed, StoreError> {
    let mut progress = Progress::default();
    while !progress.is_done() {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        progress = reseal_some(&mut transaction, keys, progress).await?;
        transaction.commit().await?;
    }
    Ok(progress.done)
}

/// Seals the next rows with the current key. What a sealed value is for does not
/// change, nor does the row count as changed for anybody.
pub(super) async fn reseal_some(
    connection: &mut SqliteConnection,
    keys: &Keyring,
    mut progress: Progress,
) -> Result<Progress, StoreError> {
    let Some(column) = ALL.get(progress.column) else {
        return Ok(progress);
    };
    let rows: Vec<(Uuid, Vec<u8>, String)> = sqlx::query_as(AssertSqlSafe(column.page()))
        .bind(progress.organization)
        .bind(progress.row)
        .bind(prefix(keys.current.id))
        .bind(ROWS)
        .fetch_all(&mut *connection)
        .await?;
    (progress.organization, progress.row) = match rows.last() {
        Some((organization, row, _)) => (organization.as_bytes().to_vec(), row.clone()),
        None => Default::default(),
    };
    if rows.len() < ROWS as usize {
        progress.column += 1;
        (progress.organization, progress.row) = Default::default();
    }
    for (organization, row, stored) in rows {
        let place = Place::new(column, organization, &row);
        let plain = match opened(keys, place, &stored) {
            Ok(plain) => plain,
            Err(error) => {
                tracing::error!(%error, %organization, "a sealed value does not open and is left as it is");
                progress.done.broken += 1;
                continue;
            }
        };
        let updated = sqlx::query(AssertSqlSafe(column.update()))
            .bind(organization)
            .bind(&row)
            .bind(keys.seal(place, &plain)?)
            .bind(stored)
            .execute(&mut *connection)
            .await?;
        progress.done.values += updated.rows_affected();
    }
    Ok(progress)
}

/// The same for values from before there were keys.
fn opened(keys: &Keyring, place: Place<'_>, stored: &str) -> Result<Zeroizing<String>, StoreError> {
    match Form::of(stored) {
        Form::Clear(plain) => Ok(Zeroizing::new(plain.to_owned())),
        Form::Sealed { .. } | Form::Unknown => keys.open(place, stored),
    }
}

/// Once: writes the file anew, because what was there before it was sealed stays in
/// the file's free space until something else is written there. `user_version` says
/// that it was done.
pub(super) async fn clear_free_space(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let (version,): (i64,) = sqlx::query_as("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await?;
    if version > 0 {
        return Ok(());
    }
    for statement in [
        // Not the whole database in memory.
        "PRAGMA temp_store = file",
        "VACUUM",
        "PRAGMA temp_store = memory",
        "PRAGMA user_version = 1",
        "PRAGMA wal_checkpoint(TRUNCATE)",
    ] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}
