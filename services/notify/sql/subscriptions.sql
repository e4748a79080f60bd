-- name: add_subscription
-- One webhook per clinic; no row comes back when there is one already. It begins at the feed's start, or behind all that the
-- feed shows now: what is still being written comes, wherever its row will stand.
INSERT INTO subscriptions (clinic, url, ed25519_seed, hmac_secret, xid, id, enabled, disabled_reason)
VALUES ($1, $2, $3, $4, CASE WHEN $5::boolean THEN '0'::xid8 ELSE pg_snapshot_xmin(pg_current_snapshot()) END, 0, $6,
        CASE WHEN NOT $6 THEN 'unverified' END)
ON CONFLICT (clinic) DO NOTHING
RETURNING clinic

-- name: remove_subscription
-- The clinic's webhook with its keys and its place; the feed stays.
DELETE FROM subscriptions WHERE clinic = $1 RETURNING clinic

-- name: read_subscription
-- One of them, with what it is asked by.
SELECT url, ed25519_seed, hmac_secret FROM subscriptions WHERE clinic = $1

-- name: enable_subscription
-- As new, from where it was. What a sender has in hand is not counted any more; it is sent again under its id.
UPDATE subscriptions SET enabled = true, disabled_reason = NULL, next_attempt_at = now(), lease = NULL, leased_until = NULL,
    failures = 0, failing_since = NULL, warned_hours = 0
WHERE clinic = $1 AND url = $2
RETURNING clinic

-- name: list_subscriptions
-- Clinics' webhooks with what waits for them; no keys but the public one, which is derived.
SELECT s.clinic, s.url, s.ed25519_seed, s.enabled, s.disabled_reason, s.created_at, s.xid::text || '.' || s.id AS position,
       s.failures, s.failing_since, s.last_at, s.last_status, s.last_error, (
    SELECT count(*) FROM (
        SELECT FROM feed f WHERE f.clinic = s.clinic AND (f.xid, f.id) > (s.xid, s.id) LIMIT 10000
    ) AS waiting
) AS pending
FROM subscriptions s
ORDER BY s.clinic

-- name: claim_subscriptions
-- Lines to go on with: of each clinic the event that is next in its feed, which is served as `read_feed` serves it. One at a
-- time, so that order holds; who has waited longest comes first. The row is locked before the next event is looked up: what
-- another sender has moved it past meanwhile is not sent again. The lease makes a killed sender's claims come back.
WITH due AS MATERIALIZED (
    SELECT s.clinic, s.xid, s.id FROM subscriptions s
    WHERE s.enabled AND s.next_attempt_at <= now() AND (s.leased_until IS NULL OR s.leased_until <= now()) AND EXISTS (
        SELECT FROM feed f
        WHERE f.clinic = s.clinic AND (f.xid, f.id) > (s.xid, s.id) AND f.xid < pg_snapshot_xmin(pg_current_snapshot())
    )
    ORDER BY s.next_attempt_at, s.clinic LIMIT $1
    FOR UPDATE OF s SKIP LOCKED
)
UPDATE subscriptions s SET lease = $2::uuid, leased_until = now() + make_interval(secs => $3::float8)
FROM due CROSS JOIN LATERAL (
    SELECT f.xid, f.id, f.case_ref, f.event_id, f.event FROM feed f
    WHERE f.clinic = due.clinic AND (f.xid, f.id) > (due.xid, due.id) AND f.xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY f.xid, f.id LIMIT 1
) AS next
WHERE s.clinic = due.clinic
RETURNING s.clinic, s.url, s.ed25519_seed, s.hmac_secret, s.failures, s.failing_since, s.warned_hours,
          next.xid::text AS xid, next.id, next.case_ref, next.event_id, next.event, next.event ->> 'traceparent' AS traceparent

-- name: move_cursor
-- The clinic has it. Who is not in possession of the lease any more moves nothing: the cursor never goes back.
UPDATE subscriptions SET xid = $3::text::xid8, id = $4, next_attempt_at = now(), lease = NULL, leased_until = NULL,
    failures = 0, failing_since = NULL, warned_hours = 0, last_at = now(), last_status = $5, last_error = NULL
WHERE clinic = $1 AND lease = $2

-- name: keep_failure
-- Not yet; what is known of the endpoint, and when it is tried again. With a reason it is disabled, and the cursor stays.
UPDATE subscriptions SET next_attempt_at = now() + make_interval(secs => $3::float8), lease = NULL, leased_until = NULL,
    failures = $4, failing_since = $5, warned_hours = $6, enabled = $7::text IS NULL, disabled_reason = $7::text,
    last_at = now(), last_status = $8, last_error = $9
WHERE clinic = $1 AND lease = $2
RETURNING clinic
