-- Who has asked for which change, and what came of it.

-- Written before the change is tried; an outcome that is missing was cut off by the end of covend.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    way TEXT NOT NULL,
    address TEXT,
    client TEXT,
    verb TEXT NOT NULL,
    target TEXT,
    details TEXT NOT NULL,
    outcome TEXT,
    ended_at INTEGER,
    CONSTRAINT audit_way CHECK (way IN ('api', 'dashboard', 'comment', 'signal')),
    CONSTRAINT audit_outcome_iff_ended CHECK ((outcome IS NULL) = (ended_at IS NULL))
) STRICT;

-- What was done to one thing.
CREATE INDEX audit_by_target ON audit (target, number) WHERE target IS NOT NULL;
