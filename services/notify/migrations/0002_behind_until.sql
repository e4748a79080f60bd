-- An update behind one of its case that waits for its retry is not looked at before. A claim walked over all of a dead
-- endpoint's backlog, ten times a second (docs/reliability/growth.md).
ALTER TABLE deliveries ADD COLUMN behind_until timestamptz;

UPDATE deliveries d SET behind_until = first.next_attempt_at
FROM (
    SELECT DISTINCT ON (employer, case_ref) employer, case_ref, sequence, next_attempt_at
    FROM deliveries WHERE status = 'pending' ORDER BY employer, case_ref, sequence
) AS first
WHERE d.employer = first.employer AND d.case_ref = first.case_ref AND d.sequence > first.sequence AND d.status = 'pending';

DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (employer, greatest(next_attempt_at, behind_until), id) WHERE status = 'pending';

-- A row is changed some four times and not deleted: vacuum by the number of dead rows, not by a share of all that was ever told.
ALTER TABLE deliveries SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
