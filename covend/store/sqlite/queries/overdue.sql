-- name: list_overdue_tasks
-- What nobody is at and what is to end: overtaken by a newer head, on a closed subject, or too old to be tried again.
SELECT * FROM (
    SELECT t.*, iif(t.superseded_by IS NULL, 'cancelled', 'superseded') AS target
    FROM tasks AS t INDEXED BY tasks_overdue
    WHERE t.state IN ('queued', 'completed') AND (t.superseded_by IS NOT NULL OR t.reason = 'closed')
    LIMIT :limit
)
UNION ALL
SELECT * FROM (
    SELECT t.*, 'failed' AS target
    FROM tasks AS t INDEXED BY tasks_by_age
    WHERE
        t.state = 'queued'
        AND t.retry_until_at <= :now
        AND t.superseded_by IS NULL
        AND t.reason <> 'closed'
    LIMIT :limit
)
LIMIT :limit;

-- name: end_superseded_task
-- moves: queued, completed -> superseded
-- The wish is fulfilled; `attempts` is the count by which its effects were planned.
UPDATE tasks SET
    state = 'superseded',
    reason = :reason,
    updated_at = :now,
    finished_at = :now
WHERE
    id = :id
    AND state IN ('queued', 'completed')
    AND superseded_by IS NOT NULL
    AND attempts = :attempts
RETURNING *;

-- name: withdraw_task
-- moves: completed -> superseded
-- The head moved before all of it was published, and no webhook has told it yet; `attempts` is the count by which its
-- effects were planned.
UPDATE tasks SET
    state = 'superseded',
    reason = :reason,
    updated_at = :now,
    finished_at = :now
WHERE id = :id AND state = 'completed' AND attempts = :attempts
RETURNING *;

-- name: end_closed_task
-- moves: queued -> cancelled
-- Its subject was closed while it waited to be tried again.
UPDATE tasks SET
    state = 'cancelled',
    reason = :reason,
    cancel_requested_at = :now,
    cancel_reason = :reason,
    updated_at = :now,
    finished_at = :now
WHERE id = :id AND state = 'queued' AND reason = 'closed' AND attempts = :attempts
RETURNING *;

-- name: end_aged_task
-- moves: queued -> failed
-- It has waited longer than `retry.age`, and its last failure stays its error.
UPDATE tasks SET
    state = 'failed',
    reason = :reason,
    updated_at = :now,
    finished_at = :now
WHERE
    id = :id AND state = 'queued' AND retry_until_at <= :now AND superseded_by IS NULL AND attempts = :attempts
RETURNING *;
