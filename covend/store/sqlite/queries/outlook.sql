-- name: count_running
-- How many attempts run, by everything that a limit counts.
SELECT agent, repository_key, installation_id, count(*) AS count
FROM tasks
WHERE state = 'running'
GROUP BY agent, repository_key, installation_id;

-- name: list_on_older_heads
-- What would end for a task on a newer head of its rule and subject: the same rows that `supersede_tasks` and
-- `overtake_tasks` take while they wait or run.
SELECT id FROM tasks INDEXED BY tasks_by_subject
WHERE
    repository_key = :repository_key
    AND subject_number = :number
    AND rule = :rule
    AND is_by_head = 1
    AND head_sha IS NOT :head_sha
    AND state IN ('received', 'queued', 'running')
    AND superseded_by IS NULL
    AND cancel_requested_at IS NULL
ORDER BY id;

-- name: find_task_state
-- How a task stands that holds a key.
SELECT state, generation FROM tasks WHERE id = :id;

-- name: is_key_running
-- Whether the same work runs now.
SELECT 1 FROM tasks WHERE key = :key AND state = 'running' LIMIT 1;

-- name: list_numbers_before
-- The way back in time, some steps at once: deliveries have no order by moment but their own.
SELECT number, received_at FROM deliveries WHERE number < :cursor ORDER BY number DESC LIMIT :limit;

-- name: list_past_deliveries
-- Deliveries with all that came with them, oldest first, from behind the cursor.
SELECT
    number, id, source, via, event, action, installation_id, repository_id, repository, sender,
    state, reason, received_at, hex(body_sha256) AS body_sha256, duplicates, body, headers, verdicts
FROM deliveries
WHERE number > :cursor
ORDER BY number
LIMIT :limit;

-- name: list_rules_started
-- Which rules some deliveries have asked for work, and whether the task was made for that or was there already; of a
-- task that is deleted by now, no rule is known.
SELECT d.delivery_id, d.task_id, d.reason, t.rule, t.delivery_id = d.delivery_id AS is_new
FROM delivery_tasks AS d
LEFT JOIN tasks AS t ON t.id = d.task_id
WHERE d.delivery_id IN (SELECT value FROM json_each(:ids));
