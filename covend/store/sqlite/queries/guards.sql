-- name: list_safeguards
-- All that have something to say; what is at rest has no row.
SELECT * FROM safeguards ORDER BY id;

-- name: find_safeguards
-- Those that a decision asks for by their ids.
SELECT * FROM safeguards WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY id;

-- name: put_safeguards
-- What they say now; since when they have been here at all, stays.
INSERT INTO safeguards (
    id, kind, scope, state, reason, until_at, details, created_at, updated_at
) VALUES :each
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state,
    reason = excluded.reason,
    until_at = excluded.until_at,
    details = excluded.details,
    updated_at = excluded.updated_at
RETURNING *;

-- name: remove_safeguards
-- Back to rest.
DELETE FROM safeguards WHERE id IN (SELECT value FROM json_each(:ids)) RETURNING *;

-- name: remove_resting_safeguards
-- What holds nothing and has not changed for long, some at a time: a row for each subject would be kept for good.
-- What only somebody may lift (pauses, blocks, a subject's budget), and what a probe is at, is none of these.
DELETE FROM safeguards
WHERE
    id IN (
        SELECT g.id FROM safeguards AS g INDEXED BY safeguards_by_change
        WHERE
            g.state IN ('counting', 'closed', 'suppressed', 'holding')
            AND g.updated_at <= :changed_before
            AND (g.until_at <= :now OR (g.until_at IS NULL AND g.state <> 'holding'))
        LIMIT :limit
    )
RETURNING id;

-- name: nth_start
-- When the newest starts of a scope but so many were made: a rate is counted from the attempts themselves, so a
-- task that was held back uses up nothing of it.
SELECT a.started_at AS at
FROM attempts AS a INDEXED BY attempts_by_start CROSS JOIN tasks AS t
WHERE
    a.started_at > :after
    AND t.id = a.task_id
    AND (:key IS NULL OR t.key = :key)
    AND (:rule IS NULL OR t.rule = :rule)
    AND (:agent IS NULL OR a.agent = :agent)
    AND (:actor IS NULL OR t.actor = :actor)
    AND (:repository_key IS NULL OR t.repository_key = :repository_key)
    AND (:subject_number IS NULL OR t.subject_number = :subject_number)
    AND (:installation_id IS NULL OR t.installation_id = :installation_id)
ORDER BY a.started_at DESC
LIMIT 1 OFFSET :skip;
