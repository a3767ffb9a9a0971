-- name: keep_installation
-- The newest word on an installation counts; one that was deleted stays so, since its number is never used again.
INSERT INTO installations (
    id, account, state, permissions, events, told_at, created_at, updated_at
) VALUES (
    :id, :account, :state, :permissions, :events, :told_at, :now, :now
)
ON CONFLICT (id) DO UPDATE SET
    account = excluded.account,
    state = excluded.state,
    permissions = excluded.permissions,
    events = excluded.events,
    told_at = excluded.told_at,
    updated_at = excluded.updated_at
WHERE
    installations.state <> 'deleted'
    AND (excluded.state = 'deleted' OR excluded.told_at >= installations.told_at);

-- name: keep_repository
-- The newest word on a repository counts; one that was deleted stays so.
INSERT INTO repositories (
    repository_key, installation_id, full_name, state, told_at, updated_at
) VALUES (
    :repository_key, :installation_id, :full_name, :state, :told_at, :now
)
ON CONFLICT (repository_key) DO UPDATE SET
    installation_id = coalesce(excluded.installation_id, repositories.installation_id),
    full_name = excluded.full_name,
    state = excluded.state,
    told_at = excluded.told_at,
    updated_at = excluded.updated_at
WHERE
    repositories.state <> 'deleted'
    AND (excluded.state = 'deleted' OR excluded.told_at >= repositories.told_at);

-- name: list_installations
-- All of them, the newest first.
SELECT
    i.id, i.account, i.state, i.permissions, i.events, i.created_at, i.updated_at, i.forget_at,
    (
        SELECT count(*) FROM repositories AS r
        WHERE r.installation_id = i.id AND r.state = 'present'
    ) AS repositories_count
FROM installations AS i
ORDER BY i.id DESC;

-- name: list_gone_tasks
-- Open work where covend has nothing to do any more; not asked, where nothing is gone.
SELECT
    t.*,
    CASE
        WHEN i.state = 'deleted' THEN 'installation_deleted'
        WHEN i.state = 'suspended' THEN 'installation_suspended'
        WHEN r.state = 'deleted' THEN 'repository_deleted'
        ELSE 'repository_removed'
    END AS gone
FROM tasks AS t INDEXED BY tasks_by_state
LEFT JOIN installations AS i ON i.id = t.installation_id
LEFT JOIN repositories AS r ON r.repository_key = t.repository_key
WHERE
    t.state IN ('received', 'queued', 'running')
    AND t.cancel_requested_at IS NULL
    AND (i.state IN ('suspended', 'deleted') OR r.state IN ('removed', 'deleted'))
    AND (
        EXISTS (SELECT 1 FROM installations AS n WHERE n.state IN ('suspended', 'deleted'))
        OR EXISTS (SELECT 1 FROM repositories AS n WHERE n.state IN ('removed', 'deleted'))
    )
LIMIT :limit;

-- name: find_gone
-- Whether covend has any business with a task that is about to be claimed: news of its installation may have come
-- before the task itself.
SELECT
    CASE
        WHEN i.state = 'deleted' THEN 'installation_deleted'
        WHEN i.state = 'suspended' THEN 'installation_suspended'
        WHEN r.state = 'deleted' THEN 'repository_deleted'
        ELSE 'repository_removed'
    END AS gone
FROM (SELECT :installation_id AS installation_id, :repository_key AS repository_key) AS t
LEFT JOIN installations AS i ON i.id = t.installation_id
LEFT JOIN repositories AS r ON r.repository_key = t.repository_key
WHERE i.state IN ('suspended', 'deleted') OR r.state IN ('removed', 'deleted');

-- name: cancel_gone_task
-- moves: received, queued -> cancelled
-- Its installation is suspended or deleted: whoever gave covend the work took it back.
UPDATE tasks SET
    state = 'cancelled',
    reason = :reason,
    cancel_requested_at = :now,
    cancel_reason = :reason,
    updated_at = :now,
    finished_at = :now
WHERE
    id = :id
    AND state IN ('received', 'queued')
    AND EXISTS (
        SELECT 1 FROM installations AS i
        WHERE i.id = tasks.installation_id AND i.state IN ('suspended', 'deleted')
    )
RETURNING *;

-- name: ignore_gone_task
-- moves: received, queued -> ignored
-- Its repository is not there any more, or not for covend: the work is pointless by now.
UPDATE tasks SET
    state = 'ignored',
    reason = :reason,
    superseded_by = NULL,
    updated_at = :now,
    finished_at = :now
WHERE
    id = :id
    AND state IN ('received', 'queued')
    AND EXISTS (
        SELECT 1 FROM repositories AS r
        WHERE r.repository_key = tasks.repository_key AND r.state IN ('removed', 'deleted')
    )
RETURNING *;

-- name: ask_to_forget
-- What is known of an installation is deleted from now on; also of one that its work alone tells of.
INSERT INTO installations (id, account, state, told_at, created_at, updated_at, forget_at)
SELECT
    :id,
    coalesce((
        SELECT substr(t.repository, 1, instr(t.repository, '/') - 1) FROM tasks AS t
        WHERE t.installation_id = :id AND t.repository IS NOT NULL
        LIMIT 1
    ), ''),
    'active', 0, :now, :now, :now
WHERE
    EXISTS (SELECT 1 FROM installations AS i WHERE i.id = :id)
    OR EXISTS (SELECT 1 FROM deliveries AS d WHERE d.installation_id = :id)
    OR EXISTS (SELECT 1 FROM tasks AS t WHERE t.installation_id = :id)
ON CONFLICT (id) DO UPDATE SET forget_at = :now, updated_at = :now
RETURNING id;

-- name: list_to_forget
-- Those that somebody asked to forget, or that were deleted long enough ago: all of what is gone, of one that lives
-- what was there when somebody asked.
SELECT id, state = 'deleted' AS is_gone, coalesce(forget_at, 0) AS asked_at FROM installations
WHERE forget_at IS NOT NULL OR (state = 'deleted' AND updated_at <= :before)
ORDER BY id;

-- name: list_forgotten_tasks
-- Some of an installation's tasks that have ended, and have nothing to show any more where it lives.
SELECT t.id FROM tasks AS t
WHERE
    t.installation_id = :installation_id
    AND t.state NOT IN ('received', 'queued', 'running')
    AND (
        :is_gone
        OR (
            t.created_at <= :asked_at
            AND NOT EXISTS (
                SELECT 1 FROM effects AS e
                WHERE e.task_id = t.id AND e.state IN ('pending', 'sending', 'unknown')
            )
        )
    )
LIMIT :limit;

-- name: has_tasks_to_forget
-- Whether anything of an installation that is to be forgotten has not ended yet, or is still to be shown.
SELECT EXISTS (
    SELECT 1 FROM tasks
    WHERE installation_id = :installation_id AND (:is_gone OR created_at <= :asked_at)
) AS is_so;

-- name: list_forgotten_deliveries
-- Some of an installation's deliveries; one whose work is kept stays with it.
SELECT d.id FROM deliveries AS d
WHERE
    d.installation_id = :installation_id
    AND (:is_gone OR d.received_at <= :asked_at)
    AND NOT EXISTS (
        SELECT 1 FROM delivery_tasks AS l INNER JOIN tasks AS t ON t.id = l.task_id
        WHERE l.delivery_id = d.id
    )
LIMIT :limit;

-- name: forget_effects
-- Before their tasks, which they point to.
DELETE FROM effects WHERE task_id IN (SELECT value FROM json_each(:tasks));

-- name: forget_answers
-- What answered commands there, and belongs to no task.
DELETE FROM effects
WHERE
    installation_id = :installation_id
    AND task_id IS NULL
    AND (:is_gone OR (created_at <= :asked_at AND state IN ('done', 'failed', 'withheld')));

-- name: forget_timelines
-- With their tasks.
DELETE FROM timeline WHERE task_id IN (SELECT value FROM json_each(:tasks));

-- name: forget_tasks
-- Their attempts go with them.
DELETE FROM tasks
WHERE
    id IN (SELECT value FROM json_each(:tasks))
    AND state NOT IN ('received', 'queued', 'running')
RETURNING id, attempts, repository_key;

-- name: forget_delivery_links
-- With their deliveries.
DELETE FROM delivery_tasks WHERE delivery_id IN (SELECT value FROM json_each(:deliveries));

-- name: forget_reruns
-- With the deliveries that told of them.
DELETE FROM reruns WHERE delivery_id IN (SELECT value FROM json_each(:deliveries));

-- name: forget_deliveries
-- Their bodies with them.
DELETE FROM deliveries WHERE id IN (SELECT value FROM json_each(:deliveries)) RETURNING id;

-- name: forget_commands
-- What was said there to covend itself.
DELETE FROM commands
WHERE installation_id = :installation_id AND (:is_gone OR (created_at <= :asked_at AND state <> 'received'));

-- name: forget_closings
-- What was closed in its repositories.
DELETE FROM closings WHERE repository_key IN (
    SELECT r.repository_key FROM repositories AS r WHERE r.installation_id = :installation_id
);

-- name: forget_turns
-- Whose turn it was.
DELETE FROM turns WHERE repository_key IN (
    SELECT r.repository_key FROM repositories AS r WHERE r.installation_id = :installation_id
);

-- name: forget_repositories
-- Their names.
DELETE FROM repositories WHERE installation_id = :installation_id RETURNING full_name;

-- name: forget_scoped_safeguards
-- What was counted under the name of a repository that is forgotten: after a colon or an @, and before a number.
DELETE FROM safeguards
WHERE instr('@' || replace(lower(scope), ':', '@') || '#', '@' || lower(:full_name) || '#') > 0;

-- name: forget_scoped_spending
-- What was spent under the name of a repository that is forgotten.
DELETE FROM spending
WHERE instr('@' || replace(lower(scope), ':', '@') || '#', '@' || lower(:full_name) || '#') > 0;

-- name: forget_installation
-- One that lives goes on, and only its past is gone.
DELETE FROM installations WHERE id = :id AND state = 'deleted' RETURNING id;

-- name: end_forgetting
-- One that lives goes on, and only its past is gone.
UPDATE installations SET forget_at = NULL, updated_at = :now WHERE id = :id;
