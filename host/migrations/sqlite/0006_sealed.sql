-- Secrets are sealed from now on: `v1.<key id>.<base64>`. Those from before are marked,
-- so that none is taken for a sealed one; the start that follows seals them.
UPDATE secret SET value = 'clear.' || value;
UPDATE source SET proof = 'clear.' || proof;
UPDATE endpoint SET proof = 'clear.' || proof, signing = 'clear.' || signing;

-- The request's digest is sealed together with the answer, because guesses at a secret in
-- the request could be tried on it. What was kept until now is short-lived.
DELETE FROM creation;
ALTER TABLE creation DROP COLUMN request;
