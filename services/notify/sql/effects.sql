-- name: insert_feed
-- What clinics may read; a row that is there already is left as it is.
INSERT INTO feed (clinic, case_ref, source, event_id, event)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::jsonb[])
ON CONFLICT (case_ref, source, event_id) DO NOTHING

-- name: insert_messages
-- Mail to be sent; held until the clinic has a mailbox.
INSERT INTO messages (event_id, kind, clinic, case_ref, audience, subject, body, status)
SELECT m.event_id, m.kind, m.clinic, m.case_ref, m.audience, m.subject, m.body,
       CASE WHEN c.clinic IS NULL THEN 'held' ELSE 'pending' END
FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY
    AS m (event_id, kind, clinic, case_ref, audience, subject, body, place)
LEFT JOIN clinics c ON c.clinic = m.clinic
ORDER BY m.place
ON CONFLICT (case_ref, event_id, kind) DO NOTHING

-- name: lock_unsent
-- Updates of cases that a newer one may take the place of: none that a sender has tried or has in hand. Locked in the order
-- in which a sender locks those of a case.
SELECT d.id, d.employer, d.case_ref, d.sequence, d.scopes
FROM unnest($1::text[], $2::uuid[]) AS c (employer, case_ref)
JOIN deliveries d ON d.employer = c.employer AND d.case_ref = c.case_ref
WHERE d.status = 'pending' AND d.replaceable AND d.attempts = 0 AND d.lease IS NULL
ORDER BY d.employer, d.case_ref, d.sequence
FOR UPDATE OF d

-- name: coalesce
-- Updates that are not sent, and the newer one of each. What waited for one of them has nothing to wait for any more.
WITH coalesced AS (
    UPDATE deliveries d SET status = 'coalesced', superseded_by = c.superseded_by
    FROM unnest($1::bigint[], $2::text[]) AS c (id, superseded_by)
    WHERE d.id = c.id
    RETURNING d.employer, d.case_ref, d.sequence, d.next_attempt_at
)
UPDATE deliveries d SET behind_until = NULL
FROM coalesced c
WHERE d.employer = c.employer AND d.case_ref = c.case_ref AND d.sequence > c.sequence
  AND d.status = 'pending' AND d.behind_until = c.next_attempt_at AND d.id <> ALL ($1::bigint[])

-- name: insert_deliveries
-- What employers are to be told, not before the day on which their consent begins; with one that a newer of its own batch
-- has replaced already comes the id of that. Scopes and bases come as JSON arrays,
-- since arrays of arrays must be rectangular. One that another waits before need not be looked at until that one is due.
INSERT INTO deliveries (
    employer, case_ref, event_id, sequence, body, scopes, bases, occurred_at, traceparent, replaceable, superseded_by, status,
    next_attempt_at, behind_until
)
SELECT d.employer, d.case_ref, d.event_id, d.sequence, d.body,
       ARRAY(SELECT jsonb_array_elements_text(d.scopes)), ARRAY(SELECT jsonb_array_elements_text(d.bases)),
       d.occurred_at, d.traceparent, d.replaceable, d.superseded_by,
       CASE WHEN d.superseded_by IS NULL THEN 'pending' ELSE 'coalesced' END,
       greatest(now(), d.send_from::timestamp AT TIME ZONE 'UTC'), (
           SELECT first.next_attempt_at FROM deliveries first
           WHERE first.employer = d.employer AND first.case_ref = d.case_ref AND first.status = 'pending'
           ORDER BY first.sequence LIMIT 1
       )
FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::bigint[], $5::bytea[], $6::jsonb[], $7::jsonb[], $8::timestamptz[], $9::date[],
    $10::text[], $11::boolean[], $12::text[]
) WITH ORDINALITY AS d (
    employer, case_ref, event_id, sequence, body, scopes, bases, occurred_at, send_from,
    traceparent, replaceable, superseded_by, place
)
ORDER BY d.place
ON CONFLICT (employer, event_id) DO NOTHING

-- name: withhold
-- Updates that may not be sent any more. One that a sender has in hand may arrive all the same; it is recorded. What comes
-- behind them has nothing to wait for any more.
WITH w AS (
    SELECT employer, case_ref, max(through) AS through
    FROM unnest($1::text[], $2::uuid[], $3::bigint[]) AS w (employer, case_ref, through)
    GROUP BY employer, case_ref
), freed AS (
    UPDATE deliveries d SET behind_until = NULL
    FROM w
    WHERE d.employer = w.employer AND d.case_ref = w.case_ref AND d.sequence > w.through AND d.status = 'pending'
)
UPDATE deliveries d SET status = 'withheld', reason = 'not_permitted'
FROM w
WHERE d.employer = w.employer AND d.case_ref = w.case_ref AND d.sequence <= w.through AND d.status = 'pending'

-- name: remove_feed
-- Erasure of cases: what clinics could read.
DELETE FROM feed WHERE case_ref = any($1::uuid[])

-- name: remove_messages
-- Erasure of cases: mail, sent or not.
DELETE FROM messages WHERE case_ref = any($1::uuid[])

-- name: remove_deliveries
-- Erasure of cases: what employers were to be told. What they were told stays in the disclosure log, without its body.
DELETE FROM deliveries WHERE case_ref = any($1::uuid[])
