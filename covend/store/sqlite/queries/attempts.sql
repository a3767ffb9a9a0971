-- name: insert_attempt
-- Written with the claim itself: an attempt exists if and only if its task began to run.
INSERT INTO attempts (task_id, number, claim, agent, node, mode, phase, started_at)
VALUES (:task_id, :number, :claim, :agent, :node, :mode, :phase, :now);

-- name: note_process
-- Which process it is, so that the next daemon can tell it from a stranger with the same pid.
UPDATE attempts SET pid = :pid, pid_started = :pid_started, boot_id = :boot_id
WHERE task_id = :task_id AND claim = :claim AND outcome IS NULL
RETURNING number;

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
    session = :session,
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
