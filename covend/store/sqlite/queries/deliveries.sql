-- name: look_before_keeping
-- All that a batch must know before it writes, in one look: what has come before under its id or with the very
-- same body (`known`), which tasks hold the wanted keys (`holder`), on which head a rule's newest task is (`rival`),
-- whether a subject was closed (`closing`), and how full the queue is (`open`).
WITH incoming (id, event, body_sha256, key, repository_key, subject_number, rule) AS (VALUES :each)

SELECT
    'known' AS what, d.id, d.event, d.body_sha256, d.state, d.reason, NULL AS key, NULL AS generation,
    NULL AS is_doomed, NULL AS repository_key, NULL AS subject_number, NULL AS rule, NULL AS head_sha,
    NULL AS before_sha, NULL AS at, 0 AS count
FROM incoming AS i INNER JOIN deliveries AS d ON d.id = i.id
UNION ALL
SELECT
    'known', d.id, d.event, d.body_sha256, d.state, d.reason, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0
FROM incoming AS i INNER JOIN deliveries AS d
    ON d.body_sha256 = i.body_sha256 AND d.event = i.event
WHERE d.via = 'webhook' AND d.source = 'github'
UNION ALL
SELECT
    'holder', t.id, NULL, NULL, t.state, NULL, t.key, t.generation,
    t.superseded_by IS NOT NULL OR t.cancel_requested_at IS NOT NULL OR t.reason = 'closed',
    NULL, NULL, NULL, NULL, NULL, NULL, 0
FROM incoming AS i CROSS JOIN tasks AS t INDEXED BY task_one_per_key
WHERE t.key = i.key AND t.state IN ('received', 'queued', 'running', 'completed')
UNION ALL
SELECT
    'rival', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, t.repository_key, t.subject_number, t.rule, t.head_sha,
    t.before_sha, t.subject_updated_at, 0
FROM incoming AS i CROSS JOIN tasks AS t
WHERE
    t.rowid = (
        SELECT n.rowid FROM tasks AS n INDEXED BY tasks_by_subject
        WHERE
            n.repository_key = i.repository_key
            AND n.subject_number = i.subject_number
            AND n.rule = i.rule
            AND n.is_by_head = 1
            AND n.subject_updated_at IS NOT NULL
        ORDER BY n.id DESC
        LIMIT 1
    )
UNION ALL
SELECT
    'closing', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, c.repository_key, c.number, NULL, NULL, NULL,
    c.closed_at, 0
FROM incoming AS i CROSS JOIN closings AS c
WHERE c.repository_key = i.repository_key AND c.number = i.subject_number
UNION ALL
SELECT
    'open', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    (SELECT count(*) FROM tasks WHERE state = 'received')
    + (SELECT count(*) FROM tasks WHERE state = 'queued');

-- name: count_repetitions
-- A repetition leaves a count on the first delivery and nothing else.
UPDATE deliveries SET duplicates = duplicates + :count WHERE id = :id;

-- name: insert_deliveries
-- All deliveries of a batch in one statement: a call for each costs more than the disk does.
INSERT INTO deliveries (
    id, source, via, event, action, installation_id, repository_id, repository, sender,
    received_at, body_sha256, headers, verdicts, state, reason, body
) VALUES :each;

-- name: link_deliveries
-- Which tasks a delivery asked for, new ones and those that were there already.
INSERT INTO delivery_tasks (delivery_id, task_id, reason) VALUES :each
ON CONFLICT (delivery_id, task_id) DO NOTHING;

-- name: hasten_checks
-- One more check of a head is in: what waits for all of them is looked at now, not when its time comes. The touch
-- alone, of another moment than the last, tells it to a look that is under way.
UPDATE tasks SET
    not_before_at = iif(reason = 'checks_pending', min(not_before_at, :now), not_before_at),
    updated_at = max(updated_at + 1, :now)
WHERE id IN (SELECT t.value FROM json_each(:tasks) AS t) AND state = 'received';

-- name: supersede_tasks
-- moves: received, queued -> superseded
-- What has never run ends at once when a task on a newer head of its rule and subject takes its place.
UPDATE tasks INDEXED BY tasks_by_subject SET
    state = 'superseded',
    reason = 'superseded',
    superseded_by = n.value ->> 'task',
    updated_at = n.value ->> 'now',
    finished_at = n.value ->> 'now'
FROM json_each(:newer) AS n
WHERE
    tasks.repository_key = n.value ->> 'repository_key'
    AND tasks.subject_number = n.value ->> 'number'
    AND tasks.rule = n.value ->> 'rule'
    AND tasks.is_by_head = 1
    AND tasks.head_sha IS NOT n.value ->> 'head_sha'
    AND tasks.state IN ('received', 'queued')
    AND tasks.attempts = 0
RETURNING tasks.id, tasks.rule, tasks.repository, tasks.state, tasks.superseded_by;

-- name: overtake_tasks
-- The wish that no late write passes: what runs, what waits to be tried again (nobody claims it any more), and what
-- is done and not known to be published, is to end superseded.
UPDATE tasks INDEXED BY tasks_by_subject SET
    superseded_by = n.value ->> 'task',
    updated_at = n.value ->> 'now'
FROM json_each(:newer) AS n
WHERE
    tasks.repository_key = n.value ->> 'repository_key'
    AND tasks.subject_number = n.value ->> 'number'
    AND tasks.rule = n.value ->> 'rule'
    AND tasks.is_by_head = 1
    AND tasks.head_sha IS NOT n.value ->> 'head_sha'
    AND tasks.superseded_by IS NULL
    AND tasks.cancel_requested_at IS NULL
    AND (
        tasks.state IN ('running')
        OR (tasks.state IN ('queued') AND tasks.attempts > 0)
        OR (
            tasks.state IN ('completed')
            AND EXISTS (
                SELECT 1 FROM effects AS e INDEXED BY effects_by_task
                WHERE
                    e.task_id = tasks.id
                    AND e.state IN ('pending', 'sending', 'unknown')
                    AND e.kind IN ('comment', 'review', 'pull_request', 'labels', 'dismissal')
            )
        )
    )
RETURNING tasks.id, tasks.state, tasks.superseded_by;

-- name: keep_closings
-- When subjects were last closed: what is older starts nothing on them.
INSERT INTO closings (repository_key, number, closed_at) VALUES :each
ON CONFLICT (repository_key, number) DO UPDATE SET closed_at = excluded.closed_at;

-- name: close_tasks
-- moves: received, queued -> cancelled
-- What has never run ends at once when its subject is closed; what was asked for by the closing itself stays, and
-- so does what came later. Of a task that tells no moment of its subject, its own counts, less what it may have been
-- under way: a closing may be told late, or once more, when the subject is long open again.
UPDATE tasks INDEXED BY tasks_by_subject SET
    state = 'cancelled',
    reason = 'closed',
    cancel_requested_at = c.value ->> 'now',
    cancel_reason = 'closed',
    updated_at = c.value ->> 'now',
    finished_at = c.value ->> 'now'
FROM json_each(:closings) AS c
WHERE
    tasks.repository_key = c.value ->> 'repository_key'
    AND tasks.subject_number = c.value ->> 'number'
    AND coalesce(tasks.subject_updated_at, tasks.created_at - :delay) <= c.value ->> 'closed_at'
    AND tasks.id NOT IN (SELECT s.value FROM json_each(c.value, '$.spared') AS s)
    AND tasks.state IN ('received', 'queued')
    AND tasks.attempts = 0
RETURNING tasks.id, tasks.rule, tasks.repository, tasks.state, tasks.repository_key, tasks.subject_number;

-- name: wish_closed
-- The wish to end what runs on a subject that was closed; it is not the first one where there is one already.
UPDATE tasks INDEXED BY tasks_by_subject SET
    cancel_requested_at = c.value ->> 'now',
    cancel_reason = 'closed',
    updated_at = c.value ->> 'now'
FROM json_each(:closings) AS c
WHERE
    tasks.repository_key = c.value ->> 'repository_key'
    AND tasks.subject_number = c.value ->> 'number'
    AND coalesce(tasks.subject_updated_at, tasks.created_at - :delay) <= c.value ->> 'closed_at'
    AND tasks.id NOT IN (SELECT s.value FROM json_each(c.value, '$.spared') AS s)
    AND tasks.state IN ('running')
    AND tasks.superseded_by IS NULL
    AND tasks.cancel_requested_at IS NULL
RETURNING tasks.id, tasks.repository_key, tasks.subject_number;

-- name: withdraw_closed
-- What waits to be tried again on a closed subject: nobody claims it any more, and its end is shown apart.
UPDATE tasks INDEXED BY tasks_by_subject SET
    reason = 'closed',
    not_before_at = :forever,
    updated_at = c.value ->> 'now'
FROM json_each(:closings) AS c
WHERE
    tasks.repository_key = c.value ->> 'repository_key'
    AND tasks.subject_number = c.value ->> 'number'
    AND coalesce(tasks.subject_updated_at, tasks.created_at - :delay) <= c.value ->> 'closed_at'
    AND tasks.id NOT IN (SELECT s.value FROM json_each(c.value, '$.spared') AS s)
    AND tasks.state IN ('queued')
    AND tasks.attempts > 0
    AND tasks.superseded_by IS NULL
RETURNING tasks.repository_key, tasks.subject_number;

-- name: find_delivery_tasks
-- The tasks of some deliveries.
SELECT delivery_id, task_id, reason FROM delivery_tasks
WHERE delivery_id IN (SELECT value FROM json_each(:ids))
ORDER BY task_id;

-- name: list_deliveries
-- A page of deliveries, newest first, from below the cursor.
SELECT
    number, id, source, via, event, action, installation_id, repository_id, repository, sender,
    state, reason, received_at, hex(body_sha256) AS body_sha256, duplicates
FROM deliveries
WHERE
    number < :cursor
    AND (:state IS NULL OR state = :state)
    AND (:event IS NULL OR event = :event)
    AND (:repository IS NULL OR repository = :repository)
ORDER BY number DESC
LIMIT :limit;

-- name: find_delivery
-- One delivery with everything that came with it.
SELECT
    number, id, source, via, event, action, installation_id, repository_id, repository, sender,
    state, reason, received_at, hex(body_sha256) AS body_sha256, duplicates, body, headers, verdicts
FROM deliveries
WHERE id = :id;

-- name: list_unknown_deliveries
-- Which of some ids nobody has kept yet, by the index of ids alone.
SELECT i.value AS id
FROM json_each(:ids) AS i
WHERE NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.id = i.value);

-- name: list_recent_hooks
-- The webhooks of repositories, as the newest deliveries name them: without an App nobody else tells.
SELECT
    n.repository,
    n.headers ->> '$."x-github-hook-id"' AS hook,
    max(n.number) AS newest
FROM (
    SELECT d.number, d.repository, d.source, CAST(d.headers AS TEXT) AS headers
    FROM deliveries AS d
    ORDER BY d.number DESC
    LIMIT :limit
) AS n
WHERE
    n.source = 'github'
    AND n.repository IS NOT NULL
    AND n.headers ->> '$."x-github-hook-installation-target-type"' = 'repository'
    AND n.headers ->> '$."x-github-hook-id"' GLOB '[1-9]*'
    AND n.headers ->> '$."x-github-hook-id"' NOT GLOB '*[^0-9]*'
    AND length(n.headers ->> '$."x-github-hook-id"') < 19
GROUP BY hook
ORDER BY newest DESC;

-- name: save_policy
-- A policy is kept once under its own hash, before any task can point to it.
INSERT INTO policies (sha256, body, created_at) VALUES (:sha256, :body, :now)
ON CONFLICT (sha256) DO NOTHING;

-- name: find_policy
-- The settings that a task was routed by.
SELECT body FROM policies WHERE sha256 = :sha256;
