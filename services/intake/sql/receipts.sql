-- name: claim_receipts
-- Insert or compare, in one statement: a new receipt is pending; for one that is there, its own digest comes back. The
-- update changes nothing; it is what makes RETURNING show the row that was there, and makes racing retries wait.
INSERT INTO receipts AS r (source, id, digest, case_ref, type)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::uuid[], $5::text[]) AS n (source, id, digest, case_ref, type)
ORDER BY n.source, n.id
ON CONFLICT (source, id) DO UPDATE SET digest = r.digest
RETURNING r.source, r.id, r.digest, r.status;

-- name: accept_receipts
-- The broker has these. A retry keeps the first place; a rejection that was quicker than this statement stays.
-- That the clinic was heard is written once a minute at most: a clinic's requests must not queue for one row.
WITH heard AS (
    INSERT INTO clinics_heard (clinic, heard_at)
    SELECT DISTINCT substr(n.source, length('/clinics/') + 1), now() FROM unnest($1::text[]) AS n (source)
    WHERE NOT EXISTS (
        SELECT FROM clinics_heard h
        WHERE h.clinic = substr(n.source, length('/clinics/') + 1) AND h.heard_at > now() - interval '1 minute'
    )
    ON CONFLICT (clinic) DO UPDATE SET heard_at = excluded.heard_at
)
UPDATE receipts AS r
SET status = CASE r.status WHEN 'pending' THEN 'accepted' ELSE r.status END,
    topic = n.topic, partition = n.partition, "offset" = n."offset"
FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[]) AS n (source, id, topic, partition, "offset")
WHERE r.source = n.source AND r.id = n.id AND (r.topic IS NULL OR r.status = 'pending');

-- name: reject_receipts
-- The judges refused these. Decided at the fold, so a retry that is produced again changes nothing.
UPDATE receipts AS r
SET status = 'rejected', reason = n.reason::jsonb
FROM unnest($1::text[], $2::text[], $3::text[]) AS n (source, id, reason)
WHERE r.source = n.source AND r.id = n.id;

-- name: receipt
-- One event's receipt, by its source and id.
SELECT status, reason::text AS reason FROM receipts WHERE source = $1 AND id = $2;
