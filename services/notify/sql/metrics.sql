-- name: oldest_delivery
-- Seconds that the oldest update has waited of those that have an endpoint to go to, less those that are only to be sent on
-- a later day. Of a backlog beyond the limit, of a part.
SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM (
    SELECT d.created_at FROM endpoints e
    JOIN deliveries d ON d.employer = e.employer AND d.status = 'pending'
    WHERE e.enabled AND (d.attempts > 0 OR d.next_attempt_at <= now()) LIMIT 10000
) AS waiting

-- name: count_deliveries
-- Updates that are not done; the partial index holds only these.
SELECT count(*)::float8 FROM (SELECT FROM deliveries WHERE status = 'pending' LIMIT 10000) AS pending

-- name: count_unaddressed
-- Updates whose employer has no endpoint, or one that is disabled.
SELECT count(*)::float8 FROM (
    SELECT FROM deliveries d
    WHERE d.status = 'pending' AND NOT EXISTS (SELECT FROM endpoints e WHERE e.employer = d.employer AND e.enabled)
    LIMIT 10000
) AS unaddressed

-- name: count_failed
-- By the class of the reason, the newest updates of cases that failed for good and that their employer has not pulled since. Of
-- the latest 10,000 that failed; the partial index holds only these.
SELECT split_part(d.reason, '.', 1) AS class, count(*)::int AS count
FROM (SELECT * FROM deliveries WHERE status = 'failed' ORDER BY id DESC LIMIT 10000) AS d
WHERE NOT EXISTS (
    SELECT FROM deliveries later
    WHERE later.employer = d.employer AND later.case_ref = d.case_ref AND later.sequence > d.sequence
) AND NOT EXISTS (
    SELECT FROM disclosures p WHERE p.employer = d.employer AND p.event_id = d.event_id AND p.channel = 'pull'
)
GROUP BY 1

-- name: count_held_messages
-- Mail of clinics that have no mailbox yet; the partial index holds only these.
SELECT count(*)::float8 FROM (SELECT FROM messages WHERE status = 'held' LIMIT 10000) AS held

-- name: oldest_message
-- Seconds that the oldest mail has waited that could be sent.
SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM (
    SELECT created_at FROM messages WHERE status = 'pending' AND (attempts > 0 OR due_at <= now()) LIMIT 10000
) AS waiting
