-- A clinician's key is bound to the clinic whose cases they see at the console. The role of that name, which never opened
-- anything, is no longer issued; keys of it stay in the table and stay shut out.
ALTER TABLE api_keys DROP CONSTRAINT api_keys_kind_check;
ALTER TABLE api_keys ADD CONSTRAINT api_keys_kind_check CHECK (kind IN ('clinic', 'clinician', 'employer', 'role'));
