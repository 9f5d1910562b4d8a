-- A plugin's log: what its bindings said, the newest first.
CREATE INDEX log_line_by_binding ON log_line (binding_id, event_id, number);
