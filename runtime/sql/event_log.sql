-- name: find_logged
-- Which of a batch's events are in the log already, with the digest of the body that was taken.
SELECT l.case_ref, l.source, l.id, l.digest
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS n (case_ref, source, id)
JOIN event_log l ON l.case_ref = n.case_ref AND l.source = n.source AND l.id = n.id

-- name: append_log
-- The accepted events of a batch, each with the case version that it made.
INSERT INTO event_log (case_ref, source, id, type, topic, partition, "offset", time, digest, case_version, result,
                       policy_version, sequence, causation, traceparent, body, utc_offset)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::bigint[], $8::timestamptz[],
                     $9::bytea[], $10::bigint[], $11::text[], $12::text[], $13::bigint[], $14::text[], $15::text[], $16::bytea[],
                     $17::int[])

-- name: mark_retried
-- A parked event was folded after all: the version that the retry made.
UPDATE event_log SET result = $4, retried_version = $5, policy_version = $6
WHERE case_ref = $1 AND source = $2 AND id = $3

-- name: mark_discarded
-- A parked event was given up: the version that a person's discard made, or null where the event was folded under the
-- name that it had when it could be read.
UPDATE event_log SET result = 'discarded', discarded_version = $4 WHERE case_ref = $1 AND source = $2 AND id = $3

-- name: erase_log
-- Erasure keeps that an event was taken (so that a replay is absorbed), not what it said. What still waited or was
-- parked is given up with it.
UPDATE event_log SET body = NULL, result = CASE WHEN result IN ('waiting', 'parked') THEN 'discarded' ELSE result END
WHERE case_ref = any($1::uuid[])

-- name: forget_log
-- Erasure where the case never came about: that these senders said something, not what.
UPDATE event_log SET body = NULL WHERE case_ref = $1 AND source = any($2::text[]) AND body IS NOT NULL

-- name: mark_settled
-- Events that had waited: what became of them when their premise came, or did not come in time.
UPDATE event_log l SET result = n.result, policy_version = n.policy_version
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]) AS n (case_ref, source, id, result, policy_version)
WHERE l.case_ref = n.case_ref AND l.source = n.source AND l.id = n.id
