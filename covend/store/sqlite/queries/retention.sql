-- name: list_old_tasks
-- Some tasks that ended in one state and were made before a moment, the oldest first, each with whether it may go: it
-- ended long enough ago, nothing of it is still to be shown, and nothing that failed waits for somebody to have it
-- sent again.
SELECT
    t.id,
    t.finished_at <= :before AND NOT EXISTS (
        SELECT 1 FROM effects AS e INDEXED BY effects_by_task
        WHERE
            e.task_id = t.id
            AND (
                e.state IN ('pending', 'sending', 'unknown')
                OR (e.state = 'failed' AND t.finished_at > :failed_before)
            )
    ) AS is_old
FROM tasks AS t INDEXED BY tasks_by_state
WHERE t.state = :state AND t.id > :after AND t.id < :made_before
ORDER BY t.id
LIMIT :limit;

-- name: list_still_old_tasks
-- Once more, in the transaction that deletes them: somebody may have asked for one again.
SELECT t.id, t.attempts FROM tasks AS t
WHERE
    t.id IN (SELECT j.value FROM json_each(:tasks) AS j)
    AND t.state = :state
    AND t.finished_at <= :before
    AND NOT EXISTS (
        SELECT 1 FROM effects AS e INDEXED BY effects_by_task
        WHERE e.task_id = t.id AND e.state IN ('pending', 'sending', 'unknown')
    );

-- name: keep_places
-- The newest status comment of a rule on a subject stays known after its task, so that the next text is put there.
UPDATE effects SET task_id = NULL, request = CAST('{}' AS BLOB)
WHERE
    task_id IN (SELECT j.value FROM json_each(:tasks) AS j)
    AND state IN ('done')
    AND kind = 'comment'
    AND remote_id IS NOT NULL
    AND slot GLOB 'comment/*'
    AND NOT EXISTS (
        SELECT 1 FROM effects AS o INDEXED BY effects_by_slot
        WHERE
            o.slot = effects.slot
            AND o.id > effects.id
            AND o.state IN ('pending', 'sending', 'unknown', 'done')
            AND o.state IN ('done')
    );

-- name: list_old_answers
-- Some effects of no task, the oldest first, each with whether it may go.
SELECT
    e.id,
    e.state IN ('done', 'failed', 'withheld')
    AND e.done_at <= iif(e.slot GLOB 'comment/*', :places_before, :before) AS is_old
FROM effects AS e INDEXED BY effects_by_task
WHERE e.task_id IS NULL AND e.id > :after AND e.id < :made_before
ORDER BY e.id
LIMIT :limit;

-- name: delete_answers
-- What had come to its end.
DELETE FROM effects
WHERE
    id IN (SELECT j.value FROM json_each(:ids) AS j)
    AND task_id IS NULL
    AND state IN ('done', 'failed', 'withheld')
RETURNING id;

-- name: list_old_deliveries
-- Some deliveries in the order of their coming, each with whether it may go: nothing that is still open was asked for
-- by it.
SELECT
    d.number, d.id, d.received_at <= :before AS is_past,
    d.received_at <= :before
    AND d.state IN ('routed', 'ignored')
    AND NOT EXISTS (
        SELECT 1 FROM delivery_tasks AS l CROSS JOIN tasks AS t
        WHERE l.delivery_id = d.id AND t.id = l.task_id AND t.state IN ('received', 'queued', 'running')
    )
    AND NOT EXISTS (SELECT 1 FROM commands AS c WHERE c.delivery_id = d.id AND c.state = 'received')
    AND NOT EXISTS (SELECT 1 FROM reruns AS r WHERE r.delivery_id = d.id AND r.state = 'received') AS is_old
FROM deliveries AS d
WHERE d.number > :after
ORDER BY d.number
LIMIT :limit;

-- name: delete_deliveries
-- With their bodies, where nobody has asked for a task of theirs again meanwhile.
DELETE FROM deliveries
WHERE
    id IN (SELECT j.value FROM json_each(:ids) AS j)
    AND NOT EXISTS (
        SELECT 1 FROM delivery_tasks AS l CROSS JOIN tasks AS t
        WHERE l.delivery_id = deliveries.id AND t.id = l.task_id AND t.state IN ('received', 'queued', 'running')
    )
RETURNING id;

-- name: delete_commands
-- What was attended to, some at a time, the oldest first.
DELETE FROM commands
WHERE delivery_id IN (
    SELECT c.delivery_id FROM commands AS c INDEXED BY commands_done
    WHERE c.done_at IS NOT NULL AND c.done_at <= :before
    ORDER BY c.done_at
    LIMIT :limit
)
RETURNING delivery_id AS id;

-- name: delete_reruns
-- What was attended to, some at a time, the oldest first.
DELETE FROM reruns
WHERE delivery_id IN (
    SELECT r.delivery_id FROM reruns AS r INDEXED BY reruns_done
    WHERE r.done_at IS NOT NULL AND r.done_at <= :before
    ORDER BY r.done_at
    LIMIT :limit
)
RETURNING delivery_id AS id;

-- name: delete_closings
-- No delivery that is kept is older than these.
DELETE FROM closings
WHERE (repository_key, number) IN (
    SELECT c.repository_key, c.number FROM closings AS c INDEXED BY closings_by_age
    WHERE c.closed_at <= :before
    ORDER BY c.closed_at
    LIMIT :limit
)
RETURNING number AS id;

-- name: delete_audit
-- The oldest rows, whose numbers rise with their moments.
DELETE FROM audit
WHERE
    number IN (SELECT a.number FROM audit AS a ORDER BY a.number LIMIT :limit)
    AND at <= :before
RETURNING number AS id;

-- name: delete_cursors
-- How far lists were read that nobody reads any more, and what was forgotten so long ago that nothing outside tells
-- of it; a schedule's stays, however seldom it ticks.
DELETE FROM cursors
WHERE
    name IN (
        SELECT c.name FROM cursors AS c
        WHERE
            ((c.name >= 'reconcile/' AND c.name < 'reconcile0') OR (c.name >= 'forgotten/' AND c.name < 'forgotten0'))
            AND c.name <> 'reconcile/begun'
            AND c.updated_at <= :before
        LIMIT :limit
    )
RETURNING name AS id;

-- name: delete_turns
-- Of those who had their turn longest ago, all beyond a number: with nothing in the queue they lose nothing.
DELETE FROM turns
WHERE
    repository_key IN (
        SELECT n.repository_key FROM turns AS n INDEXED BY turns_by_turn
        WHERE n.turn <= (SELECT m.turn FROM turns AS m INDEXED BY turns_by_turn ORDER BY m.turn DESC LIMIT 1 OFFSET :kept)
        ORDER BY n.turn
        LIMIT :limit
    )
    AND NOT EXISTS (
        SELECT 1 FROM tasks AS t INDEXED BY tasks_queued
        WHERE t.state = 'queued' AND t.repository_key = turns.repository_key
    )
RETURNING repository_key AS id;

-- name: list_open_among
-- Which of some tasks have not ended.
SELECT t.id FROM tasks AS t
WHERE
    t.id IN (SELECT j.value FROM json_each(:tasks) AS j)
    AND t.state IN ('received', 'queued', 'running');
