-- Vacuum after so many dead or new rows, not after a share of the table: the tables grow, what changes in a minute does not.
-- What each setting was measured to do stands in docs/reliability/growth.md.
ALTER TABLE cases SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE event_log SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000
);
