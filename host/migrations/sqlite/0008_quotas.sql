-- What sources and organizations may do, and what organizations keep.

-- Most webhooks a second; null for no limit but the organization's.
ALTER TABLE source ADD COLUMN rate_per_second INTEGER;

-- What an organization's plugins take is summed up without reading what their versions
-- can do.
CREATE INDEX plugin_version_by_size ON plugin_version (plugin_id, size);

-- How many events there are, so that nobody has to count them.
CREATE TABLE event_count (
    organization_id BLOB PRIMARY KEY NOT NULL,
    events          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO event_count SELECT organization_id, count(*) FROM event GROUP BY organization_id;

CREATE TRIGGER event_counted AFTER INSERT ON event BEGIN
    INSERT INTO event_count VALUES (new.organization_id, 1)
        ON CONFLICT DO UPDATE SET events = events + 1;
END;

CREATE TRIGGER event_uncounted AFTER DELETE ON event BEGIN
    UPDATE event_count SET events = events - 1 WHERE organization_id = old.organization_id;
END;
