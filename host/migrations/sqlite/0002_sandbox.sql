-- Values that bindings add to outbound requests.
CREATE TABLE secret (
    organization_id BLOB NOT NULL REFERENCES organization (id),
    name            TEXT NOT NULL,
    value           TEXT NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, name)
) STRICT, WITHOUT ROWID;

-- What inspection found beside exports and imports: JSON text.
ALTER TABLE plugin_version ADD COLUMN contract TEXT NOT NULL DEFAULT 'hookswitch:plugin@1.0.0';
ALTER TABLE plugin_version ADD COLUMN tools TEXT NOT NULL DEFAULT '[]';
ALTER TABLE plugin_version ADD COLUMN resources TEXT NOT NULL DEFAULT 'null';
ALTER TABLE plugin_version ADD COLUMN compile_ms INTEGER;
