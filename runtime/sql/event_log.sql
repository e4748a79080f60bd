-- name: find_logged
-- Which of a batch's events are in the log already, with the digest of the body that was taken.
SELECT l.case_ref, l.source, l.id, l.digest
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS n (case_ref, source, id)
JOIN event_log l ON l.case_ref = n.case_ref AND l.source = n.source AND l.id = n.id

-- name: append_log
-- The accepted events of a batch, each with the case version that it made.
INSERT INTO event_log (case_ref, source, id, type, topic, partition, "offset", time, digest, case_version, result,
                       policy_version, sequence, causation, traceparent, body)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::bigint[], $8::timestamptz[],
                     $9::bytea[], $10::bigint[], $11::text[], $12::text[], $13::bigint[], $14::text[], $15::text[], $16::bytea[])

-- name: mark_retried
-- A parked event was folded after all: the version that the retry made.
UPDATE event_log SET result = $4, retried_version = $5, policy_version = $6
WHERE case_ref = $1 AND source = $2 AND id = $3

-- name: mark_discarded
-- A parked event was given up by a person.
UPDATE event_log SET result = 'discarded' WHERE case_ref = $1 AND source = $2 AND id = $3

-- name: erase_log
-- Erasure keeps that an event was taken (so that a replay is absorbed), not what it said.
UPDATE event_log SET body = NULL WHERE case_ref = any($1::uuid[])

-- name: mark_given_up
-- Events whose premise did not come in time: `rejected` where we are their judge and said so, else `discarded`.
UPDATE event_log l SET result = n.result
FROM unnest($2::text[], $3::text[], $4::text[]) AS n (source, id, result)
WHERE l.case_ref = $1 AND l.source = n.source AND l.id = n.id
