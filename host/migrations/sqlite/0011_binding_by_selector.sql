-- The bindings that may match an event of a source, an agent and a tool, of however many.
CREATE INDEX binding_by_selector ON binding (organization_id, source_id, agent, tool);
DROP INDEX binding_by_source;
