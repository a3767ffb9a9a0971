-- name: begin_audit
-- The wish is on disk before the change is.
INSERT INTO audit (at, who, way, address, client, verb, target, details)
VALUES (:now, :who, :way, :address, :client, :verb, :target, :details)
RETURNING number;

-- name: end_audit
-- What came of it is said once.
UPDATE audit SET outcome = :outcome, ended_at = :now
WHERE number = :number AND outcome IS NULL;

-- name: list_audit
-- Newest first.
SELECT * FROM audit
WHERE number < :before
AND (:verb IS NULL OR verb = :verb)
AND (:who IS NULL OR who = :who)
ORDER BY number DESC
LIMIT :limit;

-- name: list_audit_of_target
-- As list_audit, by the index of what was changed.
SELECT * FROM audit INDEXED BY audit_by_target
WHERE target = :target
AND number < :before
AND (:verb IS NULL OR verb = :verb)
AND (:who IS NULL OR who = :who)
ORDER BY number DESC
LIMIT :limit;
