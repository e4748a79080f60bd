-- name: append_parked
-- Records of a failed case and its successors; their order is that of the ids drawn here, under the partition lock.
INSERT INTO parked (case_ref, topic, partition, "offset", recorded, key, value, headers, source, event_id, reason)
SELECT case_ref, topic, partition, "offset", recorded, key, value, headers, source, event_id, reason
FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::timestamptz[], $6::bytea[], $7::bytea[], $8::text[], $9::text[],
            $10::text[], $11::text[])
     WITH ORDINALITY AS n (case_ref, topic, partition, "offset", recorded, key, value, headers, source, event_id, reason, nth)
ORDER BY nth

-- name: append_dead_letters
-- Records that name no readable case; written once, however often they are delivered.
INSERT INTO dead_letter (topic, partition, "offset", key, value, headers, reason)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bytea[], $5::bytea[], $6::text[], $7::text[])
ON CONFLICT DO NOTHING

-- name: parked_of_case
-- A case's open records, in the order in which they must be folded.
SELECT id, topic, partition, "offset", recorded, key, value, headers, source, event_id, reason
FROM parked WHERE case_ref = $1 AND resolved_at IS NULL ORDER BY id

-- name: list_parked
-- Open parked cases: how many records, since when, and why the first failed.
SELECT p.case_ref, count(*)::int AS records, min(p.parked_at) AS since, (array_agg(p.reason ORDER BY p.id))[1] AS reason
FROM parked p WHERE p.resolved_at IS NULL GROUP BY p.case_ref ORDER BY since LIMIT $1

-- name: resolve_parked
-- A record left the queue: folded by a retry, or given up with a reason.
UPDATE parked SET resolved_at = now(), resolution = $2, resolution_reason = $3 WHERE id = $1 AND resolved_at IS NULL

-- name: mark_failed_again
-- A retry failed for good: the record stays the first of its case, with the reason as it is now.
UPDATE parked SET reason = $2 WHERE id = $1

-- name: list_dead_letters
-- The newest first.
SELECT topic, partition, "offset", reason, received_at FROM dead_letter ORDER BY received_at DESC LIMIT $1

-- name: show_dead_letter
-- One record as it arrived.
SELECT topic, partition, "offset", key, value, headers, reason, received_at FROM dead_letter
WHERE topic = $1 AND partition = $2 AND "offset" = $3

-- name: expire_dead_letters
-- So many at a time that a flood of them fits into the time that a transaction may take.
DELETE FROM dead_letter WHERE ctid = any(ARRAY(SELECT ctid FROM dead_letter WHERE received_at < $1 LIMIT $2))

-- name: erase_parked
-- Erasure: the case's queue, resolved or not.
DELETE FROM parked WHERE case_ref = any($1::uuid[])
