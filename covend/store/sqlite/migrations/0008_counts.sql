-- How many tasks and effects there are in each state: asked for by every scrape and every page, and by then a count over
-- all rows would be too many to look at.

CREATE TABLE counts (
    noun TEXT NOT NULL,
    state TEXT NOT NULL,
    count INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (noun, state),
    CONSTRAINT count_is_of_rows CHECK (count >= 0)
) STRICT, WITHOUT ROWID;

INSERT INTO counts (noun, state, count)
SELECT 'task', state, count(*) FROM tasks GROUP BY state;

INSERT INTO counts (noun, state, count)
SELECT 'effect', state, count(*) FROM effects GROUP BY state;

CREATE TRIGGER task_is_counted AFTER INSERT ON tasks
BEGIN
    INSERT INTO counts (noun, state, count) VALUES ('task', new.state, 1)
    ON CONFLICT (noun, state) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER task_is_counted_elsewhere AFTER UPDATE OF state ON tasks WHEN old.state <> new.state
BEGIN
    UPDATE counts SET count = count - 1 WHERE noun = 'task' AND state = old.state;
    INSERT INTO counts (noun, state, count) VALUES ('task', new.state, 1)
    ON CONFLICT (noun, state) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER task_is_counted_no_more AFTER DELETE ON tasks
BEGIN
    UPDATE counts SET count = count - 1 WHERE noun = 'task' AND state = old.state;
END;

CREATE TRIGGER effect_is_counted AFTER INSERT ON effects
BEGIN
    INSERT INTO counts (noun, state, count) VALUES ('effect', new.state, 1)
    ON CONFLICT (noun, state) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER effect_is_counted_elsewhere AFTER UPDATE OF state ON effects
WHEN old.state <> new.state
BEGIN
    UPDATE counts SET count = count - 1 WHERE noun = 'effect' AND state = old.state;
    INSERT INTO counts (noun, state, count) VALUES ('effect', new.state, 1)
    ON CONFLICT (noun, state) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER effect_is_counted_no_more AFTER DELETE ON effects
BEGIN
    UPDATE counts SET count = count - 1 WHERE noun = 'effect' AND state = old.state;
END;

-- What waits for somebody to mend it is few among the many that are done.
CREATE INDEX effects_not_done ON effects (state, id)
WHERE state IN ('pending', 'sending', 'unknown', 'failed', 'withheld');
