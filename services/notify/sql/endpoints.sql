-- name: add_endpoint
-- One endpoint per employer; no row comes back when there is one already.
INSERT INTO endpoints (employer, kind, url, topic, ed25519_seed, hmac_secret)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (employer) DO NOTHING
RETURNING employer

-- name: change_url
-- The employer's system moved; keys stay, and a disabled endpoint is tried again.
UPDATE endpoints SET url = $2, enabled = true, disabled_reason = NULL
WHERE employer = $1 AND kind = 'webhook'
RETURNING employer

-- name: list_endpoints
-- Endpoints with their backlog; no keys but the public one, which is derived.
SELECT e.employer, e.kind, e.url, e.topic, e.ed25519_seed, e.enabled, e.disabled_reason, e.created_at,
       (SELECT count(*) FROM deliveries d WHERE d.employer = e.employer AND d.status = 'pending') AS pending
FROM endpoints e
ORDER BY e.employer
