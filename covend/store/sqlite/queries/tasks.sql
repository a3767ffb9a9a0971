-- name: insert_tasks
-- All tasks of a batch in one statement; the key's unique index has the last word.
INSERT INTO tasks (
    id, state, reason, not_before_at, rule, agent, priority, key, generation, policy, trust, event,
    installation_id, repository_id, repository, repository_key, default_branch, clone_url,
    subject_type, subject_number, subject_title, subject_url, subject_author,
    head_sha, base_sha, head_ref, base_ref, head_repository, command, needs, delivery_id,
    created_at, updated_at
) VALUES :each;

-- name: find_tasks_by_prefix
-- A task by the beginning of its id, as people type it; two rows mean that it was not enough.
SELECT * FROM tasks
WHERE id >= :prefix AND id < :prefix || '{'
ORDER BY id
LIMIT 2;

-- name: list_tasks
-- A page of tasks, newest first, from below the cursor.
SELECT * FROM tasks
WHERE
    id < :cursor
    AND (:state IS NULL OR state = :state)
    AND (:rule IS NULL OR rule = :rule)
    AND (:repository IS NULL OR repository = :repository)
ORDER BY id DESC
LIMIT :limit;

-- name: list_tasks_in_state
-- As list_tasks, by the index of one state.
SELECT * FROM tasks
WHERE
    state = :state
    AND id < :cursor
    AND (:rule IS NULL OR rule = :rule)
    AND (:repository IS NULL OR repository = :repository)
ORDER BY id DESC
LIMIT :limit;

-- name: find_timeline
-- Every move of a task, oldest first.
SELECT at, source, target, reason FROM timeline WHERE task_id = :id ORDER BY number;

-- name: find_progress
-- How far one attempt is, for those who follow it; its task may not have come to it yet.
SELECT t.state, t.attempts, a.number, a.outcome, a.error_code
FROM tasks AS t LEFT JOIN attempts AS a ON a.task_id = t.id AND a.number = :number
WHERE t.id = :id;

-- name: find_claimable
-- The next task in the total order: priority, then the repository that has waited longest for a turn, then
-- not_before, created, id. One seek for each repository that has work, however long its queue is; left to
-- itself, SQLite reads the whole queue for each of them.
WITH RECURSIVE repositories (repository_key) AS (
    SELECT min(repository_key) FROM tasks INDEXED BY tasks_queued WHERE state = 'queued'
    UNION ALL
    SELECT (
        SELECT min(t.repository_key) FROM tasks AS t INDEXED BY tasks_queued
        WHERE t.state = 'queued' AND t.repository_key > r.repository_key
    )
    FROM repositories AS r
    WHERE r.repository_key IS NOT NULL
),

full_agents (agent) AS MATERIALIZED (
    SELECT l.key FROM json_each(:agent_limits) AS l
    WHERE
        l.value <= (
            SELECT count(*) FROM tasks AS o INDEXED BY tasks_running
            WHERE o.state = 'running' AND o.agent = l.key
        )
),

heads (id, turn) AS (
    SELECT
        (
            SELECT t.id FROM tasks AS t
            WHERE
                t.state = 'queued'
                AND t.repository_key = r.repository_key
                AND t.not_before_at <= :now
                AND t.agent NOT IN (SELECT f.agent FROM full_agents AS f)
            ORDER BY t.priority DESC, t.not_before_at ASC, t.created_at ASC, t.id ASC
            LIMIT 1
        ),
        coalesce((SELECT n.turn FROM turns AS n WHERE n.repository_key = r.repository_key), 0)
    FROM repositories AS r
    WHERE r.repository_key IS NOT NULL
)

SELECT t.id
FROM heads AS h INNER JOIN tasks AS t ON t.id = h.id
ORDER BY t.priority DESC, h.turn ASC, t.not_before_at ASC, t.created_at ASC, t.id ASC
LIMIT 1;

-- name: claim_task
-- moves: queued -> running
-- The claim token written here is what every later write of this attempt must carry.
UPDATE tasks SET
    state = 'running',
    reason = 'claimed',
    claim = :claim,
    lease_until_at = :lease_until_at,
    attempts = attempts + 1,
    updated_at = :now
WHERE id = :id AND state = 'queued' AND not_before_at <= :now
RETURNING *;

-- name: take_turn
-- The repository goes to the end of the line.
INSERT INTO turns (repository_key, turn)
VALUES (:repository_key, (SELECT coalesce(max(turn), 0) + 1 FROM turns))
ON CONFLICT (repository_key) DO UPDATE SET turn = excluded.turn;

-- name: next_due_at
-- When the next task that waits is due: the dispatcher and the ripener sleep until then.
SELECT min(not_before_at) AS at FROM tasks WHERE state = :state AND not_before_at > :now;

-- name: settle_task
-- moves: running -> completed, failed
-- The end of a task by its own attempt, and by no other.
UPDATE tasks SET
    state = :state,
    reason = :reason,
    conclusion = :conclusion,
    summary = :summary,
    error_code = :error_code,
    error_message = :error_message,
    cost_usd = coalesce(cost_usd, 0) + coalesce(:cost_usd, 0),
    failures = failures + (:state = 'failed'),
    claim = NULL,
    lease_until_at = NULL,
    updated_at = :now,
    finished_at = :now
WHERE id = :id AND claim = :claim AND state = 'running' AND cancel_requested_at IS NULL
RETURNING id;

-- name: supersede_running_task
-- moves: running -> superseded
-- The head moved while the attempt ran: what it found is about something that is not there any more.
UPDATE tasks SET
    state = 'superseded',
    reason = :reason,
    cost_usd = coalesce(cost_usd, 0) + coalesce(:cost_usd, 0),
    claim = NULL,
    lease_until_at = NULL,
    updated_at = :now,
    finished_at = :now
WHERE id = :id AND claim = :claim AND state = 'running'
RETURNING id;

-- name: cancel_running_task
-- moves: running -> cancelled
-- Stopped by somebody; what the attempt had found is dropped. The wish says who and why, where there is one.
UPDATE tasks SET
    state = 'cancelled',
    reason = coalesce(cancel_reason, :reason),
    cost_usd = coalesce(cost_usd, 0) + coalesce(:cost_usd, 0),
    claim = NULL,
    lease_until_at = NULL,
    updated_at = :now,
    finished_at = :now
WHERE id = :id AND claim = :claim AND state = 'running'
RETURNING id;

-- name: cancel_task
-- moves: received, queued -> cancelled
-- An operator takes back what is not running; `attempts` is the count by which its effects were planned.
UPDATE tasks SET
    state = 'cancelled',
    reason = :reason,
    cancel_requested_at = :now,
    cancel_reason = :reason,
    updated_at = :now,
    finished_at = :now
WHERE id = :id AND state IN ('received', 'queued') AND attempts = :attempts
RETURNING *;

-- name: request_cancel
-- The wish to end what runs, on disk before its attempt is asked to stop; the first one counts.
UPDATE tasks SET
    cancel_requested_at = coalesce(cancel_requested_at, :now),
    cancel_reason = coalesce(cancel_reason, :reason),
    updated_at = :now
WHERE id = :id AND state = 'running'
RETURNING *;

-- name: retry_task
-- moves: running -> queued
-- A failed attempt goes back with its reason and the moment of the next.
UPDATE tasks SET
    state = 'queued',
    reason = 'retry',
    not_before_at = :not_before_at,
    error_code = :error_code,
    error_message = :error_message,
    cost_usd = coalesce(cost_usd, 0) + coalesce(:cost_usd, 0),
    failures = failures + 1,
    claim = NULL,
    lease_until_at = NULL,
    updated_at = :now
WHERE id = :id AND claim = :claim AND state = 'running' AND cancel_requested_at IS NULL
RETURNING id;

-- name: return_task
-- moves: running -> queued
-- Interrupted or lost: not the agent's fault, counted apart from its failures; what it cost was spent.
UPDATE tasks SET
    state = 'queued',
    reason = :reason,
    not_before_at = :not_before_at,
    infrastructure_failures = infrastructure_failures + 1,
    cost_usd = coalesce(cost_usd, 0) + coalesce(:cost_usd, 0),
    claim = NULL,
    lease_until_at = NULL,
    updated_at = :now
WHERE id = :id AND claim = :claim AND state = 'running' AND cancel_requested_at IS NULL
RETURNING id;

-- name: renew_leases
-- The heartbeat of every attempt of this process; a claim that is missing from the answer is lost.
UPDATE tasks SET lease_until_at = :lease_until_at
WHERE
    state = 'running'
    AND id IN (SELECT value FROM json_each(:claims))
    AND claim IN (SELECT key FROM json_each(:claims))
RETURNING claim;

-- name: list_running_tasks
-- What a former daemon left running.
SELECT * FROM tasks WHERE state = 'running' ORDER BY id;

-- name: list_expired_tasks
-- What is held, and was not renewed in time: its attempt may have ended without settling it.
SELECT * FROM tasks WHERE state = 'running' AND lease_until_at <= :now ORDER BY id;

-- name: list_ripe_tasks
-- Tasks in `received` whose debounce is over, oldest first.
SELECT * FROM tasks INDEXED BY tasks_received
WHERE state = 'received' AND not_before_at <= :now
ORDER BY not_before_at
LIMIT :limit;

-- name: ripen_task
-- moves: received -> queued
-- Everything that the payload lacked is known, and the rule still wants it.
UPDATE tasks SET
    state = 'queued',
    reason = 'ripe',
    needs = '',
    head_sha = coalesce(:head_sha, head_sha),
    base_sha = coalesce(:base_sha, base_sha),
    head_ref = coalesce(:head_ref, head_ref),
    base_ref = coalesce(:base_ref, base_ref),
    head_repository = coalesce(:head_repository, head_repository),
    updated_at = :now
WHERE id = :id AND state = 'received'
RETURNING id;

-- name: postpone_received_task
-- A look-up that failed is made again later; the task stays where it is and says why.
UPDATE tasks SET reason = :reason, not_before_at = :not_before_at, updated_at = :now
WHERE id = :id AND state = 'received'
RETURNING id;

-- name: refuse_task
-- moves: received -> ignored
-- The look-ups said no.
UPDATE tasks SET
    state = 'ignored', reason = :reason, error_message = :message, updated_at = :now, finished_at = :now
WHERE id = :id AND state = 'received'
RETURNING id;
