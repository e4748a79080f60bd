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

-- name: insert_deliveries
-- What employers are to be told, not before the day on which their consent begins. Scopes and bases come as JSON arrays,
-- since arrays of arrays must be rectangular. One that another waits before need not be looked at until that one is due.
INSERT INTO deliveries (
    employer, case_ref, event_id, sequence, body, scopes, bases, occurred_at, traceparent, next_attempt_at, behind_until
)
SELECT d.employer, d.case_ref, d.event_id, d.sequence, d.body,
       ARRAY(SELECT jsonb_array_elements_text(d.scopes)), ARRAY(SELECT jsonb_array_elements_text(d.bases)),
       d.occurred_at, d.traceparent, greatest(now(), d.send_from::timestamp AT TIME ZONE 'UTC'), (
           SELECT first.next_attempt_at FROM deliveries first
           WHERE first.employer = d.employer AND first.case_ref = d.case_ref AND first.status = 'pending'
           ORDER BY first.sequence LIMIT 1
       )
FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::bigint[], $5::bytea[], $6::jsonb[], $7::jsonb[], $8::timestamptz[], $9::date[], $10::text[]
) WITH ORDINALITY
    AS d (employer, case_ref, event_id, sequence, body, scopes, bases, occurred_at, send_from, traceparent, place)
ORDER BY d.place
ON CONFLICT (employer, event_id) DO NOTHING

-- name: withhold
-- Updates that must not be sent any more. What was superseded is sent to its end where it was tried already: the employer
-- may have it, and is told what replaces it next. One that a sender has in hand may arrive all the same; it is recorded.
-- What comes behind them has nothing to wait for any more.
WITH w AS (
    SELECT employer, case_ref, reason, max(through) AS through
    FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[]) AS w (employer, case_ref, through, reason)
    GROUP BY employer, case_ref, reason
), freed AS (
    UPDATE deliveries d SET behind_until = NULL
    FROM (SELECT employer, case_ref, max(through) AS through FROM w GROUP BY employer, case_ref) AS w
    WHERE d.employer = w.employer AND d.case_ref = w.case_ref AND d.sequence > w.through AND d.status = 'pending'
)
UPDATE deliveries d SET status = 'withheld', reason = w.reason
FROM w
WHERE d.employer = w.employer AND d.case_ref = w.case_ref AND d.sequence <= w.through AND d.status = 'pending'
  AND (w.reason <> 'superseded' OR d.attempts = 0)

-- name: remove_feed
-- Erasure of cases: what clinics could read.
DELETE FROM feed WHERE case_ref = any($1::uuid[])

-- name: remove_messages
-- Erasure of cases: mail, sent or not.
DELETE FROM messages WHERE case_ref = any($1::uuid[])

-- name: remove_deliveries
-- Erasure of cases: what employers were to be told. What they were told stays in the disclosure log, without its body.
DELETE FROM deliveries WHERE case_ref = any($1::uuid[])
