-- name: insert_effects
-- In the transaction that changes the task: either both are seen or neither.
INSERT INTO effects (
    id, task_id, kind, slot, subject, target, installation_id, repository, request,
    state, not_before_at, created_at
) VALUES :each;

-- name: list_sendable_effects
-- The oldest open effect of each subject, where it is due: one sender per subject, in order. What shows the work of
-- a task that a newer head has overtaken is not for sending any more.
SELECT e.* FROM effects AS e INDEXED BY effects_open
WHERE
    e.state IN ('pending', 'sending', 'unknown')
    AND e.state = 'pending'
    AND e.not_before_at <= :now
    AND NOT EXISTS (
        SELECT 1 FROM tasks AS t
        WHERE
            t.id = e.task_id
            AND t.superseded_by IS NOT NULL
            AND e.kind IN ('comment', 'review', 'pull_request')
    )
    AND NOT EXISTS (
        SELECT 1 FROM effects AS o
        WHERE
            o.subject = e.subject
            AND o.id < e.id
            AND o.state IN ('pending', 'sending', 'unknown')
    )
ORDER BY e.id
LIMIT :limit;

-- name: list_unknown_effects
-- Effects whose outcome must be looked up, where the waiting time for GitHub's replicas is over.
SELECT * FROM effects INDEXED BY effects_open
WHERE state IN ('pending', 'sending', 'unknown') AND state = 'unknown' AND not_before_at <= :now
ORDER BY id
LIMIT :limit;

-- name: list_sending_effects
-- What is marked as under way: where nobody is at it any more, its outcome is not known.
SELECT * FROM effects INDEXED BY effects_open
WHERE state IN ('pending', 'sending', 'unknown') AND state = 'sending'
ORDER BY id
LIMIT :limit;

-- name: next_effect_due_at
-- When the publisher has something to do again.
SELECT min(not_before_at) AS at FROM effects INDEXED BY effects_open
WHERE state IN ('pending', 'sending', 'unknown') AND state IN ('pending', 'unknown') AND not_before_at > :now;

-- name: find_slot
-- The visible thing that a later effect of the same slot updates.
SELECT remote_id, remote_url FROM effects
WHERE slot = :slot AND state = 'done' AND remote_id IS NOT NULL
ORDER BY id DESC
LIMIT 1;

-- name: begin_effect
-- moves: pending -> sending
-- On disk before the request leaves, so that a crash in between is seen and looked up; and not where a newer head has
-- overtaken its task meanwhile.
UPDATE effects SET state = 'sending', tries = tries + 1, sent_at = :now
WHERE
    id = :id
    AND state = 'pending'
    AND NOT EXISTS (
        SELECT 1 FROM tasks AS t
        WHERE
            t.id = effects.task_id
            AND t.superseded_by IS NOT NULL
            AND effects.kind IN ('comment', 'review', 'pull_request')
    )
RETURNING *;

-- name: withhold_findings
-- moves: pending -> withheld
-- In the transaction in which a newer head overtakes their tasks.
UPDATE effects SET state = 'withheld', error = 'superseded', done_at = :now
WHERE
    task_id IN (SELECT value FROM json_each(:tasks))
    AND state = 'pending'
    AND kind IN ('comment', 'review', 'pull_request');

-- name: withhold_overtaken
-- moves: pending -> withheld
-- What was under way when its task was overtaken, and turned out not to have arrived.
UPDATE effects INDEXED BY effects_open SET state = 'withheld', error = 'superseded', done_at = :now
WHERE
    state IN ('pending', 'sending', 'unknown')
    AND state = 'pending'
    AND kind IN ('comment', 'review', 'pull_request')
    AND EXISTS (
        SELECT 1 FROM tasks AS t
        WHERE t.id = effects.task_id AND t.superseded_by IS NOT NULL
    )
RETURNING id;

-- name: withhold_rest
-- moves: pending -> withheld
-- A task that ends while nobody is at it: its end is shown instead of what was still to be shown of it.
UPDATE effects SET state = 'withheld', error = :reason, done_at = :now
WHERE
    task_id = :task_id
    AND state = 'pending'
    AND kind IN ('check', 'status', 'comment', 'review', 'pull_request');

-- name: finish_effect
-- moves: sending -> done; unknown -> done
-- It is visible, and this is where.
UPDATE effects SET
    state = 'done', remote_id = :remote_id, remote_url = :remote_url, error = NULL, done_at = :now
WHERE id = :id AND state IN ('sending', 'unknown')
RETURNING id;

-- name: fail_effect
-- moves: sending -> failed; unknown -> failed
-- It will not become visible by itself.
UPDATE effects SET state = 'failed', error = :error, done_at = :now
WHERE id = :id AND state IN ('sending', 'unknown')
RETURNING id;

-- name: retry_effect
-- moves: sending -> pending; unknown -> pending
-- It certainly had no effect, so it may be sent again.
UPDATE effects SET state = 'pending', error = :error, not_before_at = :not_before_at
WHERE id = :id AND state IN ('sending', 'unknown')
RETURNING id;

-- name: doubt_effect
-- moves: sending -> unknown
-- The request left and no answer came: to be looked up, never guessed.
UPDATE effects SET state = 'unknown', error = :error, not_before_at = :not_before_at
WHERE id = :id AND state = 'sending'
RETURNING id;

-- name: postpone_effect
-- covend itself failed before it left: others go first.
UPDATE effects SET error = :error, not_before_at = :not_before_at
WHERE id = :id AND state = 'pending'
RETURNING id;

-- name: postpone_look_up
-- A look-up that found nothing, or failed, waits and counts.
UPDATE effects SET error = :error, not_before_at = :not_before_at, tries = tries + 1
WHERE id = :id AND state = 'unknown'
RETURNING id;

-- name: doubt_all_sending
-- moves: sending -> unknown
-- After a crash nobody knows whether these left.
UPDATE effects INDEXED BY effects_open SET
    state = 'unknown', error = 'covend stopped while this was being sent', not_before_at = :not_before_at
WHERE state IN ('pending', 'sending', 'unknown') AND state = 'sending'
RETURNING id;

-- name: list_effects
-- A page of effects, newest first, from below the cursor.
SELECT * FROM effects
WHERE
    id < :cursor
    AND (:state IS NULL OR state = :state)
    AND (:task_id IS NULL OR task_id = :task_id)
ORDER BY id DESC
LIMIT :limit;

-- name: list_task_effects
-- What a task made visible, in order.
SELECT * FROM effects WHERE task_id = :task_id ORDER BY id;
