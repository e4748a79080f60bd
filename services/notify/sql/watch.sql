-- name: failing_endpoints
-- Enabled endpoints that take nothing while something is due to them: an old refusal of one update is no failing.
SELECT e.employer, e.failing_since, e.warned_hours FROM endpoints e
WHERE e.enabled AND e.failing_since IS NOT NULL AND (e.open_until IS NOT NULL OR EXISTS (
    SELECT FROM deliveries d
    WHERE d.employer = e.employer AND d.status = 'pending' AND d.attempts > 0 AND d.lease IS NULL
))

-- name: mark_warned
-- Of two that watch, one warns.
UPDATE endpoints SET warned_hours = $2 WHERE employer = $1 AND enabled AND warned_hours < $2 RETURNING employer

-- name: disable_dead
-- Given up, unless it took something meanwhile. Its keys, its backlog and its row stay.
UPDATE endpoints SET enabled = false, disabled_reason = 'dead', disabled_at = $3
WHERE employer = $1 AND enabled AND failing_since = $2 RETURNING employer

-- name: expire_backlog
-- What has waited too long for a disabled endpoint; recorded, and still there to be pulled or replayed.
UPDATE deliveries d SET status = 'failed', reason = 'backlog_expired', lease = NULL, leased_until = NULL
WHERE d.id IN (
    SELECT old.id FROM endpoints e
    JOIN deliveries old ON old.employer = e.employer AND old.status = 'pending' AND old.created_at < $1
    WHERE NOT e.enabled
    ORDER BY old.id LIMIT 1000
    FOR UPDATE OF old SKIP LOCKED
)
RETURNING d.employer

-- name: longest_failing
-- Seconds, of the endpoints that `failing_endpoints` finds, and of clinics' webhooks that have something to take.
SELECT coalesce(extract(epoch FROM now() - min(failing.since)), 0)::float8 FROM (
    SELECT e.failing_since AS since FROM endpoints e
    WHERE e.enabled AND e.failing_since IS NOT NULL AND (e.open_until IS NOT NULL OR EXISTS (
        SELECT FROM deliveries d
        WHERE d.employer = e.employer AND d.status = 'pending' AND d.attempts > 0 AND d.lease IS NULL
    ))
    UNION ALL
    SELECT s.failing_since FROM subscriptions s
    WHERE s.enabled AND s.failing_since IS NOT NULL AND EXISTS (
        SELECT FROM feed f WHERE f.clinic = s.clinic AND (f.xid, f.id) > (s.xid, s.id)
    )
) AS failing

-- name: count_open
-- Endpoints whose breaker is open.
SELECT count(*)::float8 FROM endpoints WHERE enabled AND open_until IS NOT NULL
