-- name: write_follow_ups
-- The months after the program of a batch's cases, as they stand now.
INSERT INTO follow_ups (case_ref, clinic, month, due_on, lapses_on, returned, as_of, working, reinjured)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::date[], $5::date[], $6::boolean[], $7::date[],
                     $8::text[], $9::text[])
ON CONFLICT (case_ref, month) DO UPDATE SET
    clinic = excluded.clinic, due_on = excluded.due_on, lapses_on = excluded.lapses_on, returned = excluded.returned,
    as_of = excluded.as_of, working = excluded.working, reinjured = excluded.reinjured

-- name: remove_follow_ups
-- Erasure.
DELETE FROM follow_ups WHERE case_ref = any($1::uuid[])

-- name: count_outcomes
-- How many cases of each clinic ended how, of these clinics or of all (null). One that was withdrawn before it was
-- accepted (a case has its worker from then on) was never decided, and counts as little as one that waits for it.
SELECT clinic,
       CASE WHEN phase = 'closed' THEN outcome WHEN phase = 'declined' THEN phase ELSE 'in_program' END AS ended,
       count(*)::int AS cases
FROM caseload
WHERE ($1::text[] IS NULL OR clinic = any($1))
  AND (phase IN ('declined', 'opened', 'in_program') OR (phase = 'closed' AND worker_ref IS NOT NULL))
GROUP BY clinic, ended

-- name: count_follow_ups
-- How many cases were told of alike, of the months that have come by a day or were asked early.
SELECT clinic, month, returned, working, reinjured, count(*)::int AS cases
FROM follow_ups
WHERE ($1::text[] IS NULL OR clinic = any($1)) AND (due_on <= $2 OR working IS NOT NULL)
GROUP BY clinic, month, returned, working, reinjured

-- name: due_follow_ups
-- Whom to ask on a day, the longest due first.
SELECT case_ref, clinic, month, due_on FROM follow_ups
WHERE clinic = any($1::text[]) AND working IS NULL AND due_on <= $2 AND lapses_on > $2
ORDER BY due_on, case_ref, month LIMIT $3
