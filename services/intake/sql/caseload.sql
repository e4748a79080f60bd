-- name: write_caseload
-- Which cases are open, a row for each case of the batch.
INSERT INTO caseload (case_ref, clinic, open)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::bool[]) AS n (case_ref, clinic, open)
ORDER BY n.case_ref
ON CONFLICT (case_ref) DO UPDATE SET clinic = excluded.clinic, open = excluded.open;

-- name: open_cases
-- The open cases of one clinic, in a stable order.
SELECT case_ref FROM caseload WHERE clinic = $1 AND open ORDER BY case_ref;
