-- Up to where the redo log has been written into these tables: in the transaction that
-- wrote it, so that nothing of it is written twice.
CREATE TABLE redo_position (
    -- There is one row.
    id       INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    sequence INTEGER NOT NULL
) STRICT;

INSERT INTO redo_position VALUES (1, 0);

-- Whoever writes events counts them, once for a batch of them.
DROP TRIGGER event_counted;
