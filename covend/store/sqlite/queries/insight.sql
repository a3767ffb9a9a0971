-- name: count_arrivals
-- Deliveries by five minutes, from a number on: their numbers rise with time, which has no index.
SELECT (n.received_at - :since) / :width AS bucket, count(*) AS count
FROM (
    SELECT d.received_at FROM deliveries AS d
    WHERE d.number >= :first AND d.received_at >= :since
    ORDER BY d.number DESC
    LIMIT :limit
) AS n
GROUP BY bucket;

-- name: count_moves
-- Moves of tasks by five minutes, from a number on; ends are among them, and what is told beside a move has no target.
SELECT
    (n.at - :since) / :width AS bucket,
    iif(n.source = n.target, NULL, n.target) AS target,
    count(*) AS count
FROM (
    SELECT t.at, t.source, t.target FROM timeline AS t
    WHERE t.number >= :first AND t.at >= :since
    ORDER BY t.number DESC
    LIMIT :limit
) AS n
GROUP BY 1, 2;

-- name: newest_arrival_and_move
-- Up to where deliveries and moves are numbered.
SELECT
    (SELECT max(d.number) FROM deliveries AS d) AS delivery,
    (SELECT max(t.number) FROM timeline AS t) AS move;

-- name: find_arrival_from
-- The first delivery that has this number or a later one.
SELECT d.number, d.received_at AS at FROM deliveries AS d
WHERE d.number >= :number
ORDER BY d.number
LIMIT 1;

-- name: find_move_from
-- The first move that has this number or a later one.
SELECT t.number, t.at FROM timeline AS t
WHERE t.number >= :number
ORDER BY t.number
LIMIT 1;

-- name: count_outcomes
-- Attempts by five minutes of their end; an attempt of more than a day is not looked for.
SELECT
    iif(n.ended_at >= :since, (n.ended_at - :since) / :width, NULL) AS bucket,
    n.outcome,
    count(*) AS count
FROM (
    SELECT a.ended_at, a.outcome
    FROM attempts AS a INDEXED BY attempts_by_start
    WHERE a.started_at > :started_after
    ORDER BY a.started_at DESC
    LIMIT :limit
) AS n
GROUP BY 1, 2;

-- name: sum_agents
-- What each agent came to, and how long it took; the place of a share among the sorted durations is the nearest rank.
WITH recent AS MATERIALIZED (
    SELECT
        a.agent, a.outcome, a.ended_at - a.started_at AS took_ms, a.cost_usd, a.input_tokens,
        a.output_tokens
    FROM attempts AS a INDEXED BY attempts_by_start
    WHERE a.started_at > :since
    ORDER BY a.started_at DESC
    LIMIT :limit
),

timed AS (
    SELECT
        r.agent,
        r.took_ms,
        row_number() OVER (PARTITION BY r.agent ORDER BY r.took_ms) AS place,
        count(*) OVER (PARTITION BY r.agent) AS count
    FROM recent AS r
    WHERE r.outcome IN ('succeeded', 'failed', 'timed_out', 'idle_timed_out')
),

paces AS (
    SELECT
        m.agent,
        max(iif(m.place = (m.count + 1) / 2, m.took_ms, NULL)) AS p50_ms,
        max(iif(m.place = (m.count * 95 + 99) / 100, m.took_ms, NULL)) AS p95_ms
    FROM timed AS m
    GROUP BY m.agent
)

SELECT
    r.agent,
    count(*) AS attempts,
    count(*) FILTER (WHERE r.outcome = 'succeeded') AS succeeded,
    count(*) FILTER (WHERE r.outcome IN ('failed', 'timed_out', 'idle_timed_out')) AS failed,
    total(r.cost_usd) AS cost_usd,
    coalesce(sum(r.input_tokens), 0) AS input_tokens,
    coalesce(sum(r.output_tokens), 0) AS output_tokens,
    max(p.p50_ms) AS p50_ms,
    max(p.p95_ms) AS p95_ms
FROM recent AS r LEFT JOIN paces AS p ON r.agent = p.agent
GROUP BY r.agent
ORDER BY r.agent;

-- name: list_troubles
-- The newest failure of each agent.
SELECT n.agent, n.error_code, n.task_id, max(n.ended_at) AS at
FROM (
    SELECT a.agent, a.outcome, a.error_code, a.task_id, a.ended_at
    FROM attempts AS a INDEXED BY attempts_by_start
    WHERE a.started_at > :since
    ORDER BY a.started_at DESC
    LIMIT :limit
) AS n
WHERE n.outcome IN ('failed', 'timed_out', 'idle_timed_out')
GROUP BY n.agent;

-- name: count_running_by_agent
-- What is at work now; those are few.
SELECT t.agent, count(*) AS count FROM tasks AS t INDEXED BY tasks_running
WHERE t.state = 'running'
GROUP BY t.agent;

-- name: list_agents_guards
-- What holds or counts against agents: their ids begin so.
SELECT g.* FROM safeguards AS g
WHERE g.id > 'circuit/agent:' AND g.id < 'circuit/agent;'
UNION ALL
SELECT g.* FROM safeguards AS g
WHERE g.id > 'crash_loop/agent:' AND g.id < 'crash_loop/agent;'
UNION ALL
SELECT g.* FROM safeguards AS g
WHERE g.id > 'pause/agent:' AND g.id < 'pause/agent;';

-- name: count_tasks_by_rule
-- What each rule has asked for; the ids of tasks sort by time.
SELECT n.rule, n.state, count(*) AS count, max(n.created_at) AS last_at
FROM (
    SELECT t.rule, t.state, t.created_at FROM tasks AS t
    WHERE t.id >= :first
    ORDER BY t.id DESC
    LIMIT :limit
) AS n
GROUP BY n.rule, n.state;

-- name: list_paces_of_rules
-- The median time from a rule's delivery to what was visible first, by the nearest rank.
WITH firsts AS MATERIALIZED (
    SELECT
        n.rule,
        (
            SELECT min(e.done_at) FROM effects AS e INDEXED BY effects_by_task
            WHERE e.task_id = n.id AND e.state = 'done' AND e.kind <> 'callback'
        ) - n.created_at AS took_ms
    FROM (
        SELECT t.id, t.rule, t.created_at FROM tasks AS t
        WHERE t.id >= :first
        ORDER BY t.id DESC
        LIMIT :limit
    ) AS n
),

placed AS (
    SELECT
        f.rule,
        f.took_ms,
        row_number() OVER (PARTITION BY f.rule ORDER BY f.took_ms) AS place,
        count(*) OVER (PARTITION BY f.rule) AS count
    FROM firsts AS f
    WHERE f.took_ms IS NOT NULL
)

SELECT p.rule, p.took_ms FROM placed AS p WHERE p.place = (p.count + 1) / 2;

-- name: count_refusals
-- Which clause of a rule said no to the newest deliveries. A verdict with no clause behind `on` is of a rule that does
-- not listen to the event: that is no refusal.
SELECT v.value ->> '$[0]' AS rule, v.value ->> '$[2]' AS clause, count(*) AS count
FROM (
    SELECT CAST(d.verdicts AS TEXT) AS verdicts FROM deliveries AS d
    ORDER BY d.number DESC
    LIMIT :limit
) AS n, json_each(n.verdicts) AS v
WHERE v.value ->> '$[1]' = 0 AND json_array_length(v.value, '$[3]') > 1
GROUP BY 1, 2;

-- name: count_outbox
-- What is on its way to the outside, and since when.
SELECT e.state, count(*) AS count, min(e.created_at) AS oldest_at
FROM effects AS e INDEXED BY effects_open
WHERE e.state IN ('pending', 'sending', 'unknown')
GROUP BY e.state;

-- name: count_failed_effects
-- What could not be sent in a while; the ids of effects sort by time.
SELECT count(*) AS count, min(n.created_at) AS oldest_at
FROM (
    SELECT e.state, e.created_at FROM effects AS e
    WHERE e.id >= :first
    ORDER BY e.id DESC
    LIMIT :limit
) AS n
WHERE n.state = 'failed';

-- name: list_spending_of_day
-- What was spent on a day, of everything and of the repositories, the dearest first.
SELECT s.scope, s.usd, s.tokens
FROM spending AS s INDEXED BY spending_by_day
WHERE s.day = :day AND s.day > 0
ORDER BY s.scope <> 'all', s.usd DESC, s.tokens DESC
LIMIT :limit;

-- name: list_cost_of_attempts
-- What the attempts of a while have used up, by agent and rule.
SELECT
    n.agent,
    t.rule,
    total(n.cost_usd) AS usd,
    sum(coalesce(n.input_tokens, 0) + coalesce(n.output_tokens, 0)) AS tokens
FROM (
    SELECT a.task_id, a.agent, a.cost_usd, a.input_tokens, a.output_tokens
    FROM attempts AS a INDEXED BY attempts_by_start
    WHERE a.started_at >= :since
    ORDER BY a.started_at DESC
    LIMIT :limit
) AS n CROSS JOIN tasks AS t
WHERE t.id = n.task_id
GROUP BY n.agent, t.rule;
