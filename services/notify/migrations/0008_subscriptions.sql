-- Clinics that have their feed sent to a webhook. What is sent stays in `feed`; a subscription is a place in it, its keys, and
-- what is known of the endpoint. The previous release does not know the table, and sends nothing from it.
CREATE TABLE subscriptions (
    clinic          text PRIMARY KEY CHECK (clinic ~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$'),
    url             text NOT NULL,
    ed25519_seed    bytea NOT NULL CHECK (octet_length(ed25519_seed) = 32),
    hmac_secret     bytea NOT NULL CHECK (octet_length(hmac_secret) >= 24),
    -- The cursor, a position of the feed: all up to here was taken, or was erased.
    xid             xid8 NOT NULL,
    id              bigint NOT NULL,
    enabled         boolean NOT NULL,
    disabled_reason text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    -- Which sender has the clinic's line in hand, and until when.
    lease           uuid,
    leased_until    timestamptz,
    failures        int NOT NULL DEFAULT 0 CHECK (failures >= 0), -- in a row
    failing_since   timestamptz,
    warned_hours    int NOT NULL DEFAULT 0,                       -- the last warning that was given of this failing
    -- What came of the last attempt; never the body of an answer.
    last_at         timestamptz,
    last_status     int,
    last_error      text,
    CHECK (enabled = (disabled_reason IS NULL))
);
