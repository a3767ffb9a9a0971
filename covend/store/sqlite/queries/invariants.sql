-- name: fault_running_attempt
-- A running task is in exactly one open attempt, which carries its claim.
SELECT 'task ' || t.id AS what FROM tasks AS t
WHERE
    t.state = 'running'
    AND (
        SELECT count(*) FROM attempts AS a
        WHERE a.task_id = t.id AND a.outcome IS NULL AND a.claim = t.claim
    ) <> 1
LIMIT :limit;

-- name: fault_open_attempt
-- An open attempt is that of a running task.
SELECT 'attempt ' || a.task_id || '/' || a.number AS what
FROM attempts AS a LEFT JOIN tasks AS t ON t.id = a.task_id
WHERE a.outcome IS NULL AND t.state IS NOT 'running'
LIMIT :limit;

-- name: fault_attempt_count
-- A task has as many attempts as it says.
SELECT 'task ' || t.id AS what FROM tasks AS t
WHERE t.attempts <> (SELECT count(*) FROM attempts AS a WHERE a.task_id = t.id)
LIMIT :limit;

-- name: fault_held_key
-- One task holds a key and generation.
SELECT 'key ' || t.key || ' (generation ' || t.generation || ')' AS what FROM tasks AS t
WHERE t.state IN ('received', 'queued', 'running', 'completed')
GROUP BY t.key, t.generation
HAVING count(*) > 1
LIMIT :limit;

-- name: fault_running_key
-- Two generations of one piece of work never run at once.
SELECT 'key ' || t.key AS what FROM tasks AS t
WHERE t.state = 'running'
GROUP BY t.key
HAVING count(*) > 1
LIMIT :limit;

-- name: fault_states
-- Every state is one of the tables of states.
SELECT n.what FROM (
    SELECT 'delivery ' || d.id || ' is ' || d.state AS what FROM deliveries AS d
    WHERE d.state NOT IN (SELECT j.value FROM json_each(:delivery_states) AS j)
    UNION ALL
    SELECT 'task ' || t.id || ' is ' || t.state FROM tasks AS t
    WHERE t.state NOT IN (SELECT j.value FROM json_each(:task_states) AS j)
    UNION ALL
    SELECT 'effect ' || e.id || ' is ' || e.state FROM effects AS e
    WHERE e.state NOT IN (SELECT j.value FROM json_each(:effect_states) AS j)
    UNION ALL
    SELECT 'attempt ' || a.task_id || '/' || a.number || ' is ' || a.outcome FROM attempts AS a
    WHERE a.outcome NOT IN (SELECT j.value FROM json_each(:outcomes) AS j)
) AS n
LIMIT :limit;

-- name: fault_effects
-- What left says when, and what has ended says so.
SELECT 'effect ' || e.id AS what FROM effects AS e
WHERE
    (e.state IN ('sending', 'unknown') AND e.sent_at IS NULL)
    OR (e.state IN ('done', 'failed', 'withheld')) <> (e.done_at IS NOT NULL)
LIMIT :limit;

-- name: fault_timeline
-- The last move of a task's story leads to where it is.
SELECT 'task ' || t.id AS what FROM tasks AS t
WHERE
    t.state IS NOT (
        SELECT m.target FROM timeline AS m WHERE m.task_id = t.id ORDER BY m.number DESC LIMIT 1
    )
LIMIT :limit;

-- name: fault_lines
-- A story has no gap: each move begins where the one before it led to.
SELECT DISTINCT 'task ' || m.task_id AS what
FROM (
    SELECT
        n.task_id, n.source, n.number,
        lag(n.target) OVER (PARTITION BY n.task_id ORDER BY n.number) AS former
    FROM timeline AS n
) AS m
WHERE m.source IS NOT m.former
LIMIT :limit;

-- name: fault_stories
-- A story is that of a task.
SELECT DISTINCT 'task ' || m.task_id AS what FROM timeline AS m
WHERE NOT EXISTS (SELECT 1 FROM tasks AS t WHERE t.id = m.task_id)
LIMIT :limit;

-- name: fault_open_delivery
-- What waits for a look-up can be read again: its delivery is there.
SELECT 'task ' || t.id AS what FROM tasks AS t
WHERE
    t.state = 'received'
    AND t.delivery_id IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.id = t.delivery_id)
LIMIT :limit;

-- name: list_bodies
-- Every stored body with the hash that it must have.
SELECT d.id, d.body, d.body_sha256 FROM deliveries AS d ORDER BY d.number;

-- name: count_bodies
-- How many there are to read.
SELECT count(*) AS count FROM deliveries;

-- name: list_logs
-- Attempts that have printed something and ended since a moment: their logs are kept. A backup has not always brought
-- along those from before it was restored.
SELECT a.task_id, a.number FROM attempts AS a INDEXED BY attempts_by_start
WHERE
    a.started_at > max(:since, coalesce((SELECT c.updated_at FROM cursors AS c WHERE c.name = 'restored'), 0))
    AND a.ended_at > :since
    AND a.log_bytes > 0
ORDER BY a.started_at;

-- name: fault_counts
-- The gauges say what there is.
SELECT c.noun || ' ' || c.state AS what FROM counts AS c
WHERE
    c.count <> iif(
        c.noun = 'task',
        (SELECT count(*) FROM tasks AS t WHERE t.state = c.state),
        (SELECT count(*) FROM effects AS e WHERE e.state = c.state)
    )
LIMIT :limit;
