//! The audit log, read back. Lines are written with the change they tell of
//! ([`super::setup`]).

use jiff::Timestamp;
use sqlx::FromRow;
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::{Store, StoreError, row};
use crate::domain::Json;
use crate::domain::id::{AuditId, OrganizationId, TokenId};

/// What somebody did.
#[derive(Debug, Clone)]
pub struct AuditLine {
    pub id: AuditId,
    /// None: the server itself.
    pub token: Option<TokenId>,
    /// The token's label at that time.
    pub actor: String,
    pub action: String,
    pub what: String,
    pub subject: String,
    pub before: Option<Json>,
    pub after: Option<Json>,
    pub at: Timestamp,
}

/// Which lines are wanted; what is absent is not asked for.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub what: Option<String>,
    /// Only together with `what`.
    pub subject: Option<String>,
}

#[derive(FromRow)]
struct AuditRow {
    id: Uuid,
    token_id: Option<Uuid>,
    actor: String,
    action: String,
    what: String,
    subject: String,
    before: Option<String>,
    after: Option<String>,
    at: i64,
}

impl AuditRow {
    fn read(self) -> Result<AuditLine, StoreError> {
        let json = |text: Option<String>, what| text.map(|text| row::json(text, what)).transpose();
        Ok(AuditLine {
            id: self.id.into(),
            token: self.token_id.map(TokenId::from),
            actor: self.actor,
            action: self.action,
            what: self.what,
            subject: self.subject,
            before: json(self.before, "audit.before")?,
            after: json(self.after, "audit.after")?,
            at: row::timestamp(self.at, "audit.at")?,
        })
    }
}

impl Store {
    /// The newest lines first.
    pub async fn audit(
        &self,
        organization: OrganizationId,
        filter: &AuditFilter,
        page: PageRequest,
    ) -> Result<Page<AuditLine>, StoreError> {
        let rows: Vec<AuditRow> = sqlx::query_as(
            "SELECT id, token_id, actor, action, what, subject, before, after, at FROM audit \
             WHERE organization_id = ?1 AND (?2 IS NULL OR id < ?2) \
             AND (?3 IS NULL OR what = ?3) AND (?4 IS NULL OR subject = ?4) \
             ORDER BY id DESC LIMIT ?5",
        )
        .bind(organization.uuid())
        .bind(page.after)
        .bind(&filter.what)
        .bind(&filter.subject)
        .bind(page.fetch())
        .fetch_all(&self.readers)
        .await?;
        Page::of(rows, page, |row| row.id, AuditRow::read)
    }
}
