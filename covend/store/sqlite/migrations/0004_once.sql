-- What a task's life needs to be told once: who asked, which head took its place, what it may still try; the
-- safeguards, what was spent, commands, and subjects that were closed.

-- The login that caused it, as the payload names it.
ALTER TABLE tasks ADD COLUMN actor TEXT;

-- When its subject was last changed, as the payload says: an older event starts nothing stale.
ALTER TABLE tasks ADD COLUMN subject_updated_at INTEGER;

-- The head that this one replaced, where the payload tells it: it orders two pushes of one second.
ALTER TABLE tasks ADD COLUMN before_sha TEXT;

-- Whether a task on another head of its rule and subject takes the place of this one.
ALTER TABLE tasks ADD COLUMN is_by_head INTEGER NOT NULL DEFAULT 0 CHECK (is_by_head IN (0, 1));

-- The task on a newer head: this one ends superseded, whatever its attempt comes to.
ALTER TABLE tasks ADD COLUMN superseded_by TEXT;

-- The task whose end asked for this one, and how many such steps lie behind it.
ALTER TABLE tasks ADD COLUMN parent_id TEXT;

ALTER TABLE tasks ADD COLUMN depth INTEGER NOT NULL DEFAULT 0 CHECK (depth >= 0);

-- The agents still to be tried after this one, in order.
ALTER TABLE tasks ADD COLUMN fallbacks TEXT NOT NULL DEFAULT '[]';

-- Whether the next attempt goes on with no session, because going on has failed.
ALTER TABLE tasks ADD COLUMN is_afresh INTEGER NOT NULL DEFAULT 0 CHECK (is_afresh IN (0, 1));

-- From when on a task that has failed is too old to be tried again.
ALTER TABLE tasks ADD COLUMN retry_until_at INTEGER;

ALTER TABLE tasks ADD COLUMN approved_at INTEGER;

ALTER TABLE tasks ADD COLUMN approved_by TEXT;

-- What was handed in with a submission, as JSON, for its agent.
ALTER TABLE tasks ADD COLUMN inputs TEXT NOT NULL DEFAULT '{}';

-- What was done about a subject: the newest task of each rule is the last; also which are open.
DROP INDEX tasks_tried_by_subject;

CREATE INDEX tasks_by_subject ON tasks (repository_key, subject_number, rule, id)
WHERE subject_number IS NOT NULL;

-- Two generations of one piece of work never run at once.
CREATE UNIQUE INDEX task_one_running_per_key ON tasks (key) WHERE state = 'running';

-- What nobody is at and what is to end: see list_overdue_tasks.
CREATE INDEX tasks_overdue ON tasks (state, id)
WHERE state IN ('queued', 'completed') AND (superseded_by IS NOT NULL OR reason = 'closed');

CREATE INDEX tasks_by_age ON tasks (retry_until_at)
WHERE state = 'queued' AND retry_until_at IS NOT NULL;

CREATE INDEX attempts_by_start ON attempts (started_at);

-- What is queued stands in lines, one for each repository, agent and priority, each in the order of its claims:
-- what waits, or has a full agent, is passed by without being read.
DROP INDEX tasks_queued;

CREATE INDEX tasks_queued ON tasks (
    repository_key, agent, priority, not_before_at, created_at, id
) WHERE state = 'queued';

-- What is due is held at once, and the next that will be is found by one seek.
CREATE INDEX tasks_due ON tasks (not_before_at) WHERE state = 'queued';

-- The oldest lease first.
DROP INDEX tasks_running;

CREATE INDEX tasks_running ON tasks (lease_until_at) WHERE state = 'running';

-- The story tells why a task waits, and who shall do it, when that changes.
CREATE TRIGGER task_waits AFTER UPDATE OF reason, agent ON tasks
WHEN
    old.state = new.state AND new.state IN ('received', 'queued')
    AND (old.reason <> new.reason OR old.agent <> new.agent)
BEGIN
    INSERT INTO timeline (task_id, at, source, target, reason)
    VALUES (
        new.id, new.updated_at, new.state, new.state,
        new.reason || iif(old.agent <> new.agent, ': ' || old.agent || ' -> ' || new.agent, '')
    );
END;

CREATE TRIGGER task_is_superseded AFTER UPDATE OF superseded_by ON tasks
WHEN old.superseded_by IS NULL AND new.superseded_by IS NOT NULL AND new.state = old.state
BEGIN
    INSERT INTO timeline (task_id, at, source, target, reason)
    VALUES (new.id, new.updated_at, new.state, new.state, 'superseded by ' || new.superseded_by);
END;

-- When a pull request or issue was last closed, as its payload says.
CREATE TABLE closings (
    repository_key TEXT NOT NULL,
    number INTEGER NOT NULL,
    closed_at INTEGER NOT NULL,
    PRIMARY KEY (repository_key, number)
) STRICT, WITHOUT ROWID;

-- Every limiter that outlives a restart, one row each; what is not here is at rest.
CREATE TABLE safeguards (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    scope TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    until_at INTEGER,
    details TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT safeguard_kind CHECK (
        kind IN ('rate', 'budget', 'loop', 'crash_loop', 'circuit', 'pause', 'drain')
    )
) STRICT, WITHOUT ROWID;

-- What may come to rest by itself, the longest unchanged first: see remove_resting_safeguards.
CREATE INDEX safeguards_by_change ON safeguards (updated_at)
WHERE state IN ('counting', 'closed', 'suppressed', 'holding');

-- What attempts have cost, by scope and day (days since 1970 in UTC; 0 where it is for good). Written with the
-- end of each attempt.
CREATE TABLE spending (
    scope TEXT NOT NULL,
    day INTEGER NOT NULL,
    usd REAL NOT NULL DEFAULT 0,
    tokens INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (scope, day)
) STRICT, WITHOUT ROWID;

CREATE INDEX spending_by_day ON spending (day) WHERE day > 0;

-- What people have said to covend itself, each wish once: an edited comment says the same verb only once.
CREATE TABLE commands (
    delivery_id TEXT NOT NULL PRIMARY KEY,
    verb TEXT NOT NULL,
    command TEXT NOT NULL,
    is_wanted INTEGER NOT NULL CHECK (is_wanted IN (0, 1)),
    installation_id INTEGER,
    repository_id INTEGER,
    repository TEXT,
    repository_key TEXT NOT NULL,
    subject_type TEXT NOT NULL,
    subject_number INTEGER,
    is_bot INTEGER NOT NULL CHECK (is_bot IN (0, 1)),
    state TEXT NOT NULL DEFAULT 'received',
    reason TEXT NOT NULL DEFAULT 'new',
    not_before_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    done_at INTEGER,
    place TEXT NOT NULL,
    comment_id INTEGER NOT NULL,
    CONSTRAINT command_state CHECK (state IN ('received', 'done', 'refused')),
    CONSTRAINT command_done_iff_ended CHECK ((state = 'received') = (done_at IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX commands_open ON commands (not_before_at) WHERE state = 'received';

-- What was said on one subject is done in its order.
CREATE INDEX commands_open_by_subject ON commands (repository_key, subject_number, created_at, comment_id, reason)
WHERE state = 'received';

-- However often a comment is edited, and by however many hooks it is told.
CREATE UNIQUE INDEX command_one_per_comment ON commands (place, comment_id, verb);

-- An effect may answer a command that is no task: its task may be missing now.
CREATE TABLE effects_anew (
    id TEXT NOT NULL PRIMARY KEY,
    task_id TEXT REFERENCES tasks (id),
    kind TEXT NOT NULL,
    slot TEXT NOT NULL,
    subject TEXT NOT NULL,
    target TEXT NOT NULL,
    installation_id INTEGER,
    repository TEXT,
    request BLOB NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    not_before_at INTEGER NOT NULL,
    remote_id TEXT,
    remote_url TEXT,
    error TEXT,
    created_at INTEGER NOT NULL,
    sent_at INTEGER,
    done_at INTEGER
) STRICT;

INSERT INTO effects_anew
SELECT
    id, task_id, kind, slot, subject, target, installation_id, repository, request, state, tries,
    not_before_at, remote_id, remote_url, error, created_at, sent_at, done_at
FROM effects;

DROP TABLE effects;

ALTER TABLE effects_anew RENAME TO effects;

CREATE INDEX effects_open ON effects (state, not_before_at)
WHERE state IN ('pending', 'sending', 'unknown');

CREATE INDEX effects_open_by_subject ON effects (subject, id)
WHERE state IN ('pending', 'sending', 'unknown');

CREATE INDEX effects_done_by_slot ON effects (slot, id) WHERE state = 'done';

CREATE INDEX effects_by_task ON effects (task_id, id);
