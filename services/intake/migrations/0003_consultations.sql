-- What anybody may look at. The documents are read strictly at the doors; no patient is in them.
CREATE TABLE consultation_services (
    id      uuid PRIMARY KEY,
    clinic  text NOT NULL,
    profile jsonb NOT NULL
);
CREATE TABLE therapists (
    id      uuid PRIMARY KEY,
    number  bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    clinic  text NOT NULL,
    profile jsonb NOT NULL,
    hours   jsonb
);

-- Who has booked. Name and contact are a patient's data: they go when `kept_until` is over, when the clinic deletes the
-- booking, or when the case that it became is erased. `id` is the reference of that case.
CREATE TABLE bookings (
    id              uuid PRIMARY KEY,
    idempotency_key bytea NOT NULL UNIQUE,
    wish_digest     bytea NOT NULL,
    token_digest    bytea NOT NULL UNIQUE,
    clinic          text NOT NULL,
    therapist       bigint NOT NULL REFERENCES therapists (number),
    service         uuid REFERENCES consultation_services (id),
    during          tstzrange NOT NULL,
    status          text NOT NULL DEFAULT 'booked' CHECK (status IN ('booked', 'cancelled')),
    zone            text NOT NULL,
    name            text NOT NULL,
    contact         text NOT NULL,
    booked_at       timestamptz NOT NULL,
    cancel_until    timestamptz NOT NULL,
    remind_at       timestamptz,
    kept_until      timestamptz NOT NULL,
    referred_at     timestamptz,
    policy_version  text NOT NULL,
    -- The range of one number overlaps that number's only: `WITH =` would need the extension btree_gist, and a role that
    -- may create it (ADR 22).
    CONSTRAINT a_therapist_is_with_one_person EXCLUDE USING gist (
        int8range(therapist, therapist, '[]') WITH &&, during WITH &&
    ) WHERE (status = 'booked')
);
CREATE INDEX bookings_of_clinic ON bookings (clinic, lower(during));
CREATE INDEX bookings_to_remind ON bookings (remind_at) WHERE status = 'booked' AND remind_at IS NOT NULL;
CREATE INDEX bookings_kept ON bookings (kept_until);

CREATE VIEW appointments AS
SELECT b.id, b.clinic, t.id AS therapist, t.profile ->> 'name' AS therapist_name, t.profile ->> 'place' AS place,
       t.profile ->> 'telephone' AS telephone, b.service, lower(b.during) AS starts_at, upper(b.during) AS ends_at, b.status,
       b.zone, b.name, b.contact, b.booked_at, b.cancel_until, b.referred_at, b.policy_version
FROM bookings b JOIN therapists t ON t.number = b.therapist;
