use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use uuid::Uuid;

use super::segment::{self, Segment};
use super::{FIRST_FILE, LARGEST_FILE, ahead};
use crate::store::rows::{Entry, Table, Value};
use crate::store::{Durability, KeySource, OpenError, OpenStore, StoreError};

async fn open(folder: &TempDir) -> Result<OpenStore, OpenError> {
    OpenStore::open(folder.path(), Durability::Process, &KeySource::DataFolder).await
}

/// A row that is known by its number and is as long as one likes.
fn payload(number: u128, bytes: usize) -> Entry {
    let mut entry = Entry::default();
    let body = "x".repeat(bytes);
    let id = Uuid::from_u128(number);
    entry.row(Table::Payload, &[(&id).into(), body.as_str().into()]);
    entry
}

/// One that no table takes.
fn impossible() -> Entry {
    let mut entry = Entry::default();
    entry.row(Table::Payload, &[Value::Null, "x".into()]);
    entry
}

/// Which of the payloads are in their table.
async fn there(open: &OpenStore) -> Vec<u128> {
    let rows: Vec<(Uuid,)> = sqlx::query_as("SELECT event_id FROM payload ORDER BY event_id")
        .fetch_all(open.store.journal_readers().await.unwrap())
        .await
        .unwrap();
    rows.into_iter().map(|(id,)| id.as_u128()).collect()
}

fn files(folder: &TempDir) -> Vec<String> {
    let files = fs::read_dir(folder.path().join("redo")).unwrap();
    let mut names: Vec<_> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A file as a process leaves it when it dies.
fn leave(folder: &TempDir, first: u64, entries: &[Entry]) {
    let folder = folder.path().join("redo");
    fs::create_dir_all(&folder).unwrap();
    let mut file = Segment::create(&ahead::path(&folder, first), FIRST_FILE).unwrap();
    file.begin(first);
    for (sequence, entry) in (first..).zip(entries) {
        let bytes = entry.bytes();
        file.append(sequence, bytes, segment::check(bytes)).unwrap();
    }
}

#[tokio::test]
async fn what_a_dead_process_has_acknowledged_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder).await.unwrap().close().await;
    let entries = [payload(1, 10), payload(2, 10), payload(3, 10)];
    // The second file was begun when the first was full; the third holds what an
    // earlier process has written into the tables already.
    leave(&folder, 1, &entries[..2]);
    leave(&folder, 3, &entries[2..]);
    let again = open(&folder).await.unwrap();
    assert_eq!(there(&again).await, [1, 2, 3]);
    again
        .store
        .writer
        .journal(payload(4, 1), Durability::Process)
        .await
        .unwrap();
    again.close().await;

    leave(&folder, 2, &[payload(22, 1), payload(33, 1)]);
    let again = open(&folder).await.unwrap();
    assert_eq!(
        there(&again).await,
        [1, 2, 3, 4],
        "they were written before"
    );
}

#[tokio::test]
async fn entries_that_do_not_follow_are_kept_beside_and_not_written() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder).await.unwrap().close().await;
    leave(&folder, 1, &[payload(1, 1)]);
    leave(&folder, 3, &[payload(3, 1)]);
    let again = open(&folder).await.unwrap();
    assert_eq!(there(&again).await, [1]);
    let missing = files(&folder)
        .into_iter()
        .filter(|it| it.ends_with(".missing"));
    assert_eq!(missing.count(), 2);
}

#[tokio::test]
async fn a_log_of_another_version_is_refused_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder).await.unwrap().close().await;
    leave(&folder, 1, &[payload(1, 1)]);
    let path = ahead::path(&folder.path().join("redo"), 1);
    let mut bytes = fs::read(&path).unwrap();
    let format = 77_u32;
    bytes[8..12].copy_from_slice(&format.to_le_bytes());
    let check = segment::check(
        &[
            1_u64.to_le_bytes().as_slice(),
            &format.to_le_bytes(),
            &[0; 4],
        ]
        .concat(),
    );
    bytes[12..16].copy_from_slice(&check.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let refused = open(&folder).await.unwrap_err();
    assert!(
        matches!(refused, OpenError::RedoFormat { found: 77, .. }),
        "{refused}"
    );
    assert!(path.exists());
}

#[tokio::test]
async fn the_log_goes_on_in_further_files_and_leaves_none_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await.unwrap();
    let count = 3 * FIRST_FILE / 100_000;
    for number in 0..count {
        let entry = payload(number as u128, 100_000);
        store
            .store
            .writer
            .journal(entry, Durability::PowerLoss)
            .await
            .unwrap();
    }
    let larger_than_any = payload(1000, LARGEST_FILE + 1);
    store
        .store
        .writer
        .journal(larger_than_any, Durability::Process)
        .await
        .unwrap();
    assert_eq!(there(&store).await.len(), count + 1);
    store.close().await;
    assert_eq!(files(&folder), [""; 0]);
}

#[tokio::test]
async fn an_entry_that_no_table_takes_is_set_aside_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await.unwrap();
    let writer = &store.store.writer;
    for entry in [payload(1, 1), impossible(), payload(2, 1)] {
        writer.journal(entry, Durability::Process).await.unwrap();
    }
    assert_eq!(there(&store).await, [1, 2]);
    store.close().await;
    let aside = files(&folder);
    assert_eq!(aside.len(), 1);
    let kept = fs::read(folder.path().join("redo").join(&aside[0])).unwrap();
    assert_eq!(kept, impossible().bytes());
}

#[tokio::test]
async fn where_no_file_can_be_made_entries_are_refused_until_one_can() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await.unwrap();
    let writer = &store.store.writer;
    let (redo, away) = (folder.path().join("redo"), folder.path().join("away"));
    fs::rename(&redo, &away).unwrap();
    let mut taken = 0;
    let refused = loop {
        match writer
            .journal(payload(taken, 100_000), Durability::Process)
            .await
        {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 100, "it goes on without files");
    };
    assert!(matches!(refused, StoreError::Disk(_)), "{refused:?}");
    fs::rename(&away, &redo).unwrap();
    let again = async {
        while writer
            .journal(payload(1000, 1), Durability::PowerLoss)
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again)
        .await
        .unwrap();
    let expected: Vec<_> = (0..taken).chain([1000]).collect();
    assert_eq!(there(&store).await, expected);
}

/// Whoever holds the database keeps the tables from being written, and nothing else.
#[tokio::test]
async fn entries_are_acknowledged_while_the_tables_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await.unwrap();
    let held = rusqlite::Connection::open(folder.path().join("hookswitch.db")).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    let writer = &store.store.writer;
    for (number, durability) in [(1, Durability::Process), (2, Durability::PowerLoss)] {
        writer
            .journal(payload(number, 1), durability)
            .await
            .unwrap();
    }
    let settled = tokio::time::timeout(Duration::from_millis(100), writer.settled()).await;
    assert!(settled.is_err(), "who reads waits");
    held.execute_batch("COMMIT").unwrap();
    assert_eq!(there(&store).await, [1, 2]);
}

#[tokio::test]
async fn what_waits_when_the_store_closes_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await.unwrap();
    for number in 0..100 {
        store
            .store
            .writer
            .journal(payload(number, 1000), Durability::Process)
            .await
            .unwrap();
    }
    store.close().await;
    assert_eq!(files(&folder), [""; 0]);
    assert!(!Path::new(&folder.path().join("hookswitch.db-wal")).exists());
    let again = open(&folder).await.unwrap();
    assert_eq!(there(&again).await.len(), 100);
}
