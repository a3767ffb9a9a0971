-- name: insert_attempt
-- Written with the claim itself: an attempt exists if and only if its task began to run.
INSERT INTO attempts (task_id, number, claim, agent, node, mode, phase, started_at)
VALUES (:task_id, :number, :claim, :agent, :node, :mode, :phase, :now);

-- name: note_process
-- Which process it is, so that the next daemon can tell it from a stranger with the same pid, and what holds it.
UPDATE attempts SET pid = :pid, pid_started = :pid_started, boot_id = :boot_id, cgroup = :cgroup
WHERE task_id = :task_id AND claim = :claim AND outcome IS NULL
RETURNING number;

-- name: note_mode
-- Where the attempt works, and what it goes on with: not where another attempt works in that directory.
UPDATE attempts SET
    mode = :mode,
    workspace = :workspace,
    resumes = :resumes,
    session = :session,
    past_input_tokens = :past_input_tokens,
    past_output_tokens = :past_output_tokens
WHERE
    task_id = :task_id
    AND claim = :claim
    AND outcome IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM attempts AS o
        WHERE o.workspace = :workspace AND o.outcome IS NULL AND o.task_id <> :task_id
    )
RETURNING number;

-- name: note_session
-- The session as the agent tells it; one that is not what it was asked to resume was begun by it.
UPDATE attempts SET
    session = :session,
    mode = iif(:session = resumes, mode, 'fresh'),
    past_input_tokens = iif(:session = resumes, past_input_tokens, 0),
    past_output_tokens = iif(:session = resumes, past_output_tokens, 0)
WHERE task_id = :task_id AND claim = :claim AND outcome IS NULL
RETURNING number;

-- name: find_last_session
-- The newest session of a rule and its agent on a subject, if it can be resumed: claude's lie on the node that
-- had them, and a session that could not be resumed once is not tried again.
WITH newest AS MATERIALIZED (
    SELECT
        a.task_id, a.agent, a.session, a.workspace, a.error_code, a.ended_at,
        a.past_input_tokens + coalesce(a.input_tokens, 0) AS input_tokens,
        a.past_output_tokens + coalesce(a.output_tokens, 0) AS output_tokens,
        iif(a.number = t.attempts, t.conclusion, NULL) AS conclusion,
        iif(a.number = t.attempts, t.summary, NULL) AS summary
    FROM
        tasks AS me
        INNER JOIN attempts AS mine ON mine.task_id = me.id AND mine.number = me.attempts
        CROSS JOIN tasks AS t
        CROSS JOIN attempts AS a
    WHERE
        me.id = :task_id
        AND me.repository IS NOT NULL
        AND me.subject_type IN ('pull_request', 'issue')
        AND t.repository_key = me.repository_key
        AND t.rule = me.rule
        -- What a stranger has said to an agent is not gone on with for a maintainer; members are one circle.
        AND (
            t.trust = me.trust
            OR (
                t.trust IN ('admin', 'maintain', 'write', 'member')
                AND me.trust IN ('admin', 'maintain', 'write', 'member')
            )
        )
        AND t.subject_type = me.subject_type
        AND t.subject_number = me.subject_number
        AND t.attempts > 0
        AND a.task_id = t.id
        AND a.number = (
            SELECT s.number FROM attempts AS s
            WHERE
                s.task_id = t.id
                AND s.agent = me.agent
                AND s.node = mine.node
                AND s.outcome IS NOT NULL
                AND s.workspace IS NOT NULL
                AND (s.session IS NOT NULL OR s.resumes IS NOT NULL)
            ORDER BY s.number DESC
            LIMIT 1
        )
    ORDER BY t.id DESC
    LIMIT 1
)

SELECT n.* FROM newest AS n
WHERE
    n.session IS NOT NULL
    AND n.ended_at > :too_old_at
    AND coalesce(n.error_code, '') NOT IN (SELECT u.value FROM json_each(:unusable) AS u)
    AND NOT EXISTS (
        SELECT 1 FROM attempts AS o WHERE o.workspace = n.workspace AND o.outcome IS NULL
    );

-- name: note_phase
-- What the attempt is doing now.
UPDATE attempts SET phase = :phase
WHERE task_id = :task_id AND claim = :claim AND outcome IS NULL
RETURNING number;

-- name: end_attempt
-- The outcome, once.
UPDATE attempts SET
    outcome = :outcome,
    error_code = :error_code,
    error_message = :error_message,
    exit_code = :exit_code,
    signal = :signal,
    session = coalesce(:session, session),
    mode = iif(coalesce(:session, session) = resumes, mode, 'fresh'),
    past_input_tokens = iif(coalesce(:session, session) = resumes, past_input_tokens, 0),
    past_output_tokens = iif(coalesce(:session, session) = resumes, past_output_tokens, 0),
    input_tokens = :input_tokens,
    output_tokens = :output_tokens,
    cost_usd = :cost_usd,
    log_bytes = :log_bytes,
    ended_at = :now
WHERE task_id = :task_id AND claim = :claim AND outcome IS NULL
RETURNING number;

-- name: list_attempts
-- All attempts of a task, oldest first.
SELECT * FROM attempts WHERE task_id = :task_id ORDER BY number;

-- name: find_open_attempt
-- The attempt that a running task is in.
SELECT * FROM attempts WHERE task_id = :task_id AND outcome IS NULL;
