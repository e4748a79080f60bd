-- How it went after the program: a row per case that completed it and month at which it is asked, written by the folds.
-- What nobody has recorded is null.
CREATE TABLE follow_ups (
    case_ref  uuid NOT NULL,
    clinic    text NOT NULL,
    month     smallint NOT NULL,
    due_on    date NOT NULL,
    -- From this day on the next month is asked instead.
    lapses_on date NOT NULL,
    -- Signed ready, in full or with restrictions.
    returned  boolean NOT NULL,
    as_of     date,
    working   text,
    reinjured text,
    PRIMARY KEY (case_ref, month)
);
-- Whom to ask, in the order of the page; and what is counted by clinic.
CREATE INDEX follow_ups_open ON follow_ups (clinic, due_on, case_ref, month) WHERE working IS NULL;
CREATE INDEX follow_ups_of_clinic ON follow_ups (clinic, month);
