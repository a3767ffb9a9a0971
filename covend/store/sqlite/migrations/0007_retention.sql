-- What is deleted by its age is found without reading what is kept; and what was shown before a backup was
-- restored is not shown twice.

-- The few of these that have ended, the oldest first: deliveries, tasks and effects are walked in the order of their
-- making, which these tables do not have.
CREATE INDEX commands_done ON commands (done_at) WHERE done_at IS NOT NULL;

CREATE INDEX reruns_done ON reruns (done_at) WHERE done_at IS NOT NULL;

CREATE INDEX closings_by_age ON closings (closed_at);

-- What a task shows that is older than the last restore of a backup may be visible already, from the time that was
-- lost with the database: it is looked for before it is sent. So are, for a day, the answers to commands.
CREATE TRIGGER effect_may_be_visible AFTER INSERT ON effects
WHEN
    new.kind <> 'callback'
    AND EXISTS (
        SELECT 1 FROM cursors AS c
        WHERE
            c.name = 'restored'
            AND coalesce(
                (SELECT t.created_at FROM tasks AS t WHERE t.id = new.task_id),
                new.created_at - 86400000
            ) <= c.updated_at
    )
BEGIN
    UPDATE effects SET sent_at = new.created_at WHERE id = new.id;
END;
