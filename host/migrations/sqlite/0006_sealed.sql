-- Secrets are sealed from now on: `v1.<key id>.<base64>`. Those from before are marked,
-- so that none is taken for a sealed one; the start that follows seals them.
UPDATE secret SET value = 'clear.' || value;
UPDATE source SET proof = 'clear.' || proof;
UPDATE creation SET answer = 'clear.' || answer;
UPDATE endpoint SET proof = 'clear.' || proof, signing = 'clear.' || signing;
