-- Where covend is installed, how far lists outside have been read, and what belongs to whom.

-- An account that has the App, as GitHub's events tell it; none with a plain token.
CREATE TABLE installations (
    id INTEGER NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    state TEXT NOT NULL,
    -- Given to the App, as JSON: name to `read` or `write`.
    permissions TEXT NOT NULL DEFAULT '{}',
    -- Told to the App, as JSON: a list of names.
    events TEXT NOT NULL DEFAULT '[]',
    -- When this was so, by GitHub's clock: older news changes nothing.
    told_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- When somebody asked for all that is known of it to be deleted.
    forget_at INTEGER,
    CONSTRAINT installation_state CHECK (state IN ('active', 'suspended', 'deleted'))
) STRICT;

-- A repository that an installation was given, or that was taken from it.
CREATE TABLE repositories (
    repository_key TEXT NOT NULL PRIMARY KEY,
    installation_id INTEGER,
    full_name TEXT NOT NULL,
    state TEXT NOT NULL,
    told_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT repository_state CHECK (state IN ('present', 'removed', 'deleted'))
) STRICT, WITHOUT ROWID;

CREATE INDEX repositories_by_installation ON repositories (installation_id);

-- How far something was read or done whose end is never reached: a delivery log, a schedule.
CREATE TABLE cursors (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What waits for one and the same outside: an installation's limit or a target's circuit holds its own alone.
CREATE INDEX effects_open_by_installation ON effects (installation_id, not_before_at)
WHERE state = 'pending';

-- The line before each receiver of callbacks.
CREATE INDEX effects_callbacks ON effects (target, id, not_before_at)
WHERE state = 'pending' AND kind = 'callback';

-- Who has a place, or is about to: no text takes that of a newer one.
DROP INDEX effects_done_by_slot;

CREATE INDEX effects_by_slot ON effects (slot, id)
WHERE state IN ('pending', 'sending', 'unknown', 'done');

-- Somebody has asked on GitHub for checks to be made again: kept with the delivery that tells it, attended to once.
CREATE TABLE reruns (
    delivery_id TEXT NOT NULL PRIMARY KEY,
    repository_key TEXT NOT NULL,
    head_sha TEXT NOT NULL,
    -- Of the one check that is meant; NULL where all of the head are.
    external_id TEXT,
    actor TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'received',
    reason TEXT NOT NULL DEFAULT 'new',
    not_before_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    done_at INTEGER,
    CONSTRAINT rerun_state CHECK (state IN ('received', 'done', 'refused')),
    CONSTRAINT rerun_done_iff_ended CHECK ((state = 'received') = (done_at IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX reruns_open ON reruns (not_before_at) WHERE state = 'received';
