//! Tokens of the API. Only their hashes are kept.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::setup::{By, Created, Creation};
use super::{Durability, Store, StoreError, row};
use crate::domain::access::{Label, Scope, Token};
use crate::domain::id::{OrganizationId, TokenId};

/// The SHA-256 of a token. Tokens are random, so a slow hash would add nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash")
    }
}

/// A token that is to be.
#[derive(Debug, Clone)]
pub struct NewToken {
    pub token: Token,
    pub hash: TokenHash,
}

#[derive(FromRow)]
struct TokenRow {
    id: Uuid,
    organization_id: Uuid,
    prefix: Option<String>,
    label: String,
    scope: String,
    created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl TokenRow {
    fn read(self) -> Result<Token, StoreError> {
        let scope = Scope::named(&self.scope);
        let label = self.label.parse::<Label>();
        let time = |at: Option<i64>, what| at.map(|at| row::timestamp(at, what)).transpose();
        Ok(Token {
            id: self.id.into(),
            organization: self.organization_id.into(),
            label: label.map_err(|e| StoreError::corrupt("token.label", e))?,
            prefix: self.prefix,
            scope: scope.ok_or_else(|| StoreError::corrupt("token.scope", &self.scope))?,
            created_at: row::timestamp(self.created_at, "token.created_at")?,
            expires_at: time(self.expires_at, "token.expires_at")?,
            last_used_at: time(self.last_used_at, "token.last_used_at")?,
        })
    }
}

const TOKENS: &str = "SELECT id, organization_id, prefix, label, scope, created_at, expires_at, \
    last_used_at FROM token";

const INSERT: &str = "INSERT INTO token (id, organization_id, hash, prefix, label, scope, \
    created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// Tokens that could set up everything again.
const OTHER_OPERATORS: &str = "SELECT EXISTS (SELECT 1 FROM token WHERE scope = 'operator' \
    AND id <> ?1 AND (expires_at IS NULL OR expires_at > ?2))";

const WHAT: &str = "token";

fn missing(id: TokenId) -> StoreError {
    StoreError::NotFound {
        what: WHAT,
        id: id.to_string(),
    }
}

impl Store {
    /// Most tokens of an organization.
    pub const MAX_TOKENS: i64 = 1_000;

    /// Whose token that is.
    pub async fn token_with(&self, hash: TokenHash) -> Result<Option<Token>, StoreError> {
        let statement = format!("{TOKENS} WHERE hash = ?1");
        let row: Option<TokenRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(hash.0.as_slice())
            .fetch_optional(&self.readers)
            .await?;
        row.map(TokenRow::read).transpose()
    }

    /// Whether there is any token, that is, whether anybody can use the API.
    pub async fn has_token(&self) -> Result<bool, StoreError> {
        let (there,): (bool,) = sqlx::query_as("SELECT EXISTS (SELECT 1 FROM token)")
            .fetch_one(&self.readers)
            .await?;
        Ok(there)
    }

    /// Adds an operator's token in the first organization, which comes into being with
    /// it. A token that is there already is left as it is.
    pub async fn add_operator(
        &self,
        hash: TokenHash,
        label: &'static str,
        prefix: Option<String>,
        new_organization: OrganizationId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.writer
            .change(Durability::PowerLoss, move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO organization (id, name, created_at) SELECT ?1, 'default', ?2 \
                         WHERE NOT EXISTS (SELECT 1 FROM organization)",
                    )
                    .bind(new_organization.uuid())
                    .bind(now.as_millisecond())
                    .execute(&mut *connection)
                    .await?;
                    sqlx::query(
                        "INSERT INTO token (id, hash, organization_id, prefix, label, scope, created_at) \
                         SELECT ?1, ?2, id, ?3, ?4, 'operator', ?5 \
                         FROM organization ORDER BY created_at, id LIMIT 1 \
                         ON CONFLICT DO NOTHING",
                    )
                    .bind(Uuid::now_v7())
                    .bind(hash.0.as_slice())
                    .bind(prefix)
                    .bind(label)
                    .bind(now.as_millisecond())
                    .execute(connection)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    /// Adds a token. `T` is what is shown of it: with the token itself, the only time.
    pub async fn create_token<T: Send + 'static>(
        &self,
        new: NewToken,
        creation: Creation<T>,
        issue: impl FnOnce(Token) -> T + Send + 'static,
    ) -> Result<Created<T>, StoreError> {
        self.create(WHAT, creation, move |connection| {
            Box::pin(async move {
                let token = new.token;
                check_count(connection, token.organization).await?;
                sqlx::query(INSERT)
                    .bind(token.id.uuid())
                    .bind(token.organization.uuid())
                    .bind(new.hash.0.as_slice())
                    .bind(&token.prefix)
                    .bind(token.label.to_string())
                    .bind(token.scope.as_str())
                    .bind(token.created_at.as_millisecond())
                    .bind(token.expires_at.map(Timestamp::as_millisecond))
                    .execute(connection)
                    .await?;
                let subject = token.id.to_string();
                Ok((issue(token), subject))
            })
        })
        .await
    }

    pub async fn tokens(
        &self,
        organization: OrganizationId,
        page: PageRequest,
    ) -> Result<Page<Token>, StoreError> {
        let statement = format!(
            "{TOKENS} WHERE organization_id = ?1 AND (?2 IS NULL OR id < ?2) \
             ORDER BY id DESC LIMIT ?3"
        );
        let rows: Vec<TokenRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(organization.uuid())
            .bind(page.after)
            .bind(page.fetch())
            .fetch_all(&self.readers)
            .await?;
        Page::of(rows, page, |row| row.id, TokenRow::read)
    }

    pub async fn token(
        &self,
        organization: OrganizationId,
        id: TokenId,
    ) -> Result<Token, StoreError> {
        token_of(&mut *self.readers.acquire().await?, organization, id).await
    }

    /// Takes a token away; it is refused from then on.
    pub async fn revoke_token(
        &self,
        organization: OrganizationId,
        id: TokenId,
        by: By<Token>,
    ) -> Result<(), StoreError> {
        self.set_up(by.author, 0, move |connection| {
            Box::pin(async move {
                let token = token_of(connection, organization, id).await?;
                if token.scope == Scope::Operator {
                    let (others,): (bool,) = sqlx::query_as(OTHER_OPERATORS)
                        .bind(id.uuid())
                        .bind(by.author.at.as_millisecond())
                        .fetch_one(&mut *connection)
                        .await?;
                    if !others {
                        return Err(StoreError::LastOperator);
                    }
                }
                let line = by.deleted(WHAT, &id, &token);
                // The audit log takes the label from the token, which may be this one.
                line.write(connection, by.author).await?;
                sqlx::query("DELETE FROM token WHERE id = ?1")
                    .bind(id.uuid())
                    .execute(connection)
                    .await?;
                Ok(((), None))
            })
        })
        .await
    }

    /// Takes note of when tokens were last used.
    pub async fn used_tokens(&self, used: Vec<(TokenId, Timestamp)>) -> Result<(), StoreError> {
        self.writer
            .change(Durability::Process, move |connection| {
                Box::pin(async move {
                    for (id, at) in used {
                        sqlx::query("UPDATE token SET last_used_at = ?2 WHERE id = ?1")
                            .bind(id.uuid())
                            .bind(at.as_millisecond())
                            .execute(&mut *connection)
                            .await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

async fn token_of(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    id: TokenId,
) -> Result<Token, StoreError> {
    let statement = format!("{TOKENS} WHERE organization_id = ?1 AND id = ?2");
    let row: Option<TokenRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
        .bind(organization.uuid())
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    row.ok_or_else(|| missing(id))?.read()
}

async fn check_count(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
) -> Result<(), StoreError> {
    let (count,): (i64,) = sqlx::query_as("SELECT count(*) FROM token WHERE organization_id = ?1")
        .bind(organization.uuid())
        .fetch_one(connection)
        .await?;
    if count < Store::MAX_TOKENS {
        return Ok(());
    }
    Err(StoreError::TooMany {
        what: "tokens",
        most: Store::MAX_TOKENS,
    })
}
