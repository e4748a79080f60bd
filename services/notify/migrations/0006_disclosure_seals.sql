-- Seals chain the disclosures of each employer by hashes (docs/adr/0017-disclosures-are-chained.md). They stand beside the
-- log, which stays append-only, and are so themselves. What was disclosed before this release is sealed by the first
-- sealer that starts; the previous release goes on writing disclosures, which are sealed when a sealer sees them.
CREATE TABLE disclosure_seals (
    employer      text NOT NULL,
    number        bigint NOT NULL CHECK (number >= 1),
    disclosure_id bigint NOT NULL UNIQUE,
    sealed_at     timestamptz NOT NULL,
    hash          bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (employer, number)
);
CREATE TRIGGER disclosure_seals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON disclosure_seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What did not hold when it was looked at last. Of a row that is as it was sealed again the fault goes away; that a chain
-- is another than it was (`rewritten`) stays until the owner takes it away.
CREATE TABLE disclosure_faults (
    employer      text NOT NULL,
    number        bigint NOT NULL,
    disclosure_id bigint,
    what          text NOT NULL CHECK (what IN ('changed', 'row_missing', 'seal_missing', 'rewritten')),
    found_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (employer, number)
);
