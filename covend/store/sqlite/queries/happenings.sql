-- name: newest_numbers
-- How far everything has come: who follows looks here first, by the ends of two tables.
SELECT
    (SELECT max(t.number) FROM timeline AS t) AS move,
    (SELECT max(d.number) FROM deliveries AS d) AS delivery;

-- name: list_moves
-- What tasks have done since, in the order of its writing.
SELECT m.number, m.task_id, m.at, m.source, m.target, m.reason, t.rule, t.repository
FROM timeline AS m
LEFT JOIN tasks AS t ON t.id = m.task_id
WHERE m.number > :after
ORDER BY m.number
LIMIT :limit;

-- name: list_arrivals
-- What has come in since, in the order of its writing.
SELECT number, id, event, action, repository, state, reason, received_at
FROM deliveries
WHERE number > :after
ORDER BY number
LIMIT :limit;
