-- An update that was not sent yet gives way to a newer one of its case, and says to which (docs/adr/0019-coalescing.md). The
-- previous release neither writes nor reads the columns: its updates are not replaced. While it still runs, its door
-- shows a coalesced update to its employer, and logs that as any pull.
ALTER TABLE deliveries
    ADD COLUMN replaceable   boolean NOT NULL DEFAULT false, -- says how things stand, and takes back nothing that was said
    ADD COLUMN superseded_by text,                           -- the event_id of what took its place
    DROP CONSTRAINT deliveries_status_check,
    ADD CONSTRAINT deliveries_status_check
        CHECK (status IN ('pending', 'delivered', 'failed', 'withheld', 'coalesced')),
    ADD CONSTRAINT deliveries_superseded_by CHECK ((status = 'coalesced') = (superseded_by IS NOT NULL));

-- What waits already is told by its body, as `replaceable` in coalescing.py tells it.
UPDATE deliveries d SET replaceable = true
FROM (
    SELECT id, convert_from(body, 'UTF8')::jsonb -> 'data' AS data FROM deliveries WHERE status = 'pending' AND attempts = 0
) AS unsent
WHERE d.id = unsent.id AND NOT unsent.data ? 'supersedes' AND unsent.data ->> 'outcome' NOT IN ('revoked', 'discontinued');

-- Of an update that was never tried, a pull says which one goes before it.
GRANT SELECT (attempts) ON deliveries TO notify_employer;
