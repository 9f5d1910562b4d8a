-- Endpoints, and what is owed to them.

CREATE TABLE endpoint (
    id              BLOB PRIMARY KEY NOT NULL,
    organization_id BLOB NOT NULL REFERENCES organization (id),
    name            TEXT NOT NULL,
    settings        TEXT NOT NULL,
    proof           TEXT NOT NULL,
    signing         TEXT NOT NULL,
    -- Null: enabled.
    disabled_why    TEXT,
    disabled_at     INTEGER,
    -- Since when every attempt has failed, if the last one did.
    failing_since   INTEGER,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    UNIQUE (organization_id, name)
) STRICT, WITHOUT ROWID;

-- There were no endpoints, so nothing in it could be sent to anybody.
DROP TABLE delivery;

CREATE TABLE delivery (
    organization_id BLOB NOT NULL,
    id              BLOB NOT NULL,
    event_id        BLOB NOT NULL,
    -- The endpoint may be deleted while its deliveries stay in the log.
    endpoint_id     BLOB NOT NULL,
    kind            TEXT NOT NULL,
    call_id         TEXT NOT NULL,
    -- Of what is sent, before a template.
    bytes           INTEGER NOT NULL,
    state           TEXT NOT NULL,
    -- 1: a question that the endpoint was asked. It never waited, and is not sent again.
    forwarded       INTEGER NOT NULL,
    -- Attempts made.
    attempts        INTEGER NOT NULL,
    -- Of these, those that do not count for the schedule: made before a retry by hand.
    forgiven        INTEGER NOT NULL,
    -- When the next attempt may begin.
    due_at          INTEGER NOT NULL,
    -- Until when a worker has it; 0 when none does.
    leased_until    INTEGER NOT NULL,
    -- Of the last attempt: the reply's status, or why there was none.
    status          INTEGER,
    error           TEXT,
    created_at      INTEGER NOT NULL,
    ended_at        INTEGER,
    PRIMARY KEY (organization_id, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_due ON delivery (endpoint_id, due_at) WHERE state = 'owed';
CREATE INDEX delivery_in_order ON delivery (endpoint_id, call_id, event_id) WHERE state = 'owed';
CREATE INDEX delivery_by_event ON delivery (event_id);
CREATE INDEX delivery_by_endpoint ON delivery (endpoint_id, id);
CREATE INDEX delivery_by_kind ON delivery (organization_id, kind, id);
CREATE INDEX delivery_by_call ON delivery (organization_id, call_id, id) WHERE call_id <> '';
-- Nearly all are delivered; they are found without it.
CREATE INDEX delivery_by_state ON delivery (organization_id, state, id) WHERE state <> 'delivered';
-- What failed at one endpoint: read by jobs, and written only when something fails.
CREATE INDEX delivery_failed ON delivery (endpoint_id, state, id)
    WHERE state = 'exhausted' OR state = 'refused';

-- What is sent instead of the event's payload.
CREATE TABLE delivery_body (
    delivery_id BLOB PRIMARY KEY NOT NULL,
    body        TEXT NOT NULL
) STRICT;

CREATE TABLE attempt (
    delivery_id BLOB NOT NULL,
    number      INTEGER NOT NULL,
    endpoint_id BLOB NOT NULL,
    started_at  INTEGER NOT NULL,
    elapsed_us  INTEGER NOT NULL,
    -- The reply's status, or why there was none.
    status      INTEGER,
    error       TEXT,
    -- In words, for people.
    detail      TEXT,
    -- The beginning of the reply's body.
    response    TEXT,
    PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

-- Health is read from here alone.
CREATE INDEX attempt_by_endpoint ON attempt (endpoint_id, started_at, elapsed_us, status);

-- Work on many deliveries, which goes on after a restart.
CREATE TABLE job (
    organization_id BLOB NOT NULL REFERENCES organization (id),
    id              BLOB NOT NULL,
    task            TEXT NOT NULL,
    state           TEXT NOT NULL,
    -- How many there were to look at, at the beginning.
    total           INTEGER NOT NULL,
    looked_at       INTEGER NOT NULL,
    -- Of these, those that are owed again.
    changed         INTEGER NOT NULL,
    -- The last one looked at.
    position        BLOB,
    created_at      INTEGER NOT NULL,
    ended_at        INTEGER,
    PRIMARY KEY (organization_id, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_to_do ON job (id) WHERE state = 'running';
