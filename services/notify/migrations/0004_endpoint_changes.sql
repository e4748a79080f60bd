-- A change of an endpoint's URL or keys is proposed by one operator and approved by another; keys overlap while an employer
-- changes over. The previous release signs with the keys of `endpoints` alone, which stay the ones that are in force.
ALTER TABLE endpoints
    ADD COLUMN previous_seed   bytea CHECK (octet_length(previous_seed) = 32),
    ADD COLUMN previous_secret bytea CHECK (octet_length(previous_secret) >= 24),
    ADD COLUMN previous_until  timestamptz;

CREATE TABLE endpoint_changes (
    id           bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    employer     text NOT NULL,
    what         text NOT NULL CHECK (what IN ('url', 'key', 'leaked_key')),
    url          text,
    ed25519_seed bytea CHECK (octet_length(ed25519_seed) = 32),
    hmac_secret  bytea CHECK (octet_length(hmac_secret) >= 24),
    status       text NOT NULL DEFAULT 'proposed' CHECK (status IN ('proposed', 'applied', 'replaced')),
    proposed_by  text NOT NULL,
    proposed_at  timestamptz NOT NULL DEFAULT now(),
    approved_by  text,
    approved_at  timestamptz,
    CHECK (approved_by <> proposed_by),
    CHECK ((status = 'applied') = (approved_by IS NOT NULL))
);
-- What is approved is what was seen: a new proposal replaces the old one and has another number.
CREATE UNIQUE INDEX endpoint_changes_proposed ON endpoint_changes (employer) WHERE status = 'proposed';
