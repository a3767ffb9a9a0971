-- An operator's wish to cancel a running task, kept until the task has ended: it outlives the daemon.

ALTER TABLE tasks ADD COLUMN cancel_requested_at INTEGER;

-- Who cannot be stopped at once is stopped in the end: never back to the queue, never completed.
ALTER TABLE tasks ADD COLUMN cancel_reason TEXT
CONSTRAINT task_cancel_is_final CHECK (
    (cancel_requested_at IS NULL) = (cancel_reason IS NULL)
    AND (cancel_requested_at IS NULL OR state IN ('running', 'cancelled', 'superseded'))
);

-- The story tells the wish when it is made, not only when it has come true.
CREATE TRIGGER task_cancel_is_requested AFTER UPDATE OF cancel_requested_at ON tasks
WHEN old.cancel_requested_at IS NULL AND new.cancel_requested_at IS NOT NULL AND new.state = 'running'
BEGIN
    INSERT INTO timeline (task_id, at, source, target, reason)
    VALUES (new.id, new.cancel_requested_at, 'running', 'running', 'cancel requested by ' || new.cancel_reason);
END;
