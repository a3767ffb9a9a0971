-- name: insert_reruns
-- With the deliveries that tell them.
INSERT INTO reruns (
    delivery_id, repository_key, head_sha, external_id, actor, not_before_at, created_at
) VALUES :each
ON CONFLICT (delivery_id) DO NOTHING;

-- name: list_due_reruns
-- The oldest first.
SELECT * FROM reruns INDEXED BY reruns_open
WHERE state = 'received' AND not_before_at <= :now
ORDER BY not_before_at
LIMIT :limit;

-- name: list_tasks_on_head
-- What was done about a commit, the newest first; rarely asked, by a reader that keeps nobody waiting.
SELECT * FROM tasks
WHERE repository_key = :repository_key AND head_sha = :head_sha
ORDER BY id DESC
LIMIT :limit;

-- name: end_rerun
-- Once.
UPDATE reruns SET state = :state, reason = :reason, done_at = :now
WHERE delivery_id = :id AND state = 'received'
RETURNING delivery_id;

-- name: postpone_rerun
-- It is attended to later.
UPDATE reruns SET reason = :reason, not_before_at = :not_before_at
WHERE delivery_id = :id AND state = 'received';

-- name: next_rerun_due_at
-- When there is something to attend to again.
SELECT min(not_before_at) AS at FROM reruns INDEXED BY reruns_open
WHERE state = 'received' AND not_before_at > :now;
