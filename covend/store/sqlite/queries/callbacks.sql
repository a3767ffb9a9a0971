-- name: list_due_callbacks
-- Of each target the oldest callback that is due: a long line before one door hides nobody else's.
SELECT * FROM effects
WHERE
    id IN (
        SELECT min(c.id) FROM effects AS c INDEXED BY effects_callbacks
        WHERE
            c.state = 'pending'
            AND c.kind = 'callback'
            AND c.not_before_at <= :now
        GROUP BY c.target
    )
ORDER BY id;

-- name: next_callback_due_at
-- When another one is due, of whatever target.
SELECT min(not_before_at) AS at FROM effects INDEXED BY effects_callbacks
WHERE state = 'pending' AND kind = 'callback' AND not_before_at > :now;

-- name: return_callbacks
-- moves: sending -> pending; unknown -> pending
-- What left, or may have, while covend ended or lost sight of it: sent again under the same id, by which the
-- receiver knows it. Its try counts.
UPDATE effects INDEXED BY effects_open SET state = 'pending', error = :error, not_before_at = :now
WHERE
    state IN ('pending', 'sending', 'unknown')
    AND state IN ('sending', 'unknown')
    AND kind = 'callback'
    AND id NOT IN (SELECT value FROM json_each(:under_way))
RETURNING id;
