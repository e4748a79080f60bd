-- name: add_endpoint
-- One endpoint per employer; no row comes back when there is one already. One that has not answered its challenge waits.
INSERT INTO endpoints (employer, kind, url, topic, ed25519_seed, hmac_secret, enabled, disabled_reason, disabled_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN NOT $7 THEN 'unverified' END, CASE WHEN NOT $7 THEN now() END)
ON CONFLICT (employer) DO NOTHING
RETURNING employer

-- name: change_url
-- The employer's system moved; keys stay, and a disabled endpoint is tried again.
UPDATE endpoints SET url = $2, enabled = true, disabled_reason = NULL, disabled_at = NULL,
    failures = 0, failing_since = NULL, open_until = NULL, warned_hours = 0
WHERE employer = $1 AND kind = 'webhook'
RETURNING employer

-- name: change_keys
-- New keys; the previous ones go on signing beside them for a while.
UPDATE endpoints SET previous_seed = ed25519_seed, previous_secret = hmac_secret, previous_until = now() + $4::interval,
    ed25519_seed = $2, hmac_secret = $3
WHERE employer = $1 AND kind = 'webhook'

-- name: forget_keys
-- Keys that have ended their overlap sign nothing and are not kept.
UPDATE endpoints SET previous_seed = NULL, previous_secret = NULL, previous_until = NULL WHERE previous_until <= $1

-- name: enable_endpoint
-- As new: what is due to it goes out in order.
UPDATE endpoints SET enabled = true, disabled_reason = NULL, disabled_at = NULL,
    failures = 0, failing_since = NULL, open_until = NULL, warned_hours = 0
WHERE employer = $1

-- name: read_endpoint
-- One endpoint with what it is asked by.
SELECT employer, kind, url, topic, ed25519_seed, hmac_secret, enabled,
       CASE WHEN previous_until > now() THEN previous_seed END AS previous_seed,
       CASE WHEN previous_until > now() THEN previous_secret END AS previous_secret
FROM endpoints WHERE employer = $1

-- name: replace_proposal
-- A new proposal takes the place of the one that waits; its keys are not kept.
UPDATE endpoint_changes SET status = 'replaced', ed25519_seed = NULL, hmac_secret = NULL
WHERE employer = $1 AND status = 'proposed'

-- name: insert_proposal
-- A change that waits for another operator.
INSERT INTO endpoint_changes (employer, what, url, ed25519_seed, hmac_secret, proposed_by)
VALUES ($1, $2, $3, $4, $5, $6) RETURNING id

-- name: read_proposals
-- What waits for approval and is not too old.
SELECT id, employer, what, url, ed25519_seed, proposed_by, proposed_at FROM endpoint_changes
WHERE status = 'proposed' AND proposed_at > now() - $1::interval ORDER BY id

-- name: lock_proposal
-- One of them, to be carried out in this transaction.
SELECT id, employer, what, url, ed25519_seed, hmac_secret, proposed_by FROM endpoint_changes
WHERE id = $1 AND status = 'proposed' AND proposed_at > now() - $2::interval FOR UPDATE

-- name: mark_applied
-- Carried out, by whose approval; the keys are the endpoint's now.
UPDATE endpoint_changes SET status = 'applied', approved_by = $2, approved_at = now(), ed25519_seed = NULL, hmac_secret = NULL
WHERE id = $1

-- name: replay
-- Updates to be told again under their ids: those that match, and of each case all that came after, so that the last that
-- the employer hears is what holds. What was withheld stays so, and consent is asked again before each.
WITH first AS (
    SELECT case_ref, min(sequence) AS sequence FROM deliveries
    WHERE employer = $1 AND status IN ('delivered', 'failed')
      AND ($2::text IS NULL OR event_id = $2) AND ($3::uuid IS NULL OR case_ref = $3)
      AND ($4::timestamptz IS NULL OR coalesce(delivered_at, created_at) >= $4)
      AND ($5::timestamptz IS NULL OR coalesce(delivered_at, created_at) < $5)
    GROUP BY case_ref
)
UPDATE deliveries d
SET status = 'pending', reason = NULL, attempts = least(d.attempts, 1), next_attempt_at = now(), behind_until = NULL,
    lease = NULL, leased_until = NULL
FROM first
WHERE d.employer = $1 AND d.case_ref = first.case_ref AND d.sequence >= first.sequence
  AND d.status IN ('delivered', 'failed')
RETURNING d.case_ref, d.sequence, d.event_id

-- name: read_attempts
-- What came of the latest attempts; of one update, or of all.
SELECT event_id, number, started_at, duration_ms, status, outcome, error FROM delivery_attempts
WHERE employer = $1 AND ($2::text IS NULL OR event_id = $2) ORDER BY id DESC LIMIT $3

-- name: list_endpoints
-- Endpoints with their backlog; no keys but the public one, which is derived.
SELECT e.employer, e.kind, e.url, e.topic, e.ed25519_seed, e.enabled, e.disabled_reason, e.created_at,
       e.failures, e.failing_since, e.open_until IS NOT NULL AS open, e.delivered_at,
       (SELECT count(*) FROM deliveries d WHERE d.employer = e.employer AND d.status = 'pending') AS pending
FROM endpoints e
ORDER BY e.employer
