-- name: find_cursor
-- How far it was read or done.
SELECT value FROM cursors WHERE name = :name;

-- name: put_cursor
-- The newest word counts.
INSERT INTO cursors (name, value, updated_at) VALUES (:name, :value, :now)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
RETURNING name;
