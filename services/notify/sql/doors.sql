-- name: read_feed
-- A clinic's events after a position. Rows of transactions that may still have neighbours to come are not served yet.
SELECT f.xid::text AS xid, f.id, f.event FROM feed f
WHERE f.clinic = $1 AND (f.xid, f.id) > ($2::text::xid8, $3::bigint) AND f.xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY f.xid, f.id LIMIT $4

-- name: act_for_employer
-- To the end of this transaction only this employer's rows are there.
SELECT set_config('role', 'notify_employer', true), set_config('whp.employer', $1, true)

-- name: read_deliveries
-- An employer's updates after a position, with the state of their case: what may be told is asked again at each pull. LIMIT 1
-- keeps the look at a case by its key; joined plainly, the view is made of all cases for each page.
SELECT d.xid::text AS xid, d.id, d.case_ref, d.event_id, d.sequence, d.body, d.scopes, d.bases, d.attempts, c.state, coalesce((
    SELECT max(before.sequence) FROM deliveries before
    WHERE before.employer = d.employer AND before.case_ref = d.case_ref AND before.sequence < d.sequence
      AND (before.attempts > 0 OR before.status NOT IN ('withheld', 'coalesced'))
), 0) AS previous_sequence
FROM deliveries d
CROSS JOIN LATERAL (SELECT state FROM employer_cases WHERE case_ref = d.case_ref LIMIT 1) AS c
WHERE d.employer = $1 AND d.status NOT IN ('withheld', 'coalesced')
  AND (d.xid, d.id) > ($2::text::xid8, $3::bigint) AND d.xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY d.xid, d.id LIMIT $4

-- name: read_status
-- The latest update of one case for one employer; where that one was withheld, an earlier one does not stand either.
SELECT d.case_ref, d.event_id, d.sequence, d.body, d.scopes, d.bases, d.attempts, d.status, c.state, coalesce((
    SELECT max(before.sequence) FROM deliveries before
    WHERE before.employer = d.employer AND before.case_ref = d.case_ref AND before.sequence < d.sequence
      AND (before.attempts > 0 OR before.status NOT IN ('withheld', 'coalesced'))
), 0) AS previous_sequence
FROM deliveries d
CROSS JOIN LATERAL (SELECT state FROM employer_cases WHERE case_ref = d.case_ref LIMIT 1) AS c
WHERE d.employer = $1 AND d.case_ref = $2
ORDER BY d.sequence DESC LIMIT 1

-- name: insert_pulled
-- What was pulled was disclosed; the same update pulled again tells nothing new.
INSERT INTO disclosures (employer, case_ref, event_id, sequence, channel, scopes, bases, body_sha256)
SELECT p.employer, p.case_ref, p.event_id, p.sequence, 'pull',
       ARRAY(SELECT jsonb_array_elements_text(p.scopes)), ARRAY(SELECT jsonb_array_elements_text(p.bases)), p.body_sha256
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bigint[], $5::jsonb[], $6::jsonb[], $7::bytea[])
    AS p (employer, case_ref, event_id, sequence, scopes, bases, body_sha256)
ON CONFLICT (employer, event_id, channel) DO NOTHING
