-- name: find_spending
-- What was spent of some budgets; of one that has no row, nothing.
WITH wanted (scope, day) AS (VALUES :each)

SELECT s.scope, s.day, s.usd, s.tokens
FROM wanted AS w CROSS JOIN spending AS s
WHERE s.scope = w.scope AND s.day = w.day;

-- name: add_spending
-- What one attempt has cost, to all budgets that it counts to.
INSERT INTO spending (scope, day, usd, tokens) VALUES :each
ON CONFLICT (scope, day) DO UPDATE SET
    usd = usd + excluded.usd,
    -- An agent may tell anything; beyond 64 bits no attempt that counts here could end any more.
    tokens = min(tokens + excluded.tokens, 9007199254740992);

-- name: forget_spending
-- A budget begins anew because somebody says so.
DELETE FROM spending WHERE scope = :scope AND day = :day RETURNING scope;

-- name: forget_past_days
-- What was spent on a day long past bounds nothing, some at a time.
DELETE FROM spending
WHERE
    (scope, day) IN (
        SELECT s.scope, s.day FROM spending AS s INDEXED BY spending_by_day
        WHERE s.day > 0 AND s.day < :day
        LIMIT :limit
    )
RETURNING scope;
