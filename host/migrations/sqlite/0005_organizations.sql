-- Many customers: organizations with quotas, tokens with scopes, what was changed by
-- whom, and requests that are one although they were sent twice.

-- How often it was changed; what a client read is known by it.
ALTER TABLE organization ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
-- JSON text; a quota that is absent is the server's.
ALTER TABLE organization ADD COLUMN quotas TEXT NOT NULL DEFAULT '{}';
CREATE UNIQUE INDEX organization_by_name ON organization (name);

CREATE TABLE new_token (
    id              BLOB PRIMARY KEY NOT NULL,
    organization_id BLOB NOT NULL REFERENCES organization (id),
    -- SHA-256; the token itself is high-entropy and is never stored.
    hash            BLOB NOT NULL UNIQUE,
    -- Its first characters, to know it by. Null where they would tell too much.
    prefix          TEXT,
    label           TEXT NOT NULL,
    scope           TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER,
    last_used_at    INTEGER
) STRICT, WITHOUT ROWID;

-- Until now there was one kind of token, which could do everything.
INSERT INTO new_token
    SELECT substr(hash, 1, 16), organization_id, hash, NULL, label, 'operator', created_at, NULL, NULL
    FROM token;
DROP TABLE token;
ALTER TABLE new_token RENAME TO token;
CREATE INDEX token_by_organization ON token (organization_id, id);

ALTER TABLE source ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE binding ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE endpoint ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;

-- Which versions a binding ran before this one, the latest last: what a rollback goes
-- back to. A rollback takes the last away.
CREATE TABLE activation (
    binding_id BLOB NOT NULL REFERENCES binding (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    PRIMARY KEY (binding_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    organization_id BLOB NOT NULL,
    id              BLOB NOT NULL,
    -- Null: the server itself. The token may be gone, so its label is here too.
    token_id        BLOB,
    actor           TEXT NOT NULL,
    action          TEXT NOT NULL,
    what            TEXT NOT NULL,
    -- The id or name of what was changed.
    subject         TEXT NOT NULL,
    -- As the API shows it, without secrets: JSON text.
    before          TEXT,
    after           TEXT,
    at              INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_by_subject ON audit (organization_id, what, subject, id);

-- Creations whose request had an idempotency key, with what was answered.
CREATE TABLE creation (
    organization_id BLOB NOT NULL,
    key             TEXT NOT NULL,
    -- SHA-256 of method, path and body.
    request         BLOB NOT NULL,
    answer          TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX creation_by_age ON creation (created_at);
