-- The audit trail: what happened to each move, what people said of it, and edits of apps; its chains verify.

CREATE TEMP TABLE paper_event ON COMMIT DROP AS
SELECT n, happened.* FROM paper_move move CROSS JOIN LATERAL (
    -- `place`: the order of events at the same time.
    SELECT 1 AS place, asked_at AS at, requester_id AS actor_id, requester AS actor,
        CASE kind WHEN 'reverse' THEN 'reverse' ELSE 'request' END AS verb, '' AS before,
        CASE kind WHEN 'reverse' THEN 'queued' ELSE 'awaiting_approval' END AS after, reason
    UNION ALL
    SELECT 2, decided_at, approver_id, approver, 'approve', 'awaiting_approval', 'queued', reason
    WHERE kind <> 'reverse' AND ended_by NOT IN ('reject', 'withdraw', 'expire') AND status <> 'awaiting_approval'
    UNION ALL
    SELECT 2, decided_at, CASE ended_by WHEN 'reject' THEN approver_id WHEN 'withdraw' THEN requester_id END,
        CASE ended_by WHEN 'reject' THEN approver WHEN 'withdraw' THEN requester ELSE '' END, ended_by,
        'awaiting_approval', 'aborted', 'Not this week.'
    WHERE ended_by IN ('reject', 'withdraw', 'expire')
    UNION ALL
    SELECT 3, began_at, NULL, '', 'start', 'queued', 'running', '' WHERE reach > 0
    UNION ALL
    SELECT 4, began_at + pg_temp.seconds(length * flip), NULL, '', 'pass_pivot', '', '', ''
    WHERE switched OR is_live AND reach > 8
    UNION ALL
    SELECT 5, ended_at, NULL, '', 'retain', '', 'retained', '' WHERE switched
    UNION ALL
    SELECT 6, ended_at, NULL, '', 'complete', 'running', 'completed', '' WHERE switched AND ended_by = ''
    UNION ALL
    SELECT 6, ended_at, NULL, '', 'rehearsed', 'running', 'aborting', '' WHERE kind = 'rehearsal' AND ended_by = ''
    UNION ALL
    SELECT 6, ended_at, CASE ended_by WHEN 'abort' THEN operator_id END, CASE ended_by WHEN 'abort' THEN operator ELSE '' END,
        ended_by, 'running', 'aborting', CASE ended_by WHEN 'abort' THEN 'Wrong evening.' ELSE error END
    WHERE ended_by IN ('abort', 'fail')
    UNION ALL
    SELECT 7, ended_at + pg_temp.seconds(reach + 1), NULL, '', 'undone', 'aborting', status, ''
    WHERE ended_by IN ('abort', 'fail') OR kind = 'rehearsal' AND ended_by = ''
    UNION ALL
    SELECT 6, ended_at, NULL, '', 'hold', 'running', 'held', error WHERE ended_by = 'hold'
    UNION ALL
    SELECT 7, ended_at + interval '1 minute', operator_id, operator, 'reverse', 'held', 'failed', 'Back to where it was.'
    WHERE ended_by = 'hold'
    UNION ALL
    SELECT 8, replica_ends_at, NULL, '', 'reversed', 'retained', 'reversed', '' WHERE replica_state = 'reversed'
    UNION ALL
    SELECT 8, replica_ends_at - interval '9 seconds', approver_id, approver, 'approve', 'retained', 'tearing_down',
        'Nobody needs it any more.' WHERE replica_state = 'torn_down'
    UNION ALL
    SELECT 9, replica_ends_at, NULL, '', 'torn_down', 'tearing_down', 'torn_down', '' WHERE replica_state = 'torn_down'
    UNION ALL
    SELECT 8, now, NULL, '', 'hold', 'running', 'held', error FROM paper_wanted
    WHERE status = 'held'
    UNION ALL
    SELECT 8, now, NULL, '', 'fail', 'running', 'aborting', error FROM paper_wanted
    WHERE status = 'aborting'
) AS happened;

-- So many as are wanted: of what is missing a tenth are edits of apps, the rest comments, as many on each move.
CREATE TEMP TABLE paper_more ON COMMIT DROP AS
SELECT apps + missing / 10 AS edits, missing - missing / 10 AS comments, (SELECT count(*) FROM paper_move) AS moves
FROM (SELECT apps, greatest(0, events - apps - (SELECT count(*) FROM paper_event))::int AS missing FROM paper_wanted) AS to_come;

INSERT INTO paper_event
SELECT n, 3, asked_at + pg_temp.seconds(1 + 40 * round), person.id, person.username, 'comment', '', '',
    pg_temp.one_of(words.comments, n, 40 + round)
FROM paper_more CROSS JOIN paper_words words CROSS JOIN generate_series(0, paper_more.comments - 1) i
    CROSS JOIN LATERAL (SELECT i % paper_more.moves AS n, i / paper_more.moves AS round) AS of
    JOIN paper_move USING (n)
    JOIN paper_person person ON person.role = 'Requester' AND person.number = i % 10;

-- From here on as rows of the trail. `id` follows the time, `number` counts in the chain.
CREATE TEMP TABLE paper_trail (LIKE migrations_app_auditevent) ON COMMIT DROP;
INSERT INTO paper_trail
    (id, at, actor_name, surface, address, verb, target, from_status, to_status, reason, chain, number, previous_hash,
     hash, actor_id, app_id, migration_id)
SELECT last_id + row_number() OVER (ORDER BY at, n, place), at, actor, CASE WHEN actor = '' THEN 'worker' ELSE 'admin' END,
    CASE WHEN actor = '' THEN '' ELSE '192.0.2.7' END, verb, target, before, after, reason, chain,
    last_number + row_number() OVER (PARTITION BY chain ORDER BY at, place, n), '', '', actor_id, app_id, migration_id
FROM (
    SELECT n, place, at, actor_id, actor, verb, before, after, event.reason, target, app_id, id AS migration_id,
        id::text AS chain, 0 AS last_number
    FROM paper_event event JOIN paper_move USING (n)
    UNION ALL
    SELECT i, 0, now - interval '3 years' + interval '3 years' / edits * i, person.id, person.username,
        CASE WHEN i <= apps THEN 'register' ELSE 'edit' END, '', '',
        CASE WHEN i <= apps THEN '' ELSE 'health_path: /healthz → /up' END, 'app ' || app.slug, app.id, NULL, 'portal',
        coalesce((SELECT max(number) FROM migrations_app_auditevent WHERE chain = 'portal'), 0)
    FROM paper_wanted CROSS JOIN paper_more CROSS JOIN generate_series(1, edits) i
        JOIN paper_app app ON app.number = 1 + (i - 1) % apps
        JOIN paper_person person ON person.role = 'Operator' AND person.number = i % 10
) AS event, (SELECT coalesce(max(id), 0) AS last_id FROM migrations_app_auditevent) AS before_it;

-- The hash of an event covers the hash before it. The portal's own chain goes on where it was.
CREATE FUNCTION pg_temp.next_hash(hash text, event migrations_app_auditevent) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF hash = '' AND event.number > 1 THEN
        SELECT last.hash INTO hash FROM migrations_app_auditevent last
            WHERE chain = event.chain AND number = event.number - 1;
    END IF;
    event.previous_hash := hash;
    RETURN encode(sha256(convert_to(migrations_app_audit_content(event), 'UTF8')), 'hex');
END
$$;
CREATE AGGREGATE pg_temp.chained(migrations_app_auditevent) (
    SFUNC = pg_temp.next_hash, STYPE = text, INITCOND = ''
);

-- The trigger fills events one by one, at the time of their writing; all its other guards stay.
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE migrations_app_auditevent DISABLE TRIGGER audit_fill;
INSERT INTO migrations_app_auditevent
    (id, at, actor_id, actor_name, surface, address, verb, target, app_id, migration_id, from_status, to_status, reason,
     chain, number, previous_hash, hash)
SELECT id, at, actor_id, actor_name, surface, address, verb, target, app_id, migration_id, from_status, to_status,
    reason, chain, number,
    coalesce(lag(hash_now) OVER in_chain, CASE WHEN number > 1 THEN (
        SELECT last.hash FROM migrations_app_auditevent last
        WHERE last.chain = hashed.chain AND last.number = hashed.number - 1) ELSE '' END), hash_now
FROM (
    SELECT trail.*, pg_temp.chained(ROW(trail.*)::migrations_app_auditevent) OVER (PARTITION BY chain ORDER BY number)
        AS hash_now
    FROM paper_trail trail
) AS hashed
WINDOW in_chain AS (PARTITION BY chain ORDER BY number)
ORDER BY id;
ALTER TABLE migrations_app_auditevent ENABLE TRIGGER audit_fill;
SELECT setval(pg_get_serial_sequence('migrations_app_auditevent', 'id'), max(id)) FROM migrations_app_auditevent;
