-- Whom notify tells: the clinics' feed and mail, the employers' endpoints and deliveries, and the disclosure log.

-- What clinics read. `xid` orders rows by transaction: a reader is served only rows below the oldest running transaction,
-- so that one that commits late is never skipped (an id alone skips it).
CREATE TABLE feed (
    id       bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    xid      xid8 NOT NULL DEFAULT pg_current_xact_id(),
    clinic   text NOT NULL,
    case_ref uuid NOT NULL,
    source   text NOT NULL,
    event_id text NOT NULL,
    event    jsonb NOT NULL,
    UNIQUE (case_ref, source, event_id)
);
CREATE INDEX feed_read ON feed (clinic, xid, id);

CREATE TABLE clinics (
    clinic  text PRIMARY KEY,
    mailbox text NOT NULL
);

-- `held`: the clinic has no mailbox yet.
CREATE TABLE messages (
    id         bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    event_id   text NOT NULL,
    kind       text NOT NULL,
    clinic     text NOT NULL,
    case_ref   uuid NOT NULL,
    audience   text NOT NULL CHECK (audience IN ('worker', 'clinician')),
    subject    text NOT NULL,
    body       text NOT NULL,
    status     text NOT NULL CHECK (status IN ('pending', 'sent', 'failed', 'held')),
    attempts   int NOT NULL DEFAULT 0,
    due_at     timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at    timestamptz,
    UNIQUE (case_ref, event_id, kind)
);
CREATE INDEX messages_pending ON messages (due_at, id) WHERE status = 'pending';
CREATE INDEX messages_held ON messages (clinic) WHERE status = 'held';

-- One endpoint per employer: a webhook (url, keys) or a topic of its own.
CREATE TABLE endpoints (
    employer        text PRIMARY KEY CHECK (employer ~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$'),
    kind            text NOT NULL CHECK (kind IN ('webhook', 'kafka')),
    url             text,
    topic           text,
    ed25519_seed    bytea CHECK (octet_length(ed25519_seed) = 32),
    hmac_secret     bytea CHECK (octet_length(hmac_secret) >= 24),
    enabled         boolean NOT NULL DEFAULT true,
    disabled_reason text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CHECK ((kind = 'webhook') = (url IS NOT NULL AND ed25519_seed IS NOT NULL)),
    CHECK ((kind = 'kafka') = (topic IS NOT NULL))
);

-- What employers are to be told, and how far that is. A `lease` names the sender that has it in hand; a sender that was
-- killed loses its leases by time.
CREATE TABLE deliveries (
    id              bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    xid             xid8 NOT NULL DEFAULT pg_current_xact_id(),
    employer        text NOT NULL,
    case_ref        uuid NOT NULL,
    event_id        text NOT NULL,
    sequence        bigint NOT NULL CHECK (sequence >= 1),
    body            bytea NOT NULL,
    scopes          text[] NOT NULL,
    bases           text[] NOT NULL,
    occurred_at     timestamptz NOT NULL,
    traceparent     text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed', 'withheld')),
    reason          text,
    attempts        int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    lease           uuid,
    leased_until    timestamptz,
    delivered_at    timestamptz,
    UNIQUE (employer, event_id),
    UNIQUE (employer, case_ref, sequence)
);
CREATE INDEX deliveries_due ON deliveries (employer, next_attempt_at, id) WHERE status = 'pending';
CREATE INDEX deliveries_read ON deliveries (employer, xid, id);

-- What came of each attempt; never the body of an answer, which may hold anything.
CREATE TABLE delivery_attempts (
    id           bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    employer     text NOT NULL,
    event_id     text NOT NULL,
    number       int NOT NULL,
    started_at   timestamptz NOT NULL,
    duration_ms  int NOT NULL,
    status       int,
    outcome      text NOT NULL CHECK (outcome IN ('delivered', 'retry', 'permanent', 'gone')),
    error        text
);
CREATE INDEX delivery_attempts_of ON delivery_attempts (employer, event_id, number);

-- Who was told what, when, by which channel and on what legal basis. Append-only; it outlives the case
-- (45 CFR 164.528 gives the worker an accounting of six years).
CREATE TABLE disclosures (
    id           bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    employer     text NOT NULL,
    case_ref     uuid NOT NULL,
    event_id     text NOT NULL,
    sequence     bigint NOT NULL,
    channel      text NOT NULL CHECK (channel IN ('webhook', 'kafka', 'pull')),
    scopes       text[] NOT NULL,
    bases        text[] NOT NULL,
    body_sha256  bytea NOT NULL,
    disclosed_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (employer, event_id, channel)
);
CREATE INDEX disclosures_of_case ON disclosures (case_ref, id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the disclosure log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER disclosures_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON disclosures
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
