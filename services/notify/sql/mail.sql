-- name: claim_messages
-- Mail to send now. Its turn is moved on first, so that a killed sender's mail comes back by itself.
WITH due AS (
    SELECT m.id FROM messages m
    JOIN cases c ON c.case_ref = m.case_ref AND NOT c.erased
    WHERE m.status = 'pending' AND m.due_at <= now()
    ORDER BY m.due_at, m.id LIMIT $1 FOR UPDATE OF m SKIP LOCKED
)
UPDATE messages m SET due_at = now() + make_interval(secs => $2::float8), attempts = m.attempts + 1
FROM due, clinics c
WHERE m.id = due.id AND c.clinic = m.clinic
RETURNING m.id, m.event_id, m.kind, m.subject, m.body, m.attempts, c.mailbox

-- name: mark_sent
-- The mail server took it.
UPDATE messages SET status = 'sent', sent_at = now() WHERE id = $1

-- name: mark_mail_failed
-- Refused for good, or tried often enough.
UPDATE messages SET status = 'failed' WHERE id = $1

-- name: mark_mail_later
-- Tried again after a while.
UPDATE messages SET due_at = now() + make_interval(secs => $2::float8) WHERE id = $1

-- name: set_mailbox
-- Where a clinic receives its mail.
INSERT INTO clinics (clinic, mailbox) VALUES ($1, $2) ON CONFLICT (clinic) DO UPDATE SET mailbox = excluded.mailbox

-- name: release_messages
-- What was held for want of a mailbox is due now.
UPDATE messages SET status = 'pending', due_at = now() WHERE clinic = $1 AND status = 'held'
