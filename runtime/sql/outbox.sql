-- name: append_outbox
-- The last write of a batch: ids are drawn under the partition lock, so their order is the order of the decisions.
INSERT INTO outbox (topic, case_ref, headers, value)
SELECT topic, case_ref, headers, value
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bytea[]) WITH ORDINALITY AS n (topic, case_ref, headers, value, nth)
ORDER BY nth

-- name: next_outbox
-- The lowest rows from the floor on, less those of a (topic, case) that a refused row holds, wherever that one stands.
SELECT id, topic, case_ref, headers, value FROM outbox o
WHERE id >= $2 AND NOT EXISTS (SELECT FROM outbox h WHERE h.held IS NOT NULL AND h.topic = o.topic AND h.case_ref = o.case_ref)
ORDER BY id LIMIT $1

-- name: look_at_outbox
-- The lowest row from an id on, and who may be about to add rows below those that can be seen. A statement takes its snapshot
-- before it reads the locks, and a transaction gives its locks back after its rows can be seen: none slips between the two.
SELECT (SELECT min(id) FROM outbox WHERE id >= $1) AS lowest, ARRAY(
    SELECT virtualtransaction FROM pg_locks
    WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND relation = 'outbox'::regclass AND mode = 'RowExclusiveLock'
) AS writers

-- name: delete_outbox
-- What the broker has acknowledged.
DELETE FROM outbox WHERE id = any($1::bigint[])

-- name: hold_outbox
-- A row that the broker refuses for good holds its (topic, case); the others go on.
UPDATE outbox SET held = $2 WHERE id = any($1::bigint[])

-- name: release_outbox
-- Let the relay try held rows again, in order.
UPDATE outbox SET held = NULL WHERE held IS NOT NULL AND ($1::uuid IS NULL OR case_ref = $1) RETURNING id

-- name: erase_outbox
-- Erasure: what was not published yet is not published.
DELETE FROM outbox WHERE case_ref = any($1::uuid[])
