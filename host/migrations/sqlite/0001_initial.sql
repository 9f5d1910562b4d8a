-- Ids are UUIDs (version 7) of 16 bytes, times are milliseconds since 1970 UTC.
-- Settings and answers are JSON text. What belongs to an organization has it as
-- the first column of its key, so that one tenant's rows lie together and a list
-- never reads another tenant's.

CREATE TABLE organization (
    id         BLOB PRIMARY KEY NOT NULL,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    -- SHA-256; the token itself is high-entropy and is never stored.
    hash            BLOB PRIMARY KEY NOT NULL,
    organization_id BLOB NOT NULL REFERENCES organization (id),
    label           TEXT NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE source (
    id              BLOB PRIMARY KEY NOT NULL,
    organization_id BLOB NOT NULL REFERENCES organization (id),
    name            TEXT NOT NULL,
    dialect         TEXT NOT NULL,
    proof           TEXT NOT NULL,
    patience        TEXT NOT NULL,
    verdicts        TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    UNIQUE (organization_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE plugin (
    id              BLOB PRIMARY KEY NOT NULL,
    organization_id BLOB NOT NULL REFERENCES organization (id),
    name            TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    UNIQUE (organization_id, name)
) STRICT, WITHOUT ROWID;

-- The bytes, once for each digest.
CREATE TABLE component (
    digest TEXT PRIMARY KEY NOT NULL,
    bytes  BLOB NOT NULL
) STRICT;

CREATE TABLE plugin_version (
    plugin_id  BLOB NOT NULL REFERENCES plugin (id),
    number     INTEGER NOT NULL,
    digest     TEXT NOT NULL REFERENCES component (digest),
    size       INTEGER NOT NULL,
    exports    TEXT NOT NULL,
    imports    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (plugin_id, number),
    UNIQUE (plugin_id, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE binding (
    id              BLOB PRIMARY KEY NOT NULL,
    organization_id BLOB NOT NULL REFERENCES organization (id),
    plugin_id       BLOB NOT NULL,
    version         INTEGER NOT NULL,
    source_id       BLOB REFERENCES source (id) ON DELETE CASCADE,
    agent           TEXT,
    kind            TEXT,
    tool            TEXT,
    config          TEXT NOT NULL,
    on_failure      TEXT NOT NULL,
    limits          TEXT NOT NULL,
    granted         TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    FOREIGN KEY (plugin_id, version) REFERENCES plugin_version (plugin_id, number)
) STRICT, WITHOUT ROWID;

-- A source's bindings: its own, and those for every source (null).
CREATE INDEX binding_by_source ON binding (organization_id, source_id);

CREATE TABLE event (
    organization_id BLOB NOT NULL,
    id              BLOB NOT NULL,
    -- The source may be deleted while its events stay.
    source_id       BLOB NOT NULL,
    kind            TEXT NOT NULL,
    platform_type   TEXT NOT NULL,
    call_id         TEXT NOT NULL,
    agent_id        TEXT NOT NULL,
    tool            TEXT,
    received_at     INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX event_by_call ON event (organization_id, call_id, id) WHERE call_id <> '';
CREATE INDEX event_by_kind ON event (organization_id, kind, id);
CREATE INDEX event_by_source ON event (organization_id, source_id, id);

-- Apart from the event, so that lists do not read transcripts.
CREATE TABLE payload (
    event_id BLOB PRIMARY KEY NOT NULL,
    body     TEXT NOT NULL
) STRICT;

CREATE TABLE decision (
    organization_id BLOB NOT NULL,
    event_id        BLOB NOT NULL,
    kind            TEXT NOT NULL,
    outcome         TEXT NOT NULL,
    reason          TEXT,
    answer          TEXT NOT NULL,
    reply_status    INTEGER,
    reply_body      TEXT,
    elapsed_us      INTEGER NOT NULL,
    invocations     TEXT NOT NULL,
    decided_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, event_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX decision_by_outcome ON decision (organization_id, outcome, event_id);

CREATE TABLE log_line (
    event_id   BLOB NOT NULL,
    number     INTEGER NOT NULL,
    binding_id BLOB NOT NULL,
    level      TEXT NOT NULL,
    message    TEXT NOT NULL,
    PRIMARY KEY (event_id, number)
) STRICT, WITHOUT ROWID;

-- Notices that are stored and whose handler has not run yet. A row goes when the
-- notice's decision and deliveries are committed, in the same transaction.
CREATE TABLE pending_notice (
    event_id        BLOB PRIMARY KEY NOT NULL,
    organization_id BLOB NOT NULL,
    -- Until when a worker has it; 0 when none does.
    leased_until    INTEGER NOT NULL,
    attempts        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE delivery (
    id              BLOB PRIMARY KEY NOT NULL,
    organization_id BLOB NOT NULL,
    event_id        BLOB NOT NULL,
    endpoint        TEXT NOT NULL,
    -- Null sends the event's payload.
    body            TEXT,
    state           TEXT NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_by_event ON delivery (event_id, id);

CREATE TABLE kv_entry (
    organization_id BLOB NOT NULL,
    plugin_id       BLOB NOT NULL,
    key             TEXT NOT NULL,
    value           BLOB NOT NULL,
    expires_at      INTEGER,
    PRIMARY KEY (organization_id, plugin_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX kv_entry_by_expiry ON kv_entry (expires_at) WHERE expires_at IS NOT NULL;

-- What each space holds, kept up to date with its entries.
CREATE TABLE kv_usage (
    organization_id BLOB NOT NULL,
    plugin_id       BLOB NOT NULL,
    entries         INTEGER NOT NULL,
    bytes           INTEGER NOT NULL,
    PRIMARY KEY (organization_id, plugin_id)
) STRICT, WITHOUT ROWID;
