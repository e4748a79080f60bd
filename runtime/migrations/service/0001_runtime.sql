-- What every service keeps: who may write, where each case stands, what was folded, what goes out, what failed.

-- One row per Kafka partition number. Locking it FOR UPDATE makes one writer per partition and service.
CREATE TABLE partitions (
    number int PRIMARY KEY
);

CREATE TABLE cases (
    case_ref   uuid PRIMARY KEY,
    partition  int NOT NULL,
    version    bigint NOT NULL,
    state      jsonb,
    waiting    jsonb NOT NULL DEFAULT '[]',
    sequences  jsonb NOT NULL DEFAULT '{}',
    parked     int NOT NULL DEFAULT 0,
    erased     boolean NOT NULL DEFAULT false,
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX cases_parked ON cases (case_ref) WHERE parked > 0;
-- Not by updated_at: an indexed column that changes at each update costs every index of the table (no HOT updates).
CREATE INDEX cases_waiting ON cases (case_ref) WHERE waiting <> '[]';

-- Inbox, audit log and the source of replays in one. The key begins with the case so that rows of one case lie together.
CREATE TABLE event_log (
    case_ref        uuid NOT NULL,
    source          text NOT NULL,
    id              text NOT NULL,
    type            text NOT NULL,
    topic           text NOT NULL,
    partition       int NOT NULL,
    "offset"        bigint NOT NULL,
    time            timestamptz NOT NULL,
    received_at     timestamptz NOT NULL DEFAULT now(),
    digest          bytea NOT NULL,
    case_version    bigint NOT NULL,
    retried_version bigint,
    result          text NOT NULL CHECK (result IN ('folded', 'waiting', 'rejected', 'ignored', 'parked', 'discarded')),
    policy_version  text NOT NULL,
    sequence        bigint,
    causation       text,
    traceparent     text,
    body            bytea,
    PRIMARY KEY (case_ref, source, id)
);

-- A row is promised here in the transaction that decided it, and deleted once the broker has acknowledged it.
CREATE TABLE outbox (
    id         bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    topic      text NOT NULL,
    case_ref   uuid NOT NULL,
    headers    text NOT NULL,
    -- The broker takes 1 MiB per record; headers and framing need the rest.
    value      bytea NOT NULL CHECK (octet_length(value) <= 1000000),
    created_at timestamptz NOT NULL DEFAULT now(),
    held       text
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX outbox_held ON outbox (topic, case_ref) WHERE held IS NOT NULL;

-- Records of a case whose handler failed for good, and those that queue behind them, in order.
CREATE TABLE parked (
    id         bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    case_ref   uuid NOT NULL,
    topic      text NOT NULL,
    partition  int NOT NULL,
    "offset"   bigint NOT NULL,
    recorded   timestamptz NOT NULL,
    key        bytea,
    value      bytea,
    headers    text NOT NULL,
    source     text NOT NULL,
    event_id   text NOT NULL,
    reason     text NOT NULL,
    parked_at  timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    resolution text CHECK (resolution IN ('retried', 'discarded')),
    resolution_reason text,
    UNIQUE (topic, partition, "offset")
);
CREATE INDEX parked_open ON parked (case_ref, id) WHERE resolved_at IS NULL;

-- Records that name no case that could be read.
CREATE TABLE dead_letter (
    topic       text NOT NULL,
    partition   int NOT NULL,
    "offset"    bigint NOT NULL,
    key         bytea,
    value       bytea,
    headers     text NOT NULL,
    reason      text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, "offset")
);
