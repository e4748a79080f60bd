-- name: clinic_silence
-- Seconds since each clinic with open cases was last heard, of the 200 that have been silent longest.
SELECT clinic, extract(epoch FROM now() - heard_at)::float8 FROM clinics_heard h
WHERE EXISTS (SELECT FROM caseload c WHERE c.clinic = h.clinic AND c.open)
ORDER BY heard_at LIMIT 200
