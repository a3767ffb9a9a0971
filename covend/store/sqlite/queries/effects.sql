-- name: insert_effects
-- In the transaction that changes the task: either both are seen or neither.
INSERT INTO effects (
    id, task_id, kind, slot, subject, target, installation_id, repository, request,
    state, not_before_at, created_at
) VALUES :each;

-- name: list_sendable_effects
-- The oldest open effect of each subject, where it is due: one sender per subject, in order. Installations that have
-- all their places are passed by, so that a crowd of theirs hides nobody else's. Callbacks have lines of their own.
SELECT e.* FROM effects AS e INDEXED BY effects_open
WHERE
    e.state IN ('pending', 'sending', 'unknown')
    AND e.state = 'pending'
    AND e.not_before_at <= :now
    AND e.kind <> 'callback'
    AND coalesce(e.installation_id, 0) NOT IN (SELECT b.value FROM json_each(:busy) AS b)
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
WHERE
    state IN ('pending', 'sending', 'unknown')
    AND state = 'unknown'
    AND not_before_at <= :now
    AND kind <> 'callback'
    AND coalesce(installation_id, 0) NOT IN (SELECT b.value FROM json_each(:busy) AS b)
ORDER BY id
LIMIT :limit;

-- name: list_sending_effects
-- What is marked as under way: where nobody is at it any more, its outcome is not known.
SELECT * FROM effects INDEXED BY effects_open
WHERE
    state IN ('pending', 'sending', 'unknown')
    AND state = 'sending'
    AND kind <> 'callback'
ORDER BY id
LIMIT :limit;

-- name: next_effect_due_at
-- When its sender has something to do again.
SELECT min(not_before_at) AS at FROM effects INDEXED BY effects_open
WHERE
    state IN ('pending', 'sending', 'unknown')
    AND state IN ('pending', 'unknown')
    AND not_before_at > :now
    AND kind <> 'callback';

-- name: find_slot
-- The visible thing that a later effect of the same slot updates.
SELECT * FROM effects INDEXED BY effects_by_slot
WHERE
    slot = :slot
    AND state IN ('pending', 'sending', 'unknown', 'done')
    AND state = 'done'
    AND remote_id IS NOT NULL
ORDER BY id DESC
LIMIT 1;

-- name: list_visible_effects
-- What is to be seen in the slots of one kind of thing on one subject, newest first.
SELECT * FROM effects INDEXED BY effects_by_slot
WHERE
    slot >= :prefix
    AND slot < :prefix || char(1114111)
    AND state IN ('pending', 'sending', 'unknown', 'done')
    AND state = 'done'
    AND remote_id IS NOT NULL
ORDER BY id DESC
LIMIT :limit;

-- name: is_outdated
-- Whether a review has a later one beside it, visible or on its way, and nobody has put it away yet.
SELECT 1 AS is_so FROM effects INDEXED BY effects_by_slot
WHERE
    slot >= :prefix
    AND slot < :prefix || char(1114111)
    AND state IN ('pending', 'sending', 'unknown', 'done')
    AND kind = 'review'
    AND task_id > :task_id
    AND NOT EXISTS (
        SELECT 1 FROM effects AS d INDEXED BY effects_by_slot
        WHERE d.slot = :dismissal AND d.state IN ('pending', 'sending', 'unknown', 'done')
    )
LIMIT 1;

-- name: find_effects_by_prefix
-- An effect by the beginning of its id, as people type it; two rows mean that it was not enough.
SELECT * FROM effects
WHERE id >= :prefix AND id < :prefix || '{'
ORDER BY id
LIMIT 2;

-- name: find_effect
-- One effect by its whole id.
SELECT * FROM effects WHERE id = :id;

-- name: begin_effect
-- moves: pending -> sending
-- On disk before the request leaves, so that a crash in between is seen and looked up; and not where it was put off
-- since somebody read it.
UPDATE effects SET state = 'sending', tries = tries + 1, sent_at = :now
WHERE id = :id AND state = 'pending' AND not_before_at <= :now
RETURNING *;

-- name: withhold_overtaken_effect
-- moves: pending -> withheld
-- In the transaction that would mark it as under way: a newer head has overtaken its task meanwhile.
UPDATE effects SET state = 'withheld', error = 'superseded', done_at = :now
WHERE
    id = :id
    AND state = 'pending'
    AND kind IN ('comment', 'review', 'pull_request', 'labels', 'dismissal')
    AND EXISTS (
        SELECT 1 FROM tasks AS t
        WHERE t.id = effects.task_id AND (t.superseded_by IS NOT NULL OR t.state = 'superseded')
    )
RETURNING id;

-- name: withhold_outdated_comment
-- moves: pending -> withheld
-- A text never takes the place of a newer one, however late the end is written that it tells. Of one task the later
-- text is newer; of one piece of work, that of its later generation; else that of the task that was asked for later.
UPDATE effects SET state = 'withheld', error = 'a newer text has its place', done_at = :now
WHERE
    id = :id
    AND state = 'pending'
    AND kind = 'comment'
    AND EXISTS (
        SELECT 1
        FROM tasks AS m
        CROSS JOIN effects AS o INDEXED BY effects_by_slot
        CROSS JOIN tasks AS t
        WHERE
            m.id = effects.task_id
            AND o.slot = effects.slot
            AND o.state IN ('pending', 'sending', 'unknown', 'done')
            AND t.id = o.task_id
            AND CASE
                WHEN t.id = m.id THEN o.id > effects.id
                WHEN t.key = m.key THEN t.generation > m.generation
                ELSE t.id > m.id
            END
    )
RETURNING id;

-- name: withhold_findings
-- moves: pending -> withheld
-- In the transaction in which a newer head overtakes their tasks.
UPDATE effects SET state = 'withheld', error = 'superseded', done_at = :now
WHERE
    task_id IN (SELECT value FROM json_each(:tasks))
    AND state = 'pending'
    AND kind IN ('comment', 'review', 'pull_request', 'labels', 'dismissal');

-- name: withhold_overtaken
-- moves: pending -> withheld
-- What was under way when its task was overtaken, and turned out not to have arrived.
UPDATE effects INDEXED BY effects_open SET state = 'withheld', error = 'superseded', done_at = :now
WHERE
    state IN ('pending', 'sending', 'unknown')
    AND state = 'pending'
    AND kind IN ('comment', 'review', 'pull_request', 'labels', 'dismissal')
    AND EXISTS (
        SELECT 1 FROM tasks AS t
        WHERE t.id = effects.task_id AND (t.superseded_by IS NOT NULL OR t.state = 'superseded')
    )
RETURNING id;

-- name: withhold_rest
-- moves: pending -> withheld
-- A task that ends while nobody is at it: its end is shown instead of what was still to be shown of it.
UPDATE effects SET state = 'withheld', error = :reason, done_at = :now
WHERE
    task_id = :task_id
    AND state = 'pending'
    AND kind IN ('check', 'status', 'comment', 'review', 'pull_request', 'labels', 'dismissal');

-- name: finish_effect
-- moves: sending -> done; unknown -> done
-- It is visible, and this is where.
UPDATE effects SET
    state = 'done', remote_id = :remote_id, remote_url = :remote_url, error = NULL, done_at = :now
WHERE id = :id AND state IN ('sending', 'unknown')
RETURNING *;

-- name: fail_effect
-- moves: sending -> failed; unknown -> failed
-- It will not become visible by itself. When it left is kept only where it may be visible all the same: it must be
-- looked for before it is ever sent again.
UPDATE effects SET
    state = 'failed', error = :error, done_at = :now, sent_at = iif(:is_doubtful, sent_at, NULL)
WHERE id = :id AND state IN ('sending', 'unknown')
RETURNING id;

-- name: retry_effect
-- moves: sending -> pending; unknown -> pending
-- It certainly had no effect, so it may be sent again.
UPDATE effects SET
    state = 'pending', error = :error, not_before_at = :not_before_at, sent_at = NULL
WHERE id = :id AND state IN ('sending', 'unknown')
RETURNING id;

-- name: put_back_effect
-- moves: sending -> pending
-- It was not let out: that was no try.
UPDATE effects SET
    state = 'pending', error = :error, not_before_at = :not_before_at, tries = tries - 1, sent_at = NULL
WHERE id = :id AND state = 'sending'
RETURNING id;

-- name: postpone_installation
-- What one limit holds, it holds at once: nothing of an installation leaves before GitHub lets it.
UPDATE effects INDEXED BY effects_open_by_installation SET
    error = :error, not_before_at = :not_before_at
WHERE
    state = 'pending'
    AND installation_id IS :installation_id
    AND not_before_at < :not_before_at
    AND kind <> 'callback'
RETURNING id;

-- name: find_newer_in_slot
-- What stands, or is about to stand, where an effect would: the newest that it must not take the place of. What only
-- adds to a check comes after the part that it adds to, and takes no place.
SELECT o.id, o.state
FROM effects AS e
CROSS JOIN effects AS o INDEXED BY effects_by_slot
LEFT JOIN tasks AS m ON m.id = e.task_id
LEFT JOIN tasks AS t ON t.id = o.task_id
WHERE
    e.id = :id
    AND o.slot = e.slot
    AND o.id <> e.id
    AND o.state IN ('pending', 'sending', 'unknown', 'done')
    AND NOT coalesce(json_extract(CAST(o.request AS TEXT), '$.is_added'), FALSE)
    AND (
        o.id > e.id
        OR (e.kind = 'comment' AND iif(t.key = m.key, t.generation > m.generation, t.id > m.id))
    )
ORDER BY o.id DESC
LIMIT 1;

-- name: find_overtaken
-- Whether an effect shows what was found on a head that a newer one has overtaken.
SELECT t.id FROM effects AS e CROSS JOIN tasks AS t
WHERE
    e.id = :id
    AND t.id = e.task_id
    AND e.kind IN ('comment', 'review', 'pull_request', 'labels', 'dismissal')
    AND (t.superseded_by IS NOT NULL OR t.state = 'superseded');

-- name: ask_effect_again
-- moves: failed -> pending
-- Somebody has mended what stood in its way: it has all its tries, and the same request byte for byte.
UPDATE effects SET state = 'pending', error = NULL, tries = 0, not_before_at = :now, done_at = NULL
WHERE id = :id AND state = 'failed'
RETURNING *;

-- name: doubt_effect
-- moves: sending -> unknown
-- The request left and no answer came: to be looked up, never guessed.
UPDATE effects SET state = 'unknown', error = :error, not_before_at = :not_before_at
WHERE id = :id AND state = 'sending'
RETURNING id;

-- name: postpone_effect
-- Something failed before it left, and it used up no try: others go first.
UPDATE effects SET error = :error, not_before_at = :not_before_at
WHERE id = :id AND state = 'pending'
RETURNING id;

-- name: delay_look_up
-- A look-up that was not let out waits, and does not count.
UPDATE effects SET error = :error, not_before_at = :not_before_at
WHERE id = :id AND state = 'unknown'
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
WHERE
    state IN ('pending', 'sending', 'unknown')
    AND state = 'sending'
    AND kind <> 'callback'
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

-- name: list_effects_not_done
-- As list_effects, by the index of what is not done.
SELECT * FROM effects INDEXED BY effects_not_done
WHERE
    state IN ('pending', 'sending', 'unknown', 'failed', 'withheld')
    AND state = :state
    AND id < :cursor
ORDER BY id DESC
LIMIT :limit;

-- name: list_task_effects
-- What a task made visible, in order.
SELECT * FROM effects WHERE task_id = :task_id ORDER BY id;
