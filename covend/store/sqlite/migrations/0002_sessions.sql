-- What an attempt is held by, where it works, and which conversation of its agent it goes on with.

ALTER TABLE attempts ADD COLUMN cgroup TEXT;

-- The name of its directory, without a path.
ALTER TABLE attempts ADD COLUMN workspace TEXT;

-- The session it was asked to resume; with mode 'fresh' it could not.
ALTER TABLE attempts ADD COLUMN resumes TEXT;

-- What the resumed session had used up before: some tools count on from there.
ALTER TABLE attempts ADD COLUMN past_input_tokens INTEGER NOT NULL DEFAULT 0;

ALTER TABLE attempts ADD COLUMN past_output_tokens INTEGER NOT NULL DEFAULT 0;

-- Two attempts never work in one directory.
CREATE UNIQUE INDEX attempt_one_open_per_workspace ON attempts (workspace) WHERE outcome IS NULL;

-- The earlier work of a rule on a subject, newest last; what never ran is not in it.
CREATE INDEX tasks_tried_by_subject ON tasks (
    repository_key, rule, subject_type, subject_number, id
) WHERE attempts > 0 AND subject_number IS NOT NULL;
