-- name: put_service
-- Have a service as it is described; nothing comes back for one of another clinic.
INSERT INTO consultation_services AS s (id, clinic, profile) VALUES ($1, $2, $3::jsonb)
ON CONFLICT (id) DO UPDATE SET profile = excluded.profile WHERE s.clinic = excluded.clinic
RETURNING id;

-- name: put_therapist
-- Have a therapist as he is described; nothing comes back for one of another clinic.
INSERT INTO therapists AS t (id, clinic, profile) VALUES ($1, $2, $3::jsonb)
ON CONFLICT (id) DO UPDATE SET profile = excluded.profile WHERE t.clinic = excluded.clinic
RETURNING id;

-- name: put_hours
-- A therapist's hours, all of them.
UPDATE therapists SET hours = $3::jsonb WHERE id = $1 AND clinic = $2 RETURNING id;

-- name: list_services
-- The services on the list, of one clinic or of all.
SELECT id, clinic, profile::text AS profile FROM consultation_services
WHERE ($1::text IS NULL OR clinic = $1) AND (profile ->> 'listed')::boolean
ORDER BY clinic, profile ->> 'name', id LIMIT 500;

-- name: list_therapists
-- The therapists on the list, of one clinic or of all.
SELECT id, clinic, profile::text AS profile, hours ->> 'zone' AS zone FROM therapists
WHERE ($1::text IS NULL OR clinic = $1) AND (profile ->> 'listed')::boolean
ORDER BY clinic, profile ->> 'name', id LIMIT 500;

-- name: therapist
-- One therapist, on the list or not.
SELECT id, number, clinic, profile::text AS profile, hours::text AS hours FROM therapists WHERE id = $1;

-- name: lock_therapist
-- The same, with his calendar in hand: bookings of one therapist queue here. Two that met in the constraint only could
-- wait for each other.
SELECT id, number, clinic, profile::text AS profile, hours::text AS hours FROM therapists WHERE id = $1
FOR NO KEY UPDATE;

-- name: taken
-- A therapist's booked times in a span, by the index of the constraint.
SELECT lower(during) AS starts, upper(during) AS ends FROM bookings
WHERE int8range(therapist, therapist, '[]') && int8range($1, $1, '[]') AND during && tstzrange($2, $3) AND status = 'booked'
ORDER BY 1;

-- name: booking_by_key
-- What was booked with this idempotency key.
SELECT id, wish_digest FROM bookings WHERE idempotency_key = $1;

-- name: service_of_clinic
-- Whether a clinic has this service.
SELECT EXISTS (SELECT FROM consultation_services WHERE id = $1 AND clinic = $2);

-- name: insert_booking
-- Hold a therapist's time; the constraint refuses one that is held.
INSERT INTO bookings (
    id, idempotency_key, wish_digest, token_digest, clinic, therapist, service, during, zone, name, contact,
    booked_at, cancel_until, remind_at, kept_until, policy_version
) VALUES ($1, $2, $3, $4, $5, $6, $7, tstzrange($8, $9), $10, $11, $12, $13, $14, $15, $16, $17);

-- name: appointment
-- A booking as it stands.
SELECT * FROM appointments WHERE id = $1;

-- name: clinic_appointments
-- A clinic's bookings that begin in a span, in their order.
SELECT * FROM appointments WHERE clinic = $1 AND starts_at >= $2 AND starts_at < $3 ORDER BY starts_at, id;

-- name: booking_by_token
-- Whose token this is.
SELECT id FROM bookings WHERE token_digest = $1;

-- name: lock_booking
-- Take a booking in hand.
SELECT id FROM bookings WHERE id = $1 AND ($2::text IS NULL OR clinic = $2) FOR UPDATE;

-- name: cancel_booking
-- Give the time back.
UPDATE bookings SET status = 'cancelled' WHERE id = $1;

-- name: refer_booking
-- When a booking was referred first: a repeat says the same time.
UPDATE bookings SET referred_at = coalesce(referred_at, $2) WHERE id = $1 RETURNING referred_at;

-- name: delete_bookings
-- Bookings that a clinic deletes, or whose case is erased.
DELETE FROM bookings WHERE id = any($1::uuid[]);

-- name: claim_reminders
-- Bookings whose reminder is due and of use, each for one process.
SELECT id FROM bookings
WHERE status = 'booked' AND remind_at <= $1 AND lower(during) > $1
ORDER BY remind_at LIMIT $2
FOR UPDATE SKIP LOCKED;

-- name: mark_reminded
-- They are not reminded of again.
UPDATE bookings SET remind_at = NULL WHERE id = any($1::uuid[]);

-- name: delete_expired_bookings
-- What was kept for long enough.
DELETE FROM bookings WHERE kept_until < $1;
