-- name: store_templates
-- Store or replace the templates of one import.
INSERT INTO demand_templates (soc_code, title, template)
SELECT n.soc_code, n.title, n.template::jsonb FROM unnest($1::text[], $2::text[], $3::text[]) AS n (soc_code, title, template)
ON CONFLICT (soc_code) DO UPDATE SET title = excluded.title, template = excluded.template, imported_at = now();

-- name: find_templates
-- Templates whose title contains the text or whose code begins with it.
SELECT template::text AS template FROM demand_templates
WHERE position(lower($1) IN lower(title)) > 0 OR starts_with(soc_code, $1)
ORDER BY title LIMIT 50;

-- name: list_templates
-- The whole library.
SELECT template::text AS template FROM demand_templates ORDER BY title;

-- name: get_templates
-- The templates with these codes.
SELECT template::text AS template FROM demand_templates WHERE soc_code = ANY($1::text[]);
