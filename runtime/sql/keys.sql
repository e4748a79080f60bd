-- name: find_key
-- A key by its prefix; the caller compares the hash.
SELECT hash, kind, name FROM access.api_keys
WHERE prefix = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())

-- name: add_key
-- A new key; the key itself is shown once and never stored.
INSERT INTO access.api_keys (prefix, hash, kind, name) VALUES ($1, $2, $3, $4)
