-- name: disclosures_of_case
-- The log's lines of one case, and the update as it was sent, as long as that is kept.
SELECT l.employer, l.event_id, l.sequence, l.channel, l.scopes, l.bases, l.disclosed_at, d.body
FROM disclosures l LEFT JOIN deliveries d ON d.employer = l.employer AND d.event_id = l.event_id
WHERE l.case_ref = $1 ORDER BY l.id DESC LIMIT 500

-- name: longest_due
-- How long each employer's oldest update has been due; the partial index holds only what waits.
SELECT employer, extract(epoch FROM now() - min(next_attempt_at))::float8 AS seconds
FROM deliveries WHERE status = 'pending' AND next_attempt_at <= now() GROUP BY employer
