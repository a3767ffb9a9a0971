-- name: list_counts
-- The gauges covend_tasks and covend_effects.
SELECT noun, state, count FROM counts;

-- name: count_tasks_by_state
-- Counted one by one, for who does not believe the gauge.
SELECT state, count(*) AS count FROM tasks GROUP BY state;

-- name: count_effects_by_state
-- As count_tasks_by_state.
SELECT state, count(*) AS count FROM effects GROUP BY state;

-- name: oldest_waiting
-- Since when the oldest ripe task, and the oldest unsent effect, have been waiting; callbacks, which their receivers
-- may keep waiting for a day, are counted apart.
SELECT
    (SELECT min(not_before_at) FROM tasks WHERE state = 'queued' AND not_before_at <= :now)
        AS queued_at,
    (
        SELECT min(created_at) FROM effects
        WHERE state IN ('pending', 'sending', 'unknown') AND kind <> 'callback'
    )
        AS effect_at;

-- name: newest_moment
-- The latest moment that the store knows: the clock never goes behind it.
SELECT max(
    coalesce((SELECT received_at FROM deliveries ORDER BY number DESC LIMIT 1), 0),
    coalesce((SELECT at FROM timeline ORDER BY number DESC LIMIT 1), 0)
) AS at;
