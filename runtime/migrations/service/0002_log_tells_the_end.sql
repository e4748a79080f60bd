-- What the event log lacked to tell a case's whole story by itself. The columns may be null, so that a release that
-- does not know them can write beside one that does.

ALTER TABLE event_log ADD COLUMN discarded_version bigint;
COMMENT ON COLUMN event_log.discarded_version IS
    'the case version that a person made by giving up this parked event; each version belongs to exactly one log row';

-- Handlers decide by the sender's own date, and a timestamptz keeps the moment only.
ALTER TABLE event_log ADD COLUMN utc_offset int;
COMMENT ON COLUMN event_log.utc_offset IS
    'seconds east of UTC by the sender''s clock; null in rows of earlier releases. A replay folds time at this offset';
