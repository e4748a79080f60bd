-- What the front door has taken in. No patient data: the digest is keyed, the body is in Kafka.
CREATE TABLE receipts (
    source      text NOT NULL,
    id          text NOT NULL,
    digest      bytea NOT NULL,
    case_ref    uuid NOT NULL,
    type        text NOT NULL,
    status      text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'accepted', 'rejected')),
    reason      jsonb CHECK ((reason IS NOT NULL) = (status = 'rejected')),
    topic       text,
    partition   integer,
    "offset"    bigint,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, id)
);

-- The clinics' open cases; closing a day for all of them is expanded from here.
CREATE TABLE caseload (
    case_ref uuid PRIMARY KEY,
    clinic   text NOT NULL,
    open     boolean NOT NULL
);
CREATE INDEX caseload_open ON caseload (clinic, case_ref) WHERE open;

-- Draft job demand profiles from occupational survey figures.
CREATE TABLE demand_templates (
    soc_code    text PRIMARY KEY,
    title       text NOT NULL,
    template    jsonb NOT NULL,
    imported_at timestamptz NOT NULL DEFAULT now()
);
