-- What a key's life leaves behind: when it was last used, what follows it, why it was revoked. A release that does not
-- know the columns goes on beside them.
ALTER TABLE api_keys
    ADD COLUMN last_used_on   date,
    ADD COLUMN replaced_by    text REFERENCES api_keys (prefix),
    ADD COLUMN revoked_reason text;
COMMENT ON COLUMN api_keys.last_used_on IS 'by day (UTC), so that a request does not cost a write each';
