//! Rows on their way into the journal's tables, in the form in which they wait.
//!
//! Whoever has something to store writes its rows, one after the other, into the bytes
//! of an [`Entry`]: what belongs together. In that form they lie in the redo log, and
//! are written from there into the tables, by the statements of this file. [`journal`]
//! says which rows a decision or a delivery is made of, [`redo`] keeps them until they
//! are in their tables.
//!
//! The order of [`Table`] and what each row holds is a format of files
//! ([`FORMAT`]): what one version of the server leaves behind when it dies, the next
//! one must not misread.
//!
//! [`journal`]: super::journal
//! [`redo`]: super::redo

use std::collections::HashMap;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, ToSql};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::StoreError;

/// To be changed with whatever changes the meaning of a stored row.
pub(super) const FORMAT: u32 = 1;

/// Where a row goes, or what it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Table {
    Event,
    Payload,
    PendingNotice,
    PendingQuestion,
    Decision,
    LogLine,
    Delivery,
    DeliveryBody,
    Attempt,
    /// Not a table but a change of its rows.
    Settled,
    /// Not a table but a row that leaves one.
    HandledNotice,
    /// Likewise.
    AnsweredQuestion,
}

impl Table {
    pub(super) const COUNT: usize = 12;

    /// What writes a row, whose values are its arguments. A row that is there already
    /// stays as it is: a decision that is made twice stands as it was first.
    pub(super) fn statement(self) -> &'static str {
        match self {
            Self::Event => {
                "INSERT INTO event (organization_id, id, source_id, kind, platform_type, \
                 call_id, agent_id, tool, received_at, fingerprint, identified) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING"
            }
            Self::Payload => {
                "INSERT INTO payload (event_id, body) VALUES (?1, ?2) ON CONFLICT DO NOTHING"
            }
            Self::PendingNotice => {
                "INSERT INTO pending_notice (event_id, organization_id, leased_until, attempts) \
                 VALUES (?1, ?2, 0, 0) ON CONFLICT DO NOTHING"
            }
            Self::PendingQuestion => {
                "INSERT INTO pending_question (event_id, organization_id) VALUES (?1, ?2) \
                 ON CONFLICT DO NOTHING"
            }
            Self::Decision => {
                "INSERT INTO decision (organization_id, event_id, kind, outcome, reason, answer, \
                 reply_status, reply_body, elapsed_us, invocations, decided_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING"
            }
            Self::LogLine => {
                "INSERT INTO log_line (event_id, number, binding_id, level, message) \
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING"
            }
            Self::Delivery => {
                "INSERT INTO delivery (id, organization_id, event_id, endpoint_id, kind, call_id, \
                 bytes, created_at, due_at, state, ended_at, attempts, forwarded, status, error, \
                 forgiven, leased_until) \
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 0, 0 \
                 WHERE ?16 IS NULL OR EXISTS (SELECT 1 FROM pending_notice WHERE event_id = ?16) \
                 ON CONFLICT DO NOTHING"
            }
            Self::DeliveryBody => {
                "INSERT INTO delivery_body (delivery_id, body) SELECT ?1, ?2 \
                 WHERE ?3 IS NULL OR EXISTS (SELECT 1 FROM pending_notice WHERE event_id = ?3) \
                 ON CONFLICT DO NOTHING"
            }
            Self::Attempt => {
                "INSERT INTO attempt (delivery_id, number, endpoint_id, started_at, elapsed_us, \
                 status, error, detail, response) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
                 ON CONFLICT DO NOTHING"
            }
            // Who lost its lease finds another number of attempts, and changes nothing.
            Self::Settled => {
                "UPDATE delivery SET state = ?4, due_at = ?5, ended_at = ?6, status = ?7, \
                 error = ?8, attempts = attempts + 1, leased_until = 0 \
                 WHERE organization_id = ?1 AND id = ?2 AND attempts = ?3 AND state = 'owed'"
            }
            Self::HandledNotice => "DELETE FROM pending_notice WHERE event_id = ?1",
            Self::AnsweredQuestion => "DELETE FROM pending_question WHERE event_id = ?1",
        }
    }
}

/// How many events an organization has, counted up.
const COUNT_EVENTS: &str = "INSERT INTO event_count (organization_id, events) VALUES (?1, ?2) \
    ON CONFLICT DO UPDATE SET events = events + ?2";

/// What a row has in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Blob(#[serde(with = "serde_bytes")] &'a [u8]),
}

/// What a row takes besides its texts.
const ROW_BYTES: usize = 16;

impl Value<'_> {
    /// About how many bytes it takes.
    fn size(&self) -> usize {
        match self {
            Self::Null => 1,
            Self::Integer(_) => 11,
            Self::Text(text) => 11 + text.len(),
            Self::Blob(bytes) => 11 + bytes.len(),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct NewRow<'a> {
    table: Table,
    values: &'a [Value<'a>],
}

/// A row as it was written.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Row<'a> {
    pub(super) table: Table,
    #[serde(borrow)]
    pub(super) values: Vec<Value<'a>>,
}

/// Bytes that are no entry of this version.
#[derive(Debug, thiserror::Error)]
#[error("a row cannot be read: {0}")]
pub struct UnreadableRow(postcard::Error);

/// Rows that are written together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    bytes: Vec<u8>,
}

impl Entry {
    /// An entry as it was kept.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// The form in which it is kept.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn row(&mut self, table: Table, values: &[Value<'_>]) {
        // Texts are long now and then: making room bit by bit would take twice as much.
        let room: usize = values.iter().map(Value::size).sum();
        self.bytes.reserve(room + ROW_BYTES);
        let row = NewRow { table, values };
        // Nothing in a row has no form, and a vector grows.
        if let Ok(longer) = postcard::to_extend(&row, std::mem::take(&mut self.bytes)) {
            self.bytes = longer;
        }
    }

    /// Its rows, in the order in which they were written.
    pub(super) fn rows(&self) -> impl Iterator<Item = Result<Row<'_>, UnreadableRow>> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let read = postcard::take_from_bytes(rest);
            // After what cannot be read nobody knows where the next row begins.
            rest = read.as_ref().map_or(&[], |(_, after)| *after);
            Some(read.map(|(row, _)| row).map_err(UnreadableRow))
        })
    }

    /// Writes the rows within the caller's transaction.
    pub(super) async fn write(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let mut counted = Counted::default();
        for row in self.rows() {
            let row = row.map_err(|error| StoreError::corrupt("an entry", error))?;
            let mut query = sqlx::query(row.table.statement());
            for value in &row.values {
                query = match *value {
                    Value::Null => query.bind(None::<i64>),
                    Value::Integer(number) => query.bind(number),
                    Value::Text(text) => query.bind(text.to_owned()),
                    Value::Blob(bytes) => query.bind(bytes.to_owned()),
                };
            }
            let written = query.execute(&mut *connection).await?;
            counted.note(&row, written.rows_affected());
        }
        for (organization, events) in counted.0 {
            sqlx::query(COUNT_EVENTS)
                .bind(organization)
                .bind(events)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

/// New events by organization.
#[derive(Debug, Default)]
struct Counted(HashMap<Vec<u8>, i64>);

impl Counted {
    fn note(&mut self, row: &Row<'_>, written: u64) {
        if row.table == Table::Event
            && written > 0
            && let Some(&Value::Blob(organization)) = row.values.first()
        {
            match self.0.get_mut(organization) {
                Some(events) => *events += 1,
                None => {
                    self.0.insert(organization.to_owned(), 1);
                }
            }
        }
    }
}

/// An entry could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    #[error(transparent)]
    Unreadable(#[from] UnreadableRow),
}

impl WriteError {
    /// Whether it is about the rows themselves, so that trying again does not help.
    pub(super) fn is_of_rows(&self) -> bool {
        use rusqlite::ErrorCode::{ConstraintViolation, ParameterOutOfRange, TypeMismatch};
        match self {
            Self::Unreadable(_) | Self::Database(rusqlite::Error::InvalidParameterCount(..)) => {
                true
            }
            Self::Database(error) => matches!(
                error.sqlite_error_code(),
                Some(ConstraintViolation | TypeMismatch | ParameterOutOfRange)
            ),
        }
    }
}

/// Writes entries within a transaction of the thread that does nothing else: each
/// statement is prepared once. After each entry the caller may pause.
pub(super) fn write_all<'e>(
    connection: &rusqlite::Connection,
    entries: impl Iterator<Item = &'e Entry>,
    mut pause: impl FnMut(),
) -> Result<(), WriteError> {
    let mut statements: [Option<CachedStatement<'_>>; Table::COUNT] = Default::default();
    let mut counted = Counted::default();
    for entry in entries {
        for row in entry.rows() {
            let row = row?;
            let place = &mut statements[row.table as usize];
            let statement = match place {
                Some(statement) => statement,
                None => place.insert(connection.prepare_cached(row.table.statement())?),
            };
            let written = statement.execute(rusqlite::params_from_iter(&row.values))?;
            counted.note(&row, written as u64);
        }
        pause();
    }
    for (organization, events) in counted.0 {
        let mut statement = connection.prepare_cached(COUNT_EVENTS)?;
        statement.execute((organization, events))?;
    }
    Ok(())
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a Uuid> for Value<'a> {
    fn from(id: &'a Uuid) -> Self {
        Self::Blob(id.as_bytes())
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u16> for Value<'_> {
    fn from(number: u16) -> Self {
        Self::Integer(number.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Self::Integer(truth.into())
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Owned {
        Null,
        Integer(i64),
        Text(String),
        Blob(Vec<u8>),
    }

    impl Owned {
        fn value(&self) -> Value<'_> {
            match self {
                Self::Null => Value::Null,
                Self::Integer(number) => Value::Integer(*number),
                Self::Text(text) => Value::Text(text),
                Self::Blob(bytes) => Value::Blob(bytes),
            }
        }
    }

    fn values() -> impl Strategy<Value = Vec<Owned>> {
        let value = prop_oneof![
            Just(Owned::Null),
            any::<i64>().prop_map(Owned::Integer),
            any::<String>().prop_map(Owned::Text),
            any::<Vec<u8>>().prop_map(Owned::Blob),
        ];
        proptest::collection::vec(value, 0..20)
    }

    proptest! {
        #[test]
        fn rows_are_read_as_they_were_written(rows in proptest::collection::vec(values(), 0..8)) {
            let rows: Vec<Vec<Value<'_>>> =
                rows.iter().map(|row| row.iter().map(Owned::value).collect()).collect();
            let mut entry = Entry::default();
            for values in &rows {
                entry.row(Table::Delivery, values);
            }
            let read: Result<Vec<_>, _> = entry.rows().collect();
            let read: Vec<_> = read.unwrap().into_iter().map(|row| row.values).collect();
            prop_assert_eq!(read, rows);
        }

        #[test]
        fn bytes_that_are_no_rows_end(bytes: Vec<u8>) {
            prop_assert!(Entry::of(bytes.clone()).rows().count() <= bytes.len());
        }
    }

    /// What is left behind by one version is read by the next: this must not change
    /// without [`FORMAT`].
    #[test]
    fn the_format_of_rows_is_as_it_was() {
        let id = Uuid::from_u128(1);
        let mut entry = Entry::default();
        entry.row(Table::Payload, &[(&id).into(), "{}".into()]);
        entry.row(Table::AnsweredQuestion, &[Value::Null, (-3_i64).into()]);
        let expected = "01 02 03 10 00000000000000000000000000000001 02 02 7b7d 0b 02 00 01 05";
        assert_eq!(hex::encode(entry.bytes()), expected.replace(' ', ""));
        assert_eq!(FORMAT, 1);
    }
}
