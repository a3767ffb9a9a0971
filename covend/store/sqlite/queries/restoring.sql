-- name: doubt_all_pending
-- What waited to be sent when the backup was made may have left since: it is looked for before it is sent. Callbacks
-- are sent again under their own ids, by which their receivers know them.
UPDATE effects INDEXED BY effects_open SET sent_at = :now
WHERE
    state IN ('pending', 'sending', 'unknown')
    AND state IN ('pending')
    AND kind <> 'callback'
    AND sent_at IS NULL
RETURNING id;

-- name: note_restore
-- From which moment on the store knows all again: what is older may have gone on without being known here.
INSERT INTO cursors (name, value, updated_at) VALUES ('restored', :lost, :now)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at;

-- name: count_to_recover
-- What was under way when the backup was made, and is recovered at the next start as after a crash.
SELECT
    (SELECT count(*) FROM tasks WHERE state = 'running') AS tasks,
    (SELECT count(*) FROM effects WHERE state IN ('sending', 'unknown') AND kind <> 'callback') AS effects;
