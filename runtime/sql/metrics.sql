-- name: oldest_unpublished
-- Seconds that the first row from the floor on has waited which no refusal holds: what the relay would publish next.
SELECT coalesce(extract(epoch FROM now() - (
    SELECT created_at FROM outbox o
    WHERE id >= $1 AND NOT EXISTS (SELECT FROM outbox h WHERE h.held IS NOT NULL AND h.topic = o.topic AND h.case_ref = o.case_ref)
    ORDER BY id LIMIT 1
)), 0)::float8

-- name: count_held
-- Rows that the broker refused for good; the partial index holds only these.
SELECT count(*)::float8 FROM (SELECT FROM outbox WHERE held IS NOT NULL LIMIT 10000) AS held

-- name: count_parked_cases
-- Cases that wait for a person; the partial index holds only these.
SELECT count(*)::float8 FROM (SELECT FROM cases WHERE parked > 0 LIMIT 10000) AS parked

-- name: oldest_parked
-- Seconds that the first open parked record has waited; the partial index holds only open ones.
SELECT coalesce(extract(epoch FROM now() - min(parked_at)), 0)::float8 FROM parked WHERE resolved_at IS NULL

-- name: count_dead_letters
-- Records that name no readable case, by the class of the reason. Counted to a limit, since nobody may ever clear them.
SELECT split_part(reason, '.', 1) AS class, count(*)::int AS count FROM (SELECT reason FROM dead_letter LIMIT 10000) AS dead
GROUP BY 1

-- name: count_unpublished
-- What is decided and not published yet, counted to a limit.
SELECT count(*)::float8 FROM (SELECT FROM outbox LIMIT 10000) AS unpublished

-- name: count_all_dead_letters
-- Records that name no readable case, counted to a limit.
SELECT count(*)::float8 FROM (SELECT FROM dead_letter LIMIT 10000) AS dead
