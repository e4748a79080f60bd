-- name: write_lines
-- The lines of a batch's cases as they stand now.
INSERT INTO caseload (case_ref, clinic, worker_ref, job_title, phase, week, total_weeks, verdict, risk, risk_reasons,
                      escalated, readiness, awaits_signature, outcome, last_event_at, rank, age)
SELECT case_ref, clinic, worker_ref, job_title, phase, week, total_weeks, verdict, risk, string_to_array(risk_reasons, ' '),
       escalated, readiness, awaits_signature, outcome, last_event_at, rank,
       -(extract(epoch FROM last_event_at) * 1000000)::bigint
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::int[], $8::text[], $9::text[],
            $10::text[], $11::boolean[], $12::text[], $13::boolean[], $14::text[], $15::timestamptz[], $16::int[])
     AS n (case_ref, clinic, worker_ref, job_title, phase, week, total_weeks, verdict, risk, risk_reasons, escalated,
           readiness, awaits_signature, outcome, last_event_at, rank)
ON CONFLICT (case_ref) DO UPDATE SET
    clinic = excluded.clinic, worker_ref = excluded.worker_ref, job_title = excluded.job_title, phase = excluded.phase,
    week = excluded.week, total_weeks = excluded.total_weeks, verdict = excluded.verdict, risk = excluded.risk,
    risk_reasons = excluded.risk_reasons, escalated = excluded.escalated, readiness = excluded.readiness,
    awaits_signature = excluded.awaits_signature, outcome = excluded.outcome, last_event_at = excluded.last_event_at,
    rank = excluded.rank, age = excluded.age

-- name: remove_lines
-- Erasure.
DELETE FROM caseload WHERE case_ref = any($1::uuid[])

-- name: tell_changed
-- Whoever listens, in whichever process, hears of it when the transaction is committed.
SELECT pg_notify($1, changed) FROM unnest($2::text[]) AS changed

-- name: read_line
-- One case's line.
SELECT * FROM caseload WHERE case_ref = $1

-- name: caseload_page
-- A page of each of these clinics, of which the first lines are the page of them all. {filter} is one of caseload.py's.
SELECT l.* FROM unnest($1::text[]) AS c (clinic) CROSS JOIN LATERAL (
    SELECT * FROM caseload
    WHERE clinic = c.clinic AND (rank, age, case_ref) > ($2::int, $3::bigint, $4::uuid) {filter}
    ORDER BY rank, age, case_ref LIMIT $5
) AS l
ORDER BY l.rank, l.age, l.case_ref LIMIT $5
