-- name: find_key
-- A key by its prefix; the caller compares the hash. `fresh`: its use is noted for today.
SELECT hash, kind, name, last_used_on IS NOT DISTINCT FROM (now() AT TIME ZONE 'UTC')::date AS fresh
FROM access.api_keys
WHERE prefix = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())

-- name: note_use
-- At most one write per key and day.
UPDATE access.api_keys SET last_used_on = (now() AT TIME ZONE 'UTC')::date
WHERE prefix = $1 AND last_used_on IS DISTINCT FROM (now() AT TIME ZONE 'UTC')::date

-- name: add_key
-- A new key; the key itself is shown once and never stored.
INSERT INTO access.api_keys (prefix, hash, kind, name) VALUES ($1, $2, $3, $4)

-- name: list_keys
-- All keys that ever were, by whom they are bound to; never the hash.
SELECT prefix, kind, name, issued_at, last_used_on, expires_at, replaced_by, revoked_at, revoked_reason,
    CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= now() THEN 'expired' ELSE 'valid' END AS status
FROM access.api_keys ORDER BY kind, name, issued_at, prefix

-- name: lock_key
-- One key, for whoever changes it.
SELECT kind, name, replaced_by, revoked_at, coalesce(expires_at <= now(), false) AS expired
FROM access.api_keys WHERE prefix = $1 FOR UPDATE

-- name: replace_key
-- The key has a successor and lives on for the overlap, but no longer than it would have.
UPDATE access.api_keys SET replaced_by = $2, expires_at = least(expires_at, now() + $3::interval) WHERE prefix = $1

-- name: revoke_key
-- From the next request on nothing opens to it.
UPDATE access.api_keys SET revoked_at = now(), revoked_reason = $2 WHERE prefix = $1
