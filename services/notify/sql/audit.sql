-- name: try_sealing
-- Whether this transaction may seal: one at a time in this database.
SELECT pg_try_advisory_xact_lock(hashtext('notify'), hashtext('seal'))

-- name: end_of_window
-- The highest id of the next disclosures after one; NULL when there is none.
SELECT max(id) FROM (SELECT id FROM disclosures WHERE id > $1 ORDER BY id LIMIT $2) AS next

-- name: read_unsealed
-- Disclosures between two ids that have no seal yet.
SELECT d.id, d.employer, d.case_ref, d.event_id, d.sequence, d.channel, d.scopes, d.bases, d.body_sha256, d.disclosed_at
FROM disclosures d
WHERE d.id > $1 AND d.id <= $2 AND NOT EXISTS (SELECT FROM disclosure_seals s WHERE s.disclosure_id = d.id)
ORDER BY d.id

-- name: read_heads
-- Where the chains of employers end; no row for one that has none yet.
SELECT head.* FROM unnest($1::text[]) AS e (employer)
CROSS JOIN LATERAL (
    SELECT s.employer, s.number, s.hash FROM disclosure_seals s
    WHERE s.employer = e.employer ORDER BY s.number DESC LIMIT 1
) AS head

-- name: insert_seals
-- The chains go on; a number that is taken is an error, never another seal.
INSERT INTO disclosure_seals (employer, number, disclosure_id, sealed_at, hash)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::bytea[])

-- name: read_links
-- The seals after a place, in order, with their disclosures and the seal before each.
SELECT s.employer, s.number, s.disclosure_id, s.sealed_at, s.hash, before.number AS number_before, before.hash AS hash_before,
       d.id, d.employer AS told, d.case_ref, d.event_id, d.sequence, d.channel, d.scopes, d.bases, d.body_sha256, d.disclosed_at
FROM disclosure_seals s
LEFT JOIN disclosures d ON d.id = s.disclosure_id
LEFT JOIN LATERAL (
    SELECT p.number, p.hash FROM disclosure_seals p
    WHERE p.employer = s.employer AND p.number < s.number ORDER BY p.number DESC LIMIT 1
) AS before ON true
WHERE (s.employer, s.number) > ($1::text, $2::bigint)
ORDER BY s.employer, s.number LIMIT $3

-- name: read_newest_links
-- The same of the newest disclosures.
SELECT s.employer, s.number, s.disclosure_id, s.sealed_at, s.hash, before.number AS number_before, before.hash AS hash_before,
       d.id, d.employer AS told, d.case_ref, d.event_id, d.sequence, d.channel, d.scopes, d.bases, d.body_sha256, d.disclosed_at
FROM (SELECT * FROM disclosure_seals ORDER BY disclosure_id DESC LIMIT $1) AS s
LEFT JOIN disclosures d ON d.id = s.disclosure_id
LEFT JOIN LATERAL (
    SELECT p.number, p.hash FROM disclosure_seals p
    WHERE p.employer = s.employer AND p.number < s.number ORDER BY p.number DESC LIMIT 1
) AS before ON true

-- name: contradicted
-- Of seals that were kept, those that are not in the chains any more.
SELECT a.employer, a.number, s.disclosure_id FROM unnest($1::text[], $2::bigint[], $3::bytea[]) AS a (employer, number, hash)
LEFT JOIN disclosure_seals s ON s.employer = a.employer AND s.number = a.number
WHERE s.hash IS DISTINCT FROM a.hash

-- name: record_faults
-- What does not hold; comes back where it was not known yet.
INSERT INTO disclosure_faults (employer, number, disclosure_id, what)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[])
ON CONFLICT (employer, number) DO NOTHING
RETURNING employer, number, disclosure_id, what

-- name: forget_faults
-- Places after one and through another (or all after it) hold again, but for those that were found.
DELETE FROM disclosure_faults f
WHERE f.what <> 'rewritten' AND (f.employer, f.number) > ($1::text, $2::bigint)
  AND ($3::text IS NULL OR (f.employer, f.number) <= ($3::text, $4::bigint))
  AND NOT EXISTS (
      SELECT FROM unnest($5::text[], $6::bigint[]) AS found (employer, number)
      WHERE found.employer = f.employer AND found.number = f.number
  )

-- name: count_faults
-- Places at which the log is not what was sealed.
SELECT count(*)::float8 FROM disclosure_faults

-- name: oldest_unsealed
-- Seconds that the oldest disclosure has waited for its seal, of the newest.
SELECT coalesce(extract(epoch FROM now() - min(d.disclosed_at)), 0)::float8
FROM (SELECT id, disclosed_at FROM disclosures ORDER BY id DESC LIMIT 10000) AS d
WHERE NOT EXISTS (SELECT FROM disclosure_seals s WHERE s.disclosure_id = d.id)

-- name: count_unsealed
-- Disclosures without a seal; of one employer, or of all.
SELECT count(*) AS count, min(d.disclosed_at) AS since FROM disclosures d
WHERE ($1::text IS NULL OR d.employer = $1) AND NOT EXISTS (SELECT FROM disclosure_seals s WHERE s.disclosure_id = d.id)

-- name: read_accounting
-- What was told of cases in a time, with the seal of each where it has one.
SELECT s.employer, s.number, s.disclosure_id, s.sealed_at, s.hash, before.number AS number_before, before.hash AS hash_before,
       d.id, d.employer AS told, d.case_ref, d.event_id, d.sequence, d.channel, d.scopes, d.bases, d.body_sha256, d.disclosed_at
FROM disclosures d
LEFT JOIN disclosure_seals s ON s.disclosure_id = d.id
LEFT JOIN LATERAL (
    SELECT p.number, p.hash FROM disclosure_seals p
    WHERE p.employer = s.employer AND p.number < s.number ORDER BY p.number DESC LIMIT 1
) AS before ON true
WHERE d.case_ref = any($1::uuid[]) AND d.disclosed_at >= $2 AND d.disclosed_at < $3
ORDER BY d.disclosed_at, d.id

-- name: cases_of_employee
-- Cases whose employer knows the worker by a key, as far as they are not erased.
SELECT case_ref FROM cases WHERE state->>'employer' = $1 AND state->>'employee_key' = $2 ORDER BY case_ref
