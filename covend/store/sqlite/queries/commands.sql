-- name: insert_commands
-- With the delivery that brought it; a comment that says the same verb again, edited or told twice, adds nothing.
INSERT INTO commands (
    delivery_id, verb, command, is_wanted, installation_id, repository_id, repository, repository_key,
    subject_type, subject_number, is_bot, not_before_at, created_at, place, comment_id
) VALUES :each
ON CONFLICT (place, comment_id, verb) DO NOTHING;

-- name: list_due_commands
-- The first that was said on each subject and that nobody has attended to yet, where it is due: however many were
-- said there, they hide no other subject's, and what was said second is not done first. What covend itself fails at
-- holds up nobody.
SELECT c.* FROM commands AS c INDEXED BY commands_open
WHERE
    c.state = 'received'
    AND c.not_before_at <= :now
    AND NOT EXISTS (
        SELECT 1 FROM commands AS o INDEXED BY commands_open_by_subject
        WHERE
            o.state = 'received'
            AND o.repository_key = c.repository_key
            AND o.subject_number IS c.subject_number
            AND (o.created_at, o.comment_id, o.delivery_id) < (c.created_at, c.comment_id, c.delivery_id)
            AND o.reason <> 'fault'
    )
ORDER BY c.not_before_at
LIMIT :limit;

-- name: end_command
-- Its one end; the answers are written in the same transaction.
UPDATE commands SET state = :state, reason = :reason, done_at = :now
WHERE delivery_id = :id AND state = 'received'
RETURNING installation_id, repository;

-- name: postpone_command
-- What cannot be looked up now is attended to later.
UPDATE commands SET reason = :reason, not_before_at = :not_before_at
WHERE delivery_id = :id AND state = 'received';

-- name: next_command_due_at
-- When the next command that waits is due.
SELECT min(not_before_at) AS at FROM commands INDEXED BY commands_open
WHERE state = 'received' AND not_before_at > :now;

-- name: list_tasks_on_subject
-- What a command may speak of: the tasks on its subject that are open, and the newest of all, newest first. What was
-- refused is none: whoever may not ask for work hides none from those who may.
SELECT * FROM tasks
WHERE rowid IN (
    SELECT t.rowid FROM tasks AS t INDEXED BY tasks_by_subject
    WHERE
        t.repository_key = :repository_key
        AND t.subject_number = :subject_number
        AND t.state IN ('received', 'queued', 'running')
    UNION
    SELECT n.number FROM (
        SELECT t.rowid AS number FROM tasks AS t INDEXED BY tasks_by_subject
        WHERE t.repository_key = :repository_key AND t.subject_number = :subject_number AND t.state <> 'ignored'
        ORDER BY t.id DESC
        LIMIT :limit
    ) AS n
)
ORDER BY id DESC;

-- name: find_command
-- What became of what a delivery has said to covend itself.
SELECT verb, state, reason FROM commands WHERE delivery_id = :id;
