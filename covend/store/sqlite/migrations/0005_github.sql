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
    -- From when on what is known of it is deleted.
    forget_at INTEGER,
    CONSTRAINT installation_state CHECK (state IN ('active', 'suspended', 'deleted'))
) STRICT;

CREATE INDEX installations_to_forget ON installations (forget_at) WHERE forget_at IS NOT NULL;

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
