-- name: list_left_open
-- The newest visible check or status of each slot since a moment, where nobody is at its task any more, nothing that is
-- still to be sent would conclude it, and GitHub would take an end. Whether it is in progress stands in its request.
-- What only adds annotations to a check says nothing of that.
SELECT e.* FROM effects AS e
INNER JOIN tasks AS t ON t.id = e.task_id
LEFT JOIN installations AS i ON i.id = e.installation_id
WHERE
    e.id > :since
    AND e.state = 'done'
    AND e.kind IN ('check', 'status')
    AND t.state NOT IN ('received', 'queued', 'running')
    AND t.finished_at <= :before
    AND coalesce(i.state, 'active') = 'active'
    AND NOT coalesce(json_extract(CAST(e.request AS TEXT), '$.is_added'), FALSE)
    AND NOT EXISTS (
        SELECT 1 FROM effects AS n INDEXED BY effects_by_slot
        WHERE
            n.slot = e.slot
            AND n.id > e.id
            AND n.state IN ('pending', 'sending', 'unknown', 'done')
            AND NOT coalesce(json_extract(CAST(n.request AS TEXT), '$.is_added'), FALSE)
    )
    AND (
        SELECT count(*) FROM effects AS f INDEXED BY effects_by_task
        WHERE
            f.task_id = e.task_id
            AND f.slot = e.slot
            AND f.state = 'failed'
            AND f.id > e.id
            AND f.created_at > :tried_since
            AND NOT coalesce(json_extract(CAST(f.request AS TEXT), '$.is_added'), FALSE)
    ) < :tries_max
ORDER BY e.id
LIMIT :limit;

-- name: is_left_open
-- Once more, in the transaction that concludes it.
SELECT t.* FROM effects AS e
INNER JOIN tasks AS t ON t.id = e.task_id
WHERE
    e.id = :id
    AND t.state NOT IN ('received', 'queued', 'running')
    AND NOT EXISTS (
        SELECT 1 FROM effects AS n INDEXED BY effects_by_slot
        WHERE
            n.slot = e.slot
            AND n.id > e.id
            AND n.state IN ('pending', 'sending', 'unknown', 'done')
            AND NOT coalesce(json_extract(CAST(n.request AS TEXT), '$.is_added'), FALSE)
    );
