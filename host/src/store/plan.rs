//! Query plans, for tests: a statement that scans is slow only once it matters.

use sqlx::Row as _;

use super::Store;

pub(super) async fn plan(store: &Store, statement: &str) -> String {
    let explain = format!("EXPLAIN QUERY PLAN {statement}");
    let rows = sqlx::query(sqlx::AssertSqlSafe(explain))
        .fetch_all(&store.readers)
        .await
        .unwrap();
    rows.iter()
        .map(|row| row.get::<String, _>("detail"))
        .collect::<Vec<_>>()
        .join("; ")
}
