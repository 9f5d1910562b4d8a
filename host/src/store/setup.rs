//! The frame of every change of what people set up: the change, its line in the audit
//! log and, for a creation, what is answered if the same request comes again are one
//! transaction.
//!
//! `source`, `plugin`, `binding`, `endpoint`, `secret`, `token` and `organization` change
//! things inside it; [`super::audit`] reads the lines.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::seal::values::CREATION_ANSWER;
use super::seal::{Place, Sealer};
use super::writer::{Running, Terms};
use super::{Durability, Store, StoreError, row};
use crate::domain::id::{OrganizationId, TokenId};

/// On whose behalf something is changed.
#[derive(Debug, Clone, Copy)]
pub struct Author {
    pub organization: OrganizationId,
    /// None: the server itself.
    pub token: Option<TokenId>,
    pub at: Timestamp,
}

/// How a thing is shown in public, without secrets.
pub type Show<T> = fn(&T) -> Value;

/// An author, and how what they change is shown in the audit log.
#[derive(Debug, Clone, Copy)]
pub struct By<T> {
    pub author: Author,
    pub show: Show<T>,
}

/// The same request is known by its key; that it is the same, by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    pub key: String,
    /// Of method, path and body.
    pub request: [u8; 32],
}

/// A creation, and how it is answered.
#[derive(Debug, Clone)]
pub struct Creation<T> {
    pub by: By<T>,
    pub idempotency: Option<Idempotency>,
    /// May show what is shown once.
    pub answer: Show<T>,
}

/// What a creation came to.
#[derive(Debug, Clone)]
pub enum Created<T> {
    New(T),
    /// The request was made before; this was answered.
    Before(Value),
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Create,
    Update,
    Delete,
    Upload,
    Activate,
    Rollback,
    Rotate,
    Retry,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Upload => "upload",
            Self::Activate => "activate",
            Self::Rollback => "rollback",
            Self::Rotate => "rotate",
            Self::Retry => "retry",
        }
    }
}

/// A line of the audit log.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) action: Action,
    pub(super) what: &'static str,
    pub(super) subject: String,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

/// Who the server itself is in the audit log.
const HOST: &str = "hookswitch";

const INSERT: &str = "INSERT INTO audit (organization_id, id, token_id, actor, action, what, \
    subject, before, after, at) VALUES (?1, ?2, ?3, \
    coalesce((SELECT label FROM token WHERE id = ?3), ?4), ?5, ?6, ?7, ?8, ?9, ?10)";

impl Line {
    pub(super) async fn write(
        self,
        connection: &mut SqliteConnection,
        author: Author,
    ) -> Result<(), StoreError> {
        let text = |value: Option<Value>| value.map(|value| value.to_string());
        sqlx::query(INSERT)
            .bind(author.organization.uuid())
            .bind(Uuid::now_v7())
            .bind(author.token.map(TokenId::uuid))
            .bind(HOST)
            .bind(self.action.as_str())
            .bind(self.what)
            .bind(self.subject)
            .bind(text(self.before))
            .bind(text(self.after))
            .bind(author.at.as_millisecond())
            .execute(connection)
            .await?;
        Ok(())
    }
}

impl Author {
    /// The server itself.
    pub fn host(organization: OrganizationId, at: Timestamp) -> Self {
        Self {
            organization,
            token: None,
            at,
        }
    }
}

impl<T> Creation<T> {
    /// One that nobody asked for through the API.
    pub fn of_host(organization: OrganizationId, at: Timestamp) -> Self {
        let nothing: Show<T> = |_| Value::Null;
        Self {
            by: By::of_host(organization, at),
            idempotency: None,
            answer: nothing,
        }
    }
}

impl<T> Created<T> {
    /// What was created; without an idempotency key there is nothing before.
    pub fn into_new(self) -> Option<T> {
        match self {
            Self::New(created) => Some(created),
            Self::Before(_) => None,
        }
    }
}

impl<T> By<T> {
    pub fn of_host(organization: OrganizationId, at: Timestamp) -> Self {
        Self {
            author: Author::host(organization, at),
            show: |_| Value::Null,
        }
    }

    pub(super) fn updated(
        &self,
        action: Action,
        what: &'static str,
        subject: &dyn std::fmt::Display,
        before: &T,
        after: &T,
    ) -> Line {
        Line {
            action,
            what,
            subject: subject.to_string(),
            before: Some((self.show)(before)),
            after: Some((self.show)(after)),
        }
    }

    pub(super) fn deleted(
        &self,
        what: &'static str,
        subject: &dyn std::fmt::Display,
        before: &T,
    ) -> Line {
        Line {
            action: Action::Delete,
            what,
            subject: subject.to_string(),
            before: Some((self.show)(before)),
            after: None,
        }
    }
}

impl Store {
    /// Runs a change that writes so many bytes. What fails leaves nothing behind.
    pub(super) async fn set_up<T, F>(
        &self,
        author: Author,
        bytes: usize,
        run: F,
    ) -> Result<T, StoreError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Running<'c, (T, Option<Line>)>
            + Send
            + 'static,
        T: Send + 'static,
    {
        let terms = Terms::from(Durability::PowerLoss).of_bytes(bytes);
        let done = self
            .writer
            .change(terms, move |connection| {
                Box::pin(async move {
                    let mut savepoint = connection.begin().await?;
                    let (done, line) = run(&mut savepoint).await?;
                    if let Some(line) = line {
                        line.write(&mut savepoint, author).await?;
                    }
                    savepoint.commit().await?;
                    Ok(done)
                })
            })
            .await?;
        self.editions.changed(author.organization);
        Ok(done)
    }

    /// Creates something, once for each idempotency key.
    pub(super) async fn create<T, F>(
        &self,
        what: &'static str,
        creation: Creation<T>,
        run: F,
    ) -> Result<Created<T>, StoreError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Running<'c, (T, String)> + Send + 'static,
        T: Send + 'static,
    {
        let Creation {
            by,
            idempotency,
            answer,
        } = creation;
        let author = by.author;
        let sealer = self.sealer.clone();
        self.set_up(author, 0, move |connection| {
            Box::pin(async move {
                if let Some(idempotency) = &idempotency
                    && let Some(answer) = answered(connection, &sealer, author, idempotency).await?
                {
                    return Ok((Created::Before(answer), None));
                }
                let (created, subject) = run(connection).await?;
                if let Some(idempotency) = &idempotency {
                    let answer = answer(&created);
                    remember(connection, &sealer, author, idempotency, &answer).await?;
                }
                let line = Line {
                    action: Action::Create,
                    what,
                    subject,
                    before: None,
                    after: Some((by.show)(&created)),
                };
                Ok((Created::New(created), Some(line)))
            })
        })
        .await
    }

    /// Forgets what creations before a time were answered.
    pub async fn forget_creations(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.writer
            .change(Durability::Process, move |connection| {
                Box::pin(async move {
                    let forgotten = sqlx::query("DELETE FROM creation WHERE created_at < ?1")
                        .bind(before.as_millisecond())
                        .execute(connection)
                        .await?;
                    Ok(forgotten.rows_affected())
                })
            })
            .await
    }
}

/// An answer as it is stored, with the request's digest: guesses at a secret in the request
/// could be tried on that, so it is sealed too.
#[derive(Serialize, Deserialize)]
struct AnswerColumn<A> {
    request: [u8; 32],
    answer: A,
}

/// Where an answer is sealed: it may show what is shown once.
fn place(author: Author, idempotency: &Idempotency) -> Place<'_> {
    let organization = author.organization.uuid();
    Place::new(&CREATION_ANSWER, organization, idempotency.key.as_bytes())
}

async fn answered(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    author: Author,
    idempotency: &Idempotency,
) -> Result<Option<Value>, StoreError> {
    let found: Option<(String,)> =
        sqlx::query_as("SELECT answer FROM creation WHERE organization_id = ?1 AND key = ?2")
            .bind(author.organization.uuid())
            .bind(&idempotency.key)
            .fetch_optional(connection)
            .await?;
    let Some((column,)) = found else {
        return Ok(None);
    };
    let kept: AnswerColumn<Value> = row::opened(&column, place(author, idempotency), sealer)?;
    if kept.request != idempotency.request {
        return Err(StoreError::KeyReused);
    }
    Ok(Some(kept.answer))
}

async fn remember(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    author: Author,
    idempotency: &Idempotency,
    answer: &Value,
) -> Result<(), StoreError> {
    let kept = AnswerColumn {
        request: idempotency.request,
        answer,
    };
    sqlx::query(
        "INSERT INTO creation (organization_id, key, answer, created_at) VALUES (?1, ?2, ?3, ?4)",
    )
    .bind(author.organization.uuid())
    .bind(&idempotency.key)
    .bind(row::sealed(&kept, place(author, idempotency), sealer)?)
    .bind(author.at.as_millisecond())
    .execute(connection)
    .await?;
    Ok(())
}
