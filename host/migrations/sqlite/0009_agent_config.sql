-- What calls of a source start with where its platform does not say it.
ALTER TABLE source ADD COLUMN agent_config TEXT;
