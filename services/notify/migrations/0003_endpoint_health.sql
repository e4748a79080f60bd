-- What is known of an endpoint's health: it survives a restart, and every sender goes by it. The previous release neither
-- reads nor writes these columns; its claims pass an open breaker by, which is what it did before.
ALTER TABLE endpoints
    ADD COLUMN failures      int NOT NULL DEFAULT 0 CHECK (failures >= 0), -- in a row
    ADD COLUMN failing_since timestamptz,                                  -- nothing was taken since
    ADD COLUMN open_until    timestamptz,                                  -- the breaker; one probe is due then
    ADD COLUMN warned_hours  int NOT NULL DEFAULT 0,                       -- the last warning that was given of this failing
    ADD COLUMN delivered_at  timestamptz,                                  -- when it last took something, within the hour
    ADD COLUMN disabled_at   timestamptz,
    -- A token bucket of one second's worth: what was drawn is paid for at this time. 100/s is far above what an employer's
    -- workers cause in a day, and keeps a backlog of 30 days from arriving as a flood.
    ADD COLUMN rate_per_s    int NOT NULL DEFAULT 100 CHECK (rate_per_s BETWEEN 1 AND 1000),
    ADD COLUMN drawn_until   timestamptz NOT NULL DEFAULT 'epoch';
UPDATE endpoints SET disabled_at = now() WHERE NOT enabled;
