-- name: floor_of_tasks
-- How far down one page looks: the id of the row so many below the cursor, by the index of ids alone.
SELECT id FROM tasks WHERE id < :cursor ORDER BY id DESC LIMIT 1 OFFSET :looked_at;

-- name: floor_of_tasks_in_state
-- As floor_of_tasks, by the index of one state.
SELECT id FROM tasks INDEXED BY tasks_by_state
WHERE state = :state AND id < :cursor
ORDER BY id DESC
LIMIT 1 OFFSET :looked_at;

-- name: search_tasks
-- A page of what somebody looks for, newest first, between the floor and the cursor.
SELECT * FROM tasks
WHERE
    id < :cursor
    AND id >= :floor
    AND (:rule IS NULL OR rule = :rule)
    AND (:repository IS NULL OR repository = :repository)
    AND (:agent IS NULL OR agent = :agent)
    AND (:subject_number IS NULL OR (subject_number = :subject_number AND lower(repository) = :subject_repository))
    AND (:since IS NULL OR created_at >= :since)
    AND (:until IS NULL OR created_at < :until)
    AND (
        :search IS NULL
        OR lower(substr(id, 1, length(:search))) = :search
        OR instr(lower(subject_title), :search) > 0
        OR instr(lower(repository), :search) > 0
        OR instr(lower(rule), :search) > 0
        OR instr(lower(key), :search) > 0
    )
ORDER BY id DESC
LIMIT :limit;

-- name: search_tasks_in_state
-- As search_tasks, by the index of one state.
SELECT * FROM tasks INDEXED BY tasks_by_state
WHERE
    state = :state
    AND id < :cursor
    AND id >= :floor
    AND (:rule IS NULL OR rule = :rule)
    AND (:repository IS NULL OR repository = :repository)
    AND (:agent IS NULL OR agent = :agent)
    AND (:subject_number IS NULL OR (subject_number = :subject_number AND lower(repository) = :subject_repository))
    AND (:since IS NULL OR created_at >= :since)
    AND (:until IS NULL OR created_at < :until)
    AND (
        :search IS NULL
        OR lower(substr(id, 1, length(:search))) = :search
        OR instr(lower(subject_title), :search) > 0
        OR instr(lower(repository), :search) > 0
        OR instr(lower(rule), :search) > 0
        OR instr(lower(key), :search) > 0
    )
ORDER BY id DESC
LIMIT :limit;

-- name: floor_of_deliveries
-- How far down one page looks: the number of the row so many below the cursor.
SELECT number FROM deliveries WHERE number < :cursor ORDER BY number DESC LIMIT 1 OFFSET :looked_at;

-- name: find_delivery_at
-- The first delivery from a number on: some of them are deleted by now.
SELECT number, received_at FROM deliveries WHERE number >= :number ORDER BY number LIMIT 1;

-- name: search_deliveries
-- A page of what somebody looks for, newest first, between the floor and the cursor.
SELECT
    number, id, source, via, event, action, installation_id, repository_id, repository, sender,
    state, reason, received_at, hex(body_sha256) AS body_sha256, duplicates
FROM deliveries
WHERE
    number < :cursor
    AND number >= :floor
    AND (:state IS NULL OR state = :state)
    AND (:event IS NULL OR event = :event)
    AND (:repository IS NULL OR repository = :repository)
    AND (:sender IS NULL OR lower(sender) = :sender)
    AND (:since IS NULL OR received_at >= :since)
    AND (
        :search IS NULL
        OR lower(substr(id, 1, length(:search))) = :search
        OR instr(lower(repository), :search) > 0
        OR instr(lower(sender), :search) > 0
        OR instr(lower(event || coalesce('.' || action, '')), :search) > 0
        OR instr(lower(reason), :search) > 0
    )
ORDER BY number DESC
LIMIT :limit;

-- name: floor_of_effects
-- How far down one page looks: the id of the row so many below the cursor, by the index of ids alone.
SELECT id FROM effects WHERE id < :cursor ORDER BY id DESC LIMIT 1 OFFSET :looked_at;

-- name: search_effects
-- A page of effects of one kind, newest first, between the floor and the cursor.
SELECT * FROM effects
WHERE
    id < :cursor
    AND id >= :floor
    AND kind = :kind
    AND (:state IS NULL OR state = :state)
    AND (:task_id IS NULL OR task_id = :task_id)
ORDER BY id DESC
LIMIT :limit;
