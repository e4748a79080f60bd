-- name: claim_deliveries
-- Due updates to send now: per employer and case only the lowest that is not done, so that order holds; per employer at
-- most its free places, so that one that hangs does not take all; none of parked or erased cases. The lease makes a
-- killed sender's claims come back. The case's state comes along, since consent is checked again before each attempt. Those
-- behind one that waits for its retry are not walked over: `behind_until` takes them out of the index's range.
-- An endpoint whose breaker is open gives nothing until its probe is due, and then one; one that failed last, one at a
-- time; each no more than its bucket holds. Its row is locked for the claim, so that two senders do not both probe.
WITH busy AS (
    SELECT * FROM unnest($1::text[], $2::int[]) AS b (employer, in_flight)
), free AS MATERIALIZED (
    SELECT e.employer, coalesce(b.in_flight, 0) AS in_flight, least(
        CASE WHEN e.failures > 0 THEN 1 ELSE $3::int END - coalesce(b.in_flight, 0),
        floor(extract(epoch FROM now() - greatest(e.drawn_until, now() - interval '1 second')) * e.rate_per_s)
    ) AS places
    FROM endpoints e
    LEFT JOIN busy b ON b.employer = e.employer
    WHERE e.enabled AND (e.open_until IS NULL OR e.open_until <= now()) AND EXISTS (
        SELECT FROM deliveries d
        WHERE d.employer = e.employer AND d.status = 'pending' AND greatest(d.next_attempt_at, d.behind_until) <= now()
          AND (d.leased_until IS NULL OR d.leased_until < now())
    )
    FOR UPDATE OF e SKIP LOCKED
), due AS (
    SELECT turn.id
    FROM free
    CROSS JOIN LATERAL (
        SELECT d.id, greatest(d.next_attempt_at, d.behind_until) AS due_at
        FROM deliveries d
        JOIN cases c ON c.case_ref = d.case_ref AND c.parked = 0 AND NOT c.erased
        WHERE d.employer = free.employer AND d.status = 'pending' AND greatest(d.next_attempt_at, d.behind_until) <= now()
          AND (d.leased_until IS NULL OR d.leased_until < now())
          AND NOT EXISTS (
              SELECT FROM deliveries earlier
              WHERE earlier.employer = d.employer AND earlier.case_ref = d.case_ref
                AND earlier.sequence < d.sequence AND earlier.status = 'pending'
          )
        ORDER BY greatest(d.next_attempt_at, d.behind_until), d.id
        LIMIT greatest(free.places, 0)
        FOR UPDATE OF d SKIP LOCKED
    ) AS turn
    -- A free place goes to the endpoint that has the fewest: else those that hang take each place that they give up.
    ORDER BY free.in_flight + row_number() OVER (PARTITION BY free.employer ORDER BY turn.due_at, turn.id)
    LIMIT $4::int
), claimed AS (
    UPDATE deliveries d
    SET lease = $5::uuid, leased_until = now() + make_interval(secs => $6::float8), attempts = d.attempts + 1
    FROM due
    WHERE d.id = due.id
    RETURNING d.id, d.employer, d.case_ref, d.event_id, d.sequence, d.body, d.scopes, d.bases, d.attempts, d.traceparent
), drawn AS (
    -- The probe that is in hand keeps the breaker shut for others until its lease ends.
    UPDATE endpoints e
    SET drawn_until = greatest(e.drawn_until, now() - interval '1 second') + n.claims * (interval '1 second' / e.rate_per_s),
        open_until = CASE WHEN e.open_until IS NOT NULL THEN now() + make_interval(secs => $6::float8) END
    FROM (SELECT employer, count(*) AS claims FROM claimed GROUP BY employer) AS n
    WHERE e.employer = n.employer
)
SELECT claimed.*, e.kind, e.url, e.topic, e.ed25519_seed, e.hmac_secret, c.state,
       CASE WHEN e.previous_until > now() THEN e.previous_seed END AS previous_seed,
       CASE WHEN e.previous_until > now() THEN e.previous_secret END AS previous_secret, coalesce((
    SELECT max(before.sequence) FROM deliveries before
    WHERE before.employer = claimed.employer AND before.case_ref = claimed.case_ref AND before.sequence < claimed.sequence
      AND (before.attempts > 0 OR before.status NOT IN ('withheld', 'coalesced'))
), 0) AS previous_sequence
FROM claimed
JOIN endpoints e ON e.employer = claimed.employer
JOIN cases c ON c.case_ref = claimed.case_ref

-- name: insert_attempt
-- What came of one attempt, without the answer's body.
INSERT INTO delivery_attempts (employer, event_id, number, started_at, duration_ms, status, outcome, error)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: mark_delivered
-- The employer has it, whatever was decided meanwhile: a retry of it, too, which others may be waiting behind.
WITH done AS (
    UPDATE deliveries SET status = 'delivered', reason = NULL, delivered_at = now(), lease = NULL, leased_until = NULL
    WHERE id = $1 RETURNING employer, case_ref, sequence
)
UPDATE deliveries d SET behind_until = NULL
FROM done
WHERE d.employer = done.employer AND d.case_ref = done.case_ref AND d.sequence > done.sequence
  AND d.status = 'pending' AND d.behind_until > now()

-- name: mark_retry
-- Not yet; tried again after a while, if it is still to be sent and still ours. Those behind it need not be looked at
-- before: a hint, so one that is being changed is left as it is.
WITH later AS (
    UPDATE deliveries SET next_attempt_at = now() + make_interval(secs => $3::float8), lease = NULL, leased_until = NULL
    WHERE id = $1 AND lease = $2 AND status = 'pending'
    RETURNING employer, case_ref, sequence, next_attempt_at
), behind AS (
    SELECT d.id, later.next_attempt_at
    FROM later
    JOIN deliveries d ON d.employer = later.employer AND d.case_ref = later.case_ref
                     AND d.sequence > later.sequence AND d.status = 'pending'
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE deliveries d SET behind_until = behind.next_attempt_at FROM behind WHERE d.id = behind.id

-- name: mark_failed
-- Refused for good by the endpoint, or tried often enough.
UPDATE deliveries SET status = 'failed', reason = $3, lease = NULL, leased_until = NULL
WHERE id = $1 AND lease = $2 AND status = 'pending'

-- name: mark_withheld
-- Not permitted any longer; the claim was no attempt.
UPDATE deliveries SET status = 'withheld', reason = 'not_permitted', attempts = attempts - 1, lease = NULL, leased_until = NULL
WHERE id = $1 AND lease = $2 AND status = 'pending'

-- name: keep_body
-- The body as it is sent from its first attempt on.
UPDATE deliveries SET body = $2 WHERE id = $1

-- name: insert_disclosure
-- One row per disclosure: repeating a delivery or a pull of the same update tells nothing new.
INSERT INTO disclosures (employer, case_ref, event_id, sequence, channel, scopes, bases, body_sha256)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (employer, event_id, channel) DO NOTHING

-- name: disable_endpoint
-- The endpoint said it is gone; what is due stays in line until it is enabled again.
UPDATE endpoints SET enabled = false, disabled_reason = $2, disabled_at = now() WHERE employer = $1

-- name: lock_health
-- What is known of an endpoint, to be changed in this transaction.
SELECT failures, failing_since, open_until, delivered_at FROM endpoints WHERE employer = $1 FOR UPDATE

-- name: keep_health
-- What is known after a failed attempt.
UPDATE endpoints SET failures = $2, failing_since = $3, open_until = $4 WHERE employer = $1

-- name: heal
-- The endpoint took something. That it works is noted once an hour, not each time: the row is every sender's. Comes back
-- with whether the breaker was open.
WITH was AS (
    SELECT employer, open_until IS NOT NULL AS open FROM endpoints
    WHERE employer = $1 AND (failures > 0 OR delivered_at IS NULL OR delivered_at < now() - interval '1 hour')
    FOR UPDATE
)
UPDATE endpoints e SET failures = 0, failing_since = NULL, open_until = NULL, warned_hours = 0, delivered_at = now()
FROM was WHERE e.employer = was.employer
RETURNING was.open

-- name: release_retries
-- The endpoint is back: what waited for a retry need not wait any longer. One that is being changed is left as it is.
WITH waiting AS (
    SELECT id FROM deliveries
    WHERE employer = $1 AND status = 'pending'
      AND (behind_until > now() OR (attempts > 0 AND next_attempt_at > now()))
    FOR UPDATE SKIP LOCKED
)
UPDATE deliveries d
SET behind_until = NULL, next_attempt_at = CASE WHEN d.attempts > 0 THEN now() ELSE d.next_attempt_at END
FROM waiting WHERE d.id = waiting.id
