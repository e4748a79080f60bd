-- What an employer's door reads is bound to that employer by the database, too: a query that forgot its WHERE would show no
-- other employer's rows. The doors take the role notify_employer and name the employer in whp.employer, both for one
-- transaction; unset is nobody. Provisioning makes the role, before this file runs. The workers go on as notify and see
-- all rows, and so does the door of the previous release.
GRANT USAGE ON SCHEMA notify TO notify_employer;

-- Of an update what is told, and a line in the disclosure log; nothing else.
GRANT SELECT (id, xid, employer, case_ref, event_id, sequence, body, scopes, bases, status) ON deliveries TO notify_employer;
GRANT INSERT (employer, case_ref, event_id, sequence, channel, scopes, bases, body_sha256) ON disclosures TO notify_employer;
-- What tells a repeated pull from a new one.
GRANT SELECT (employer, event_id, channel) ON disclosures TO notify_employer;

CREATE POLICY of_the_employer ON deliveries TO notify_employer
    USING (employer = nullif(current_setting('whp.employer', true), ''));
CREATE POLICY of_the_employer ON disclosures TO notify_employer
    USING (employer = nullif(current_setting('whp.employer', true), ''));
-- FORCE binds the owner like anybody else. It is named here, since a migration that fills a column would else change nothing.
CREATE POLICY all_rows ON deliveries TO notify, whp_owner USING (true);
CREATE POLICY all_rows ON disclosures TO notify, whp_owner USING (true);
ALTER TABLE deliveries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE disclosures ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- A case names no employer of its own: it is one's who has an update of it. A view and no policy, since under a policy, even one
-- that lets all pass, the planner may not use what it knows of a jsonb column, and the look for cases that wait reads them all.
CREATE VIEW employer_cases WITH (security_barrier) AS
SELECT c.case_ref, c.state FROM cases c
WHERE c.parked = 0 AND NOT c.erased AND EXISTS (
    SELECT FROM deliveries d
    WHERE d.case_ref = c.case_ref AND d.employer = nullif(current_setting('whp.employer', true), '')
);
GRANT SELECT ON employer_cases TO notify_employer;
