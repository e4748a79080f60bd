-- The caseload: a row per case, written by the folds. Everything else of a case is read from the event log.
CREATE TABLE caseload (
    case_ref         uuid PRIMARY KEY,
    clinic           text NOT NULL,
    worker_ref       text,
    job_title        text,
    phase            text NOT NULL CHECK (phase IN ('referred', 'declined', 'opened', 'in_program', 'closed')),
    week             int,
    total_weeks      int,
    verdict          text,
    risk             text NOT NULL CHECK (risk IN ('high', 'raised', 'low')),
    risk_reasons     text[] NOT NULL,
    escalated        boolean NOT NULL,
    readiness        text,
    awaits_signature boolean NOT NULL,
    outcome          text,
    last_event_at    timestamptz NOT NULL,
    rank             smallint NOT NULL,
    -- Microseconds before the epoch: so that the newest comes first in an ascending index, and a page begins by one comparison.
    age              bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX caseload_order ON caseload (clinic, rank, age, case_ref);
-- What a clinician filters by, each in the order of the page.
CREATE INDEX caseload_week ON caseload (clinic, week, rank, age, case_ref);
CREATE INDEX caseload_verdict ON caseload (clinic, verdict, rank, age, case_ref);
CREATE INDEX caseload_risk ON caseload (clinic, risk, rank, age, case_ref);
CREATE INDEX caseload_phase ON caseload (clinic, phase, rank, age, case_ref);

-- Who looked at which case. It outlives the case: who has seen what is asked when all else is gone.
CREATE TABLE views (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_ref uuid NOT NULL,
    clinic   text NOT NULL,
    who      text NOT NULL,
    role     text NOT NULL,
    what     text NOT NULL CHECK (what IN ('case', 'sign_off', 'preview', 'sign', 'employer')),
    at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX views_of_case ON views (case_ref, id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'who has seen a case is kept as it was written' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER views_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON views
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
