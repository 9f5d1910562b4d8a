-- For how long the same body is the same request; 0 for never.
ALTER TABLE source ADD COLUMN repeat_window_ms INTEGER NOT NULL DEFAULT 60000;

-- By what a repetition of the request is known: 16 bytes, and whether they are of a
-- name the platform gave the delivery (1) or of the body (0). Null where repetitions
-- are not looked for.
ALTER TABLE event ADD COLUMN fingerprint BLOB;
ALTER TABLE event ADD COLUMN identified INTEGER NOT NULL DEFAULT 0;

-- Fingerprints are random keys, which cost an index a page each; those of bodies are
-- looked up in memory only.
CREATE INDEX event_by_delivery_id ON event (fingerprint) WHERE identified = 1;

-- Questions whose plugin may be running: stored before it is asked. A row goes when the
-- decision is committed, in the same transaction.
CREATE TABLE pending_question (
    event_id        BLOB PRIMARY KEY NOT NULL,
    organization_id BLOB NOT NULL
) STRICT, WITHOUT ROWID;
