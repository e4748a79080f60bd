-- name: lock_partitions
-- One writer per partition and service: zombies, retries and new owners queue here.
SELECT number FROM partitions WHERE number = any($1::int[]) ORDER BY number FOR UPDATE

-- name: add_partitions
-- The rows to lock; called at start for the partitions that Kafka has.
INSERT INTO partitions (number) SELECT unnest($1::int[]) ON CONFLICT DO NOTHING

-- name: partition_of_case
-- Where a case's one writer is to be locked; a case never changes its partition.
SELECT partition FROM cases WHERE case_ref = $1

-- name: load_cases
-- The cases of one batch.
SELECT case_ref, partition, version, state, waiting, sequences, parked, erased FROM cases WHERE case_ref = any($1::uuid[])

-- name: save_cases
-- All cases of a batch in one statement, fenced by the version that was read: fewer rows than given means a conflict.
MERGE INTO cases AS c
USING (
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::bigint[], $5::jsonb[], $6::jsonb[], $7::jsonb[], $8::int[], $9::bool[])
        AS n (case_ref, partition, read_version, version, state, waiting, sequences, parked, erased)
) AS n ON c.case_ref = n.case_ref
WHEN MATCHED AND c.version = n.read_version THEN UPDATE SET
    version = n.version, state = n.state, waiting = n.waiting, sequences = n.sequences, parked = n.parked,
    erased = n.erased, updated_at = now()
WHEN NOT MATCHED AND n.read_version = 0 THEN INSERT (case_ref, partition, version, state, waiting, sequences, parked, erased)
    VALUES (n.case_ref, n.partition, n.version, n.state, n.waiting, n.sequences, n.parked, n.erased)

-- name: waiting_since
-- The next cases behind $2 with events that have waited since before a moment of wall-clock time, each with all of these.
WITH due AS (
    SELECT DISTINCT c.case_ref
    FROM cases c
    CROSS JOIN LATERAL jsonb_array_elements(c.waiting) AS w
    JOIN event_log l ON l.case_ref = c.case_ref AND l.source = w->'event'->>'source' AND l.id = w->'event'->>'id'
    WHERE c.waiting <> '[]' AND c.case_ref > $2 AND l.received_at < $1
    ORDER BY c.case_ref
    LIMIT 200
)
SELECT c.case_ref, l.source, l.id
FROM due
JOIN cases c USING (case_ref)
CROSS JOIN LATERAL jsonb_array_elements(c.waiting) AS w
JOIN event_log l ON l.case_ref = c.case_ref AND l.source = w->'event'->>'source' AND l.id = w->'event'->>'id'
WHERE l.received_at < $1
ORDER BY c.case_ref
