-- API keys: 256 random bits, kept as a SHA-256 beside a prefix to look it up by.
CREATE TABLE api_keys (
    prefix     text PRIMARY KEY,
    hash       bytea NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('clinic', 'employer', 'role')),
    name       text NOT NULL,
    issued_at  timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX api_keys_bearer ON api_keys (kind, name);
