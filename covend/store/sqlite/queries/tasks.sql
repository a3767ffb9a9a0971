-- name: insert_tasks
-- All tasks of a batch in one statement; the key's unique index has the last word.
INSERT INTO tasks (
    id, state, reason, not_before_at, rule, agent, fallbacks, priority, key, policy, trust, event, actor,
    installation_id, repository_id, repository, repository_key, default_branch, clone_url,
    subject_type, subject_number, subject_title, subject_url, subject_author, subject_updated_at,
    before_sha, head_sha, base_sha, head_ref, base_ref, head_repository, command, needs, delivery_id,
    parent_id, depth, inputs, created_at, updated_at, generation, is_by_head
) VALUES :each;

-- name: find_tasks_by_prefix
-- A task by the beginning of its id, as people type it; two rows mean that it was not enough.
SELECT * FROM tasks
WHERE id >= :prefix AND id < :prefix || '{'
ORDER BY id
LIMIT 2;

-- name: find_task
-- One task by its whole id.
SELECT * FROM tasks WHERE id = :id;

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

-- name: find_repository
-- What the newest task in a repository knows of it, among the last ones: a name that nobody knows costs little.
SELECT t.repository_id, t.repository, t.installation_id, t.default_branch, t.clone_url
FROM (
    SELECT n.id, n.repository_id, n.repository, n.installation_id, n.default_branch, n.clone_url
    FROM tasks AS n
    ORDER BY n.id DESC
    LIMIT :newest
) AS t
WHERE lower(t.repository) = lower(:repository) AND t.repository_id IS NOT NULL
ORDER BY t.id DESC
LIMIT 1;

-- name: list_repositories
-- Where the last tasks were, each once: what somebody may have meant by a name that nobody knows.
SELECT DISTINCT t.repository
FROM (SELECT n.repository FROM tasks AS n ORDER BY n.id DESC LIMIT :newest) AS t
WHERE t.repository IS NOT NULL
ORDER BY t.repository;

-- name: find_waiting
-- Whether anything waits that a rule or an agent is named by, also one that is no more in force.
SELECT t.id FROM tasks AS t INDEXED BY tasks_received
WHERE t.state = 'received' AND (:rule IS NULL OR t.rule = :rule) AND (:agent IS NULL OR t.agent = :agent)
UNION ALL
SELECT t.id FROM tasks AS t INDEXED BY tasks_due
WHERE t.state = 'queued' AND (:rule IS NULL OR t.rule = :rule) AND (:agent IS NULL OR t.agent = :agent)
LIMIT 1;

-- name: find_timeline
-- Every move of a task, oldest first.
SELECT at, source, target, reason FROM timeline WHERE task_id = :id ORDER BY number;

-- name: find_progress
-- How far one attempt is, for those who follow it; its task may not have come to it yet.
SELECT t.state, t.attempts, a.number, a.outcome, a.error_code
FROM tasks AS t LEFT JOIN attempts AS a ON a.task_id = t.id AND a.number = :number
WHERE t.id = :id;

-- name: find_claimable
-- The next task in the total order (priority, then the repository that has waited longest for a turn, then
-- not_before, created, id) that no limit keeps back; limits are counted from what runs, here and now. What waits
-- stands in lines, one for each repository, agent and priority: two seeks for each line, however long it is.
WITH RECURSIVE running AS MATERIALIZED (
    SELECT o.agent, o.repository_key, o.installation_id
    FROM tasks AS o INDEXED BY tasks_running
    WHERE o.state = 'running'
),

full_agents (agent) AS MATERIALIZED (
    SELECT a.key FROM json_each(:agent_limits) AS a
    WHERE a.value <= (SELECT count(*) FROM running AS o WHERE o.agent = a.key)
),

lines (repository_key, agent, priority) AS (
    SELECT f.* FROM (
        SELECT t.repository_key, t.agent, t.priority
        FROM tasks AS t INDEXED BY tasks_queued
        WHERE t.state = 'queued'
        ORDER BY t.repository_key, t.agent, t.priority
        LIMIT 1
    ) AS f
    WHERE (SELECT count(*) FROM running) < :concurrency
    UNION ALL
    SELECT t.repository_key, t.agent, t.priority
    FROM lines AS l CROSS JOIN tasks AS t
    WHERE
        t.rowid = (
            SELECT n.rowid FROM tasks AS n INDEXED BY tasks_queued
            WHERE
                n.state = 'queued'
                -- SQLite seeks to what is equal, too: the largest moment leads past the whole line. A plus
                -- takes the type away, without which it would not seek at all.
                AND (n.repository_key, n.agent, n.priority, n.not_before_at)
                > (+l.repository_key, +l.agent, +l.priority, 9223372036854775807)
            ORDER BY n.repository_key, n.agent, n.priority
            LIMIT 1
        )
),

heads (number, turn) AS (
    SELECT
        (
            SELECT t.rowid FROM tasks AS t INDEXED BY tasks_queued
            WHERE
                t.state = 'queued'
                AND t.repository_key = l.repository_key
                AND t.agent = l.agent
                AND t.priority = l.priority
                AND t.not_before_at <= :now
                AND t.superseded_by IS NULL
            ORDER BY t.not_before_at ASC, t.created_at ASC, t.id ASC
            LIMIT 1
        ),
        coalesce((SELECT n.turn FROM turns AS n WHERE n.repository_key = l.repository_key), 0)
    FROM lines AS l
    WHERE
        l.agent NOT IN (SELECT f.agent FROM full_agents AS f)
        AND (
            :per_repository IS NULL
            OR (SELECT count(*) FROM running AS o WHERE o.repository_key = l.repository_key)
            < :per_repository
        )
)

SELECT
    t.*,
    EXISTS (
        SELECT 1 FROM tasks AS o INDEXED BY task_one_running_per_key
        WHERE o.state = 'running' AND o.key = t.key
    ) AS is_key_busy
FROM heads AS h CROSS JOIN tasks AS t
WHERE
    t.rowid = h.number
    AND (
        :per_installation IS NULL
        OR (SELECT count(*) FROM running AS o WHERE o.installation_id = t.installation_id)
        < :per_installation
    )
ORDER BY t.priority DESC, h.turn ASC, t.not_before_at ASC, t.created_at ASC, t.id ASC
LIMIT 1;

-- name: list_running_ids
-- Who runs: a probe of a circuit is one of them, or is over.
SELECT id FROM tasks INDEXED BY tasks_running WHERE state = 'running';

-- name: hold_tasks
-- What one limit holds, it holds at once: all that is due and has these values, and the one that met it.
UPDATE tasks INDEXED BY tasks_due SET
    reason = :reason, not_before_at = :not_before_at, updated_at = :now
WHERE
    state = 'queued'
    AND not_before_at <= :now
    AND superseded_by IS NULL
    AND (
        id = :id
        OR (
            (:key IS NULL OR key = :key)
            AND (:rule IS NULL OR rule = :rule)
            AND (:agent IS NULL OR agent = :agent)
            AND (:actor IS NULL OR actor = :actor)
            AND (:repository_key IS NULL OR repository_key = :repository_key)
            AND (:repository IS NULL OR lower(repository) = :repository)
            AND (:subject_number IS NULL OR subject_number = :subject_number)
            AND (:installation_id IS NULL OR installation_id = :installation_id)
        )
    )
RETURNING id;

-- name: hold_tasks_in_repository
-- As hold_tasks, where only one repository is looked at.
UPDATE tasks INDEXED BY tasks_queued SET
    reason = :reason, not_before_at = :not_before_at, updated_at = :now
WHERE
    state = 'queued'
    AND repository_key = :repository_key
    AND not_before_at <= :now
    AND superseded_by IS NULL
    AND (
        id = :id
        OR (
            (:key IS NULL OR key = :key)
            AND (:rule IS NULL OR rule = :rule)
            AND (:agent IS NULL OR agent = :agent)
            AND (:actor IS NULL OR actor = :actor)
            AND (:repository IS NULL OR lower(repository) = :repository)
            AND (:subject_number IS NULL OR subject_number = :subject_number)
            AND (:installation_id IS NULL OR installation_id = :installation_id)
        )
    )
RETURNING id;

-- name: release_tasks
-- What waited for this reason may be tried again now; whatever else holds it will say so.
UPDATE tasks INDEXED BY tasks_due SET reason = 'released', not_before_at = :now, updated_at = :now
WHERE
    state = 'queued'
    AND not_before_at > :now
    AND reason = :reason
    AND (:key IS NULL OR key = :key)
    AND (:rule IS NULL OR rule = :rule)
    AND (:agent IS NULL OR agent = :agent)
    AND (:actor IS NULL OR actor = :actor)
    AND (:repository_key IS NULL OR repository_key = :repository_key)
    AND (:repository IS NULL OR lower(repository) = :repository)
    AND (:subject_number IS NULL OR subject_number = :subject_number)
    AND (:installation_id IS NULL OR installation_id = :installation_id)
RETURNING id;

-- name: release_key
-- The work that held this key is over, so that the next of its kind may begin.
UPDATE tasks INDEXED BY task_one_per_key SET
    reason = 'released', not_before_at = :now, updated_at = :now
WHERE
    key = :key
    AND state IN ('received', 'queued', 'running', 'completed')
    AND state = 'queued'
    AND reason = 'key_busy'
    AND not_before_at > :now
RETURNING id;

-- name: switch_agent
-- Its agent cannot be had: it is another one's from here on, with all its tries.
UPDATE tasks SET
    agent = :agent,
    fallbacks = :fallbacks,
    reason = :reason,
    failures = 0,
    is_afresh = 0,
    updated_at = :now
WHERE id = :id AND state = 'queued' AND agent = :former
RETURNING id;

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
WHERE id = :id AND state = 'queued' AND not_before_at <= :now AND superseded_by IS NULL
RETURNING *;

-- name: take_turn
-- The repository goes to the end of the line.
INSERT INTO turns (repository_key, turn)
VALUES (:repository_key, (SELECT coalesce(max(turn), 0) + 1 FROM turns))
ON CONFLICT (repository_key) DO UPDATE SET turn = excluded.turn;

-- name: next_received_due_at
-- When the next task that is to ripen is due; what waits for somebody is never due.
SELECT min(not_before_at) AS at FROM tasks INDEXED BY tasks_received
WHERE state = 'received' AND not_before_at > :now AND not_before_at < :forever;

-- name: next_queued_due_at
-- When the next task that waits for its claim is due; the dispatcher sleeps until then.
SELECT min(not_before_at) AS at FROM tasks INDEXED BY tasks_due
WHERE state = 'queued' AND not_before_at > :now AND not_before_at < :forever;

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
WHERE
    id = :id
    AND claim = :claim
    AND state = 'running'
    AND (NOT :only_if_expired OR lease_until_at <= :now)
    AND cancel_requested_at IS NULL
    AND superseded_by IS NULL
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
WHERE
    id = :id
    AND claim = :claim
    AND state = 'running'
    AND (NOT :only_if_expired OR lease_until_at <= :now)
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
WHERE
    id = :id
    AND claim = :claim
    AND state = 'running'
    AND (NOT :only_if_expired OR lease_until_at <= :now)
RETURNING id;

-- name: find_wishes
-- What others have decided about a task while it ran; its own attempt has no say against it.
SELECT cancel_requested_at, superseded_by FROM tasks
WHERE id = :id AND claim = :claim AND state = 'running';

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
    reason = :reason,
    error_code = :error_code,
    error_message = :error_message,
    failures = failures + 1,
    is_afresh = :is_afresh,
    not_before_at = :not_before_at,
    retry_until_at = coalesce(:retry_until_at, retry_until_at),
    cost_usd = coalesce(cost_usd, 0) + coalesce(:cost_usd, 0),
    claim = NULL,
    lease_until_at = NULL,
    updated_at = :now
WHERE
    id = :id
    AND claim = :claim
    AND state = 'running'
    AND (NOT :only_if_expired OR lease_until_at <= :now)
    AND cancel_requested_at IS NULL
    AND superseded_by IS NULL
RETURNING id;

-- name: fall_back_task
-- moves: running -> queued
-- Its agent has had all its tries: the next one of the policy has its own.
UPDATE tasks SET
    state = 'queued',
    reason = :reason,
    error_code = :error_code,
    error_message = :error_message,
    agent = :agent,
    fallbacks = :fallbacks,
    failures = 0,
    is_afresh = :is_afresh,
    not_before_at = :not_before_at,
    retry_until_at = coalesce(:retry_until_at, retry_until_at),
    cost_usd = coalesce(cost_usd, 0) + coalesce(:cost_usd, 0),
    claim = NULL,
    lease_until_at = NULL,
    updated_at = :now
WHERE
    id = :id
    AND claim = :claim
    AND state = 'running'
    AND (NOT :only_if_expired OR lease_until_at <= :now)
    AND cancel_requested_at IS NULL
    AND superseded_by IS NULL
RETURNING id;

-- name: defer_task
-- moves: running -> queued
-- The outside has put it off, or it goes on another way at once: nothing is counted against it.
UPDATE tasks SET
    state = 'queued',
    reason = :reason,
    error_code = :error_code,
    error_message = :error_message,
    is_afresh = max(is_afresh, :is_afresh),
    not_before_at = :not_before_at,
    retry_until_at = coalesce(:retry_until_at, retry_until_at),
    cost_usd = coalesce(cost_usd, 0) + coalesce(:cost_usd, 0),
    claim = NULL,
    lease_until_at = NULL,
    updated_at = :now
WHERE
    id = :id
    AND claim = :claim
    AND state = 'running'
    AND (NOT :only_if_expired OR lease_until_at <= :now)
    AND cancel_requested_at IS NULL
    AND superseded_by IS NULL
RETURNING id;

-- name: return_task
-- moves: running -> queued
-- Interrupted or lost: not the agent's fault, counted apart from its failures; what it cost was spent.
UPDATE tasks SET
    state = 'queued',
    reason = :reason,
    infrastructure_failures = infrastructure_failures + 1,
    is_afresh = max(is_afresh, :is_afresh),
    not_before_at = :not_before_at,
    retry_until_at = coalesce(:retry_until_at, retry_until_at),
    cost_usd = coalesce(cost_usd, 0) + coalesce(:cost_usd, 0),
    claim = NULL,
    lease_until_at = NULL,
    updated_at = :now
WHERE
    id = :id
    AND claim = :claim
    AND state = 'running'
    AND (NOT :only_if_expired OR lease_until_at <= :now)
    AND cancel_requested_at IS NULL
    AND superseded_by IS NULL
RETURNING id;

-- name: retry_ended_task
-- moves: failed, cancelled -> queued
-- Somebody asks for it once more: a new generation with all its tries, and no wish to end it. The generation
-- is above its own and above that of whoever holds the key now.
UPDATE tasks SET
    state = 'queued',
    reason = :reason,
    not_before_at = :now,
    generation = 1 + max(
        generation,
        coalesce((
            SELECT max(o.generation) FROM tasks AS o INDEXED BY task_one_per_key
            WHERE
                o.key = tasks.key
                AND o.state IN ('received', 'queued', 'running', 'completed')
        ), 0)
    ),
    agent = :agent,
    fallbacks = :fallbacks,
    failures = 0,
    infrastructure_failures = 0,
    is_afresh = 0,
    retry_until_at = NULL,
    cancel_requested_at = NULL,
    cancel_reason = NULL,
    superseded_by = NULL,
    conclusion = NULL,
    summary = NULL,
    error_code = NULL,
    error_message = NULL,
    updated_at = :now,
    finished_at = NULL
WHERE id = :id AND state IN ('failed', 'cancelled')
RETURNING *;

-- name: renew_leases
-- The heartbeat of every attempt of this process; a claim that is missing from the answer is lost. It learns
-- here what others have decided about its tasks, whichever process wrote it. Plain columns: SQLite 3.40 says of a
-- NULL that it IS NOT NULL, where a RETURNING of a STRICT table asks.
UPDATE tasks SET lease_until_at = :lease_until_at
WHERE
    state = 'running'
    AND id IN (SELECT value FROM json_each(:claims))
    AND claim IN (SELECT key FROM json_each(:claims))
RETURNING claim, cancel_requested_at, superseded_by;

-- name: list_running_tasks
-- What a former daemon left running.
SELECT * FROM tasks WHERE state = 'running' ORDER BY id;

-- name: list_expired_tasks
-- What is held, and was not renewed in time: its attempt may have ended without settling it.
SELECT * FROM tasks INDEXED BY tasks_running
WHERE state = 'running' AND lease_until_at <= :now
ORDER BY lease_until_at
LIMIT :limit;

-- name: list_ripe_tasks
-- Tasks in `received` whose debounce is over, oldest first.
SELECT * FROM tasks INDEXED BY tasks_received
WHERE state = 'received' AND not_before_at <= :now
ORDER BY not_before_at
LIMIT :limit;

-- name: ripen_task
-- moves: received -> queued
-- Everything that the payload lacked is known, and the rule still wants it; by whom, may have changed.
UPDATE tasks SET
    state = 'queued',
    reason = 'ripe',
    needs = '',
    head_sha = coalesce(:head_sha, head_sha),
    base_sha = coalesce(:base_sha, base_sha),
    head_ref = coalesce(:head_ref, head_ref),
    base_ref = coalesce(:base_ref, base_ref),
    head_repository = coalesce(:head_repository, head_repository),
    subject_type = coalesce(:subject_type, subject_type),
    subject_title = coalesce(:subject_title, subject_title),
    subject_url = coalesce(:subject_url, subject_url),
    subject_author = coalesce(:subject_author, subject_author),
    trust = coalesce(:trust, trust),
    policy = coalesce(:policy, policy),
    agent = coalesce(:agent, agent),
    fallbacks = coalesce(:fallbacks, fallbacks),
    updated_at = :now
WHERE id = :id AND state = 'received'
RETURNING *;

-- name: hold_for_approval
-- All is known but somebody's yes; what has been said already is not asked for again.
UPDATE tasks SET
    reason = 'approval',
    needs = 'approval',
    not_before_at = :forever,
    head_sha = coalesce(:head_sha, head_sha),
    base_sha = coalesce(:base_sha, base_sha),
    head_ref = coalesce(:head_ref, head_ref),
    base_ref = coalesce(:base_ref, base_ref),
    head_repository = coalesce(:head_repository, head_repository),
    subject_type = coalesce(:subject_type, subject_type),
    subject_title = coalesce(:subject_title, subject_title),
    subject_url = coalesce(:subject_url, subject_url),
    subject_author = coalesce(:subject_author, subject_author),
    trust = coalesce(:trust, trust),
    policy = coalesce(:policy, policy),
    agent = coalesce(:agent, agent),
    fallbacks = coalesce(:fallbacks, fallbacks),
    updated_at = :now
WHERE id = :id AND state = 'received' AND approved_at IS NULL
RETURNING id;

-- name: approve_task
-- moves: received -> queued
-- Somebody's yes was all that it waited for.
UPDATE tasks SET
    state = 'queued',
    reason = 'approved by ' || :by,
    needs = '',
    not_before_at = :now,
    approved_at = :now,
    approved_by = :by,
    updated_at = :now
WHERE id = :id AND state = 'received' AND needs = 'approval'
RETURNING *;

-- name: approve_early
-- The yes comes before what is still to be looked up: it waits for nothing but that from now on.
UPDATE tasks SET
    needs = trim(replace(' ' || needs || ' ', ' approval ', ' ')),
    approved_at = :now,
    approved_by = :by,
    updated_at = :now
WHERE id = :id AND state = 'received' AND ' ' || needs || ' ' LIKE '% approval %'
RETURNING *;

-- name: postpone_received_task
-- A look-up that failed is made again later; the task stays where it is and says why. What came while it was
-- looked up is not slept over.
UPDATE tasks SET reason = :reason, not_before_at = :not_before_at, updated_at = :now
WHERE id = :id AND state = 'received' AND (:seen_at IS NULL OR updated_at = :seen_at)
RETURNING id;

-- name: refuse_task
-- moves: received -> ignored
-- The look-ups said no.
UPDATE tasks SET
    state = 'ignored', reason = :reason, error_message = :message, updated_at = :now, finished_at = :now
WHERE id = :id AND state = 'received'
RETURNING *;
