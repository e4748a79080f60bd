-- name: read_log
-- What a case's page is drawn from, in the order in which it was folded; nothing of an erased case. `source`: strangers'
-- events, which were folded before it was known whose case it is, are not the case's.
SELECT source, id, type, time, case_version, policy_version, body FROM event_log
WHERE case_ref = $1 AND body IS NOT NULL AND result = 'folded' AND (source = $2 OR source LIKE '/services/%')
ORDER BY coalesce(retried_version, case_version)

-- name: add_view
-- Somebody looks at a case. Written before anything is shown.
INSERT INTO views (case_ref, clinic, who, role, what) VALUES ($1, $2, $3, $4, $5)

-- name: read_views
-- Who looked at a case, newest first.
SELECT at, who, role, what, clinic FROM views WHERE case_ref = $1 ORDER BY id DESC LIMIT $2
