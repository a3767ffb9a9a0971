-- The first schema: deliveries, the tasks they ask for, attempts at them, and the outbox.
-- Moments are integer milliseconds UTC in columns ending _at. Ids sort by time.

CREATE TABLE policies (
    sha256 TEXT NOT NULL PRIMARY KEY,
    body BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE deliveries (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    via TEXT NOT NULL,
    event TEXT NOT NULL,
    action TEXT,
    installation_id INTEGER,
    repository_id INTEGER,
    repository TEXT,
    sender TEXT,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    body_sha256 BLOB NOT NULL,
    body BLOB NOT NULL,
    headers BLOB NOT NULL,
    verdicts BLOB NOT NULL,
    duplicates INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT delivery_via CHECK (via IN ('webhook', 'reconcile', 'api', 'schedule', 'replay')),
    CONSTRAINT delivery_body_sha256_is_one CHECK (length(body_sha256) = 32)
) STRICT;

-- One delivery per id, whatever the way it came.
CREATE UNIQUE INDEX delivery_one_per_id ON deliveries (id);

-- The signature covers the body alone: the same body under a new id is the same delivery.
CREATE UNIQUE INDEX delivery_one_per_body ON deliveries (body_sha256, event)
WHERE via = 'webhook' AND source = 'github';

CREATE TABLE tasks (
    id TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    not_before_at INTEGER NOT NULL,
    rule TEXT NOT NULL,
    agent TEXT NOT NULL,
    priority INTEGER NOT NULL,
    key TEXT NOT NULL,
    generation INTEGER NOT NULL CHECK (generation >= 1),
    policy TEXT NOT NULL REFERENCES policies (sha256),
    trust TEXT NOT NULL,
    event TEXT NOT NULL,
    installation_id INTEGER,
    repository_id INTEGER,
    repository TEXT,
    repository_key TEXT NOT NULL,
    default_branch TEXT,
    clone_url TEXT,
    subject_type TEXT NOT NULL,
    subject_number INTEGER,
    subject_title TEXT NOT NULL,
    subject_url TEXT NOT NULL,
    subject_author TEXT NOT NULL,
    head_sha TEXT,
    base_sha TEXT,
    head_ref TEXT,
    base_ref TEXT,
    head_repository TEXT,
    command TEXT,
    needs TEXT NOT NULL,
    delivery_id TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    infrastructure_failures INTEGER NOT NULL DEFAULT 0,
    claim TEXT,
    lease_until_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER,
    conclusion TEXT,
    summary TEXT,
    error_code TEXT,
    error_message TEXT,
    cost_usd REAL,
    CONSTRAINT task_claim_iff_running CHECK (
        (state = 'running') = (claim IS NOT NULL)
        AND (claim IS NULL) = (lease_until_at IS NULL)
    ),
    CONSTRAINT task_finished_iff_ended CHECK (
        (state IN ('received', 'queued', 'running')) = (finished_at IS NULL)
    )
) STRICT;

-- Whoever asks for the same work gets the task that is there.
CREATE UNIQUE INDEX task_one_per_key ON tasks (key, generation)
WHERE state IN ('received', 'queued', 'running', 'completed');

-- In the order in which a repository's tasks are claimed.
CREATE INDEX tasks_queued ON tasks (
    repository_key, priority DESC, not_before_at, created_at, id
) WHERE state = 'queued';

CREATE INDEX tasks_received ON tasks (not_before_at) WHERE state = 'received';

CREATE INDEX tasks_running ON tasks (agent, lease_until_at) WHERE state = 'running';

CREATE INDEX tasks_by_state ON tasks (state, id);

CREATE TABLE delivery_tasks (
    delivery_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (delivery_id, task_id)
) STRICT, WITHOUT ROWID;

-- Whose turn it was last: the repository with the smallest turn goes first.
CREATE TABLE turns (
    repository_key TEXT NOT NULL PRIMARY KEY,
    turn INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX turns_by_turn ON turns (turn);

-- Every move of every task, written by triggers alone.
CREATE TABLE timeline (
    number INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    source TEXT,
    target TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;

CREATE INDEX timeline_by_task ON timeline (task_id, number);

-- A task is linked to the delivery that asked for it first in the same breath.
CREATE TRIGGER task_begins AFTER INSERT ON tasks
BEGIN
    INSERT INTO timeline (task_id, at, source, target, reason)
    VALUES (new.id, new.updated_at, NULL, new.state, new.reason);
    INSERT INTO delivery_tasks (delivery_id, task_id, reason)
    SELECT new.delivery_id, new.id, 'new' WHERE new.delivery_id IS NOT NULL;
END;

CREATE TRIGGER task_moves AFTER UPDATE OF state ON tasks WHEN old.state <> new.state
BEGIN
    INSERT INTO timeline (task_id, at, source, target, reason)
    VALUES (new.id, new.updated_at, old.state, new.state, new.reason);
END;

CREATE TABLE attempts (
    task_id TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    claim TEXT NOT NULL,
    agent TEXT NOT NULL,
    node TEXT NOT NULL,
    mode TEXT NOT NULL,
    phase TEXT NOT NULL,
    outcome TEXT,
    error_code TEXT,
    error_message TEXT,
    exit_code INTEGER,
    signal TEXT,
    pid INTEGER,
    pid_started INTEGER,
    boot_id TEXT,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    session TEXT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cost_usd REAL,
    log_bytes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (task_id, number),
    CONSTRAINT attempt_ended_iff_outcome CHECK ((outcome IS NULL) = (ended_at IS NULL))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX attempt_one_open_per_task ON attempts (task_id) WHERE outcome IS NULL;

CREATE TABLE effects (
    id TEXT NOT NULL PRIMARY KEY,
    task_id TEXT NOT NULL REFERENCES tasks (id),
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

CREATE INDEX effects_open ON effects (state, not_before_at)
WHERE state IN ('pending', 'sending', 'unknown');

CREATE INDEX effects_open_by_subject ON effects (subject, id)
WHERE state IN ('pending', 'sending', 'unknown');

CREATE INDEX effects_done_by_slot ON effects (slot, id) WHERE state = 'done';

CREATE INDEX effects_by_task ON effects (task_id, id);
