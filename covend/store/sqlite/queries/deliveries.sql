-- name: look_before_keeping
-- All that a batch must know before it writes, in one look: what has come before under its id or with the very
-- same body (`known`), which tasks hold the wanted keys (`holder`), and how full the queue is (`open`).
WITH incoming (id, event, body_sha256, key) AS (VALUES :each)

SELECT 'known' AS what, d.id, d.source, d.event, d.body_sha256, d.state, d.reason, NULL AS key, 0 AS count
FROM incoming AS i INNER JOIN deliveries AS d ON d.id = i.id
UNION ALL
SELECT 'known', d.id, d.source, d.event, d.body_sha256, d.state, d.reason, NULL, 0
FROM incoming AS i INNER JOIN deliveries AS d
    ON d.body_sha256 = i.body_sha256 AND d.event = i.event
WHERE d.via = 'webhook' AND d.source = 'github'
UNION ALL
SELECT 'holder', t.id, NULL, NULL, NULL, NULL, NULL, t.key, 0
FROM incoming AS i CROSS JOIN tasks AS t INDEXED BY task_one_per_key
WHERE t.key = i.key AND t.state IN ('received', 'queued', 'running', 'completed')
UNION ALL
SELECT
    'open', NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    (SELECT count(*) FROM tasks WHERE state = 'received')
    + (SELECT count(*) FROM tasks WHERE state = 'queued');

-- name: count_repetitions
-- A repetition leaves a count on the first delivery and nothing else.
UPDATE deliveries SET duplicates = duplicates + :count WHERE id = :id;

-- name: insert_deliveries
-- All deliveries of a batch in one statement: a call for each costs more than the disk does.
INSERT INTO deliveries (
    id, source, via, event, action, installation_id, repository_id, repository, sender,
    state, reason, received_at, body_sha256, headers, verdicts, body
) VALUES :each;

-- name: link_deliveries
-- Which tasks a delivery asked for, new ones and those that were there already.
INSERT INTO delivery_tasks (delivery_id, task_id, reason) VALUES :each
ON CONFLICT (delivery_id, task_id) DO NOTHING;

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

-- name: save_policy
-- A policy is kept once under its own hash, before any task can point to it.
INSERT INTO policies (sha256, body, created_at) VALUES (:sha256, :body, :now)
ON CONFLICT (sha256) DO NOTHING;

-- name: find_policy
-- The settings that a task was routed by.
SELECT body FROM policies WHERE sha256 = :sha256;
