-- When a clinic was last heard, to the minute: one that falls silent while it has open cases is told of by /metrics.
CREATE TABLE clinics_heard (
    clinic   text PRIMARY KEY,
    heard_at timestamptz NOT NULL
);
INSERT INTO clinics_heard SELECT substr(source, length('/clinics/') + 1), max(received_at) FROM receipts GROUP BY source;
