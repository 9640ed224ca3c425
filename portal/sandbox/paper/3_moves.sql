-- Moves. `paper_move` has what all other rows are made from, a row for each move, numbered in the order of time.

-- What becomes of an app's moves, again and again: twenty in a row. `back`: of a reverse, how many before it is the move
-- it reverses. `reach`: at which step of its plan it ends, of those that end early.
CREATE TEMP TABLE paper_shape ON COMMIT DROP AS
SELECT * FROM (VALUES
    (0, 'move', 'snapshot', 'completed', 0, 11, ''),
    (1, 'reverse', 'reverse', 'completed', 1, 11, ''),
    (2, 'rehearsal', 'rehearsal', 'completed', 0, 6, ''),
    (3, 'move', 'live', 'completed', 0, 11, ''),
    (4, 'move', 'live', 'aborted', 0, 4, 'abort'),
    (5, 'move', 'live', 'completed', 0, 11, ''),
    (6, 'reverse', 'reverse', 'completed', 1, 11, ''),
    (7, 'move', 'snapshot', 'failed', 0, 5, 'fail'),
    (8, 'rehearsal', 'rehearsal', 'failed', 0, 3, 'fail'),
    (9, 'move', 'live', 'completed', 0, 11, ''),
    (10, 'move', 'live', 'aborted', 0, 0, 'reject'),
    (11, 'move', 'snapshot', 'completed', 0, 11, ''),
    (12, 'reverse', 'reverse', 'aborted', 1, 2, 'abort'),
    (13, 'reverse', 'reverse', 'completed', 2, 11, ''),
    (14, 'move', 'live', 'completed', 0, 11, ''),
    (15, 'move', 'live', 'failed', 0, 9, 'hold'), -- past the pivot; the reverse that follows takes over
    (16, 'reverse', 'reverse', 'completed', 1, 11, ''),
    (17, 'move', 'live', 'completed', 0, 11, ''),
    (18, 'move', 'snapshot', 'aborted', 0, 0, 'withdraw'),
    (19, 'move', 'live', 'aborted', 0, 0, 'expire')
) AS shape (number, kind, strategy, status, back, reach, ended_by);

-- Moves under way, each of an app of its own. `reach`: the step that it is at.
CREATE TEMP TABLE paper_live ON COMMIT DROP AS
SELECT row_number() OVER () AS app, standing.*, 1 + (row_number() OVER () % 5)::int AS turn
FROM paper_wanted, LATERAL (
    SELECT 'running' AS status, 2 + n % 9 AS reach FROM generate_series(1, live) n
    UNION ALL SELECT 'awaiting_approval', 0 FROM generate_series(1, ceil(live / 5.)::int)
    UNION ALL SELECT 'queued', 0 FROM generate_series(1, ceil(live / 10.)::int)
    UNION ALL SELECT 'held', 8 + n % 3 FROM generate_series(1, ceil(live / 10.)::int) n
    UNION ALL SELECT 'aborting', 4 FROM generate_series(1, ceil(live / 25.)::int)
) AS standing;

CREATE TEMP TABLE paper_move ON COMMIT DROP AS
WITH numbered AS (
    SELECT n, 1 + n % apps AS app, n / apps AS turn, now - interval '3 years' + n * every AS asked_at,
        extract(epoch FROM every * apps) AS gap, false AS is_live
    FROM (SELECT *, interval '3 years -2 days' / (moves + 1) AS every FROM paper_wanted WHERE moves > 0) wanted,
        generate_series(0, moves - 1) n
    UNION ALL
    SELECT moves + live.app - 1, live.app, 1000000, now - interval '1 day' + live.app * interval '1 minute', 100000, true
    FROM paper_wanted, paper_live live
), shaped AS (
    -- An app begins with one of the moves that reverse nothing.
    SELECT numbered.*, shape.kind, shape.strategy, shape.status, shape.back, shape.reach, shape.ended_by
    FROM numbered JOIN paper_shape shape
        ON shape.number = (turn + (ARRAY[0, 3, 5, 9, 14])[1 + app % 5]) % 20
    WHERE NOT is_live
    UNION ALL
    SELECT numbered.*, 'move', CASE WHEN numbered.app % 4 = 0 THEN 'snapshot' ELSE 'live' END, live.status, 0,
        live.reach, ''
    FROM numbered JOIN paper_live live USING (app) WHERE is_live
), aimed AS (
    SELECT shaped.*,
        status = 'completed' AND kind <> 'rehearsal' OR ended_by = 'hold' AS switched,
        1 + floor(pg_temp.chance(n, 1) * 4)::int AS offset_there
    FROM shaped
), turned AS (
    SELECT aimed.*, CASE back
        WHEN 0 THEN offset_there
        WHEN 1 THEN 5 - lag(offset_there, 1) OVER of_app
        ELSE 5 - lag(offset_there, 2) OVER of_app END AS by,
        CASE back WHEN 0 THEN NULL WHEN 1 THEN lag(n, 1) OVER of_app ELSE lag(n, 2) OVER of_app END AS reverses
    FROM aimed WINDOW of_app AS (PARTITION BY app ORDER BY turn)
), placed AS (
    SELECT turned.*, app.home + coalesce(sum(CASE WHEN switched THEN by ELSE 0 END) OVER (
        PARTITION BY turned.app ORDER BY turn ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS here
    FROM turned JOIN paper_app app ON app.number = turned.app
), timed AS (
    SELECT placed.*,
        asked_at + CASE WHEN kind = 'reverse' THEN interval '1 second'
            ELSE pg_temp.seconds(30 + pg_temp.chance(n, 2) * least(gap / 10, 20000)) END AS decided_at,
        60 + power(pg_temp.chance(n, 3), 3) * least(gap / 5, 5400) AS length
    FROM placed
)
SELECT timed.*, pg_temp.id_of_move(n) AS id, pg_temp.id_of_move(reverses) AS reverses_id, app.id AS app_id, app.slug,
    source.id AS source_id, source.slug AS source, dest.id AS dest_id, dest.slug AS dest,
    format('move %s %s → %s', app.slug, source.slug, dest.slug) AS target,
    CASE WHEN is_live AND reach = 0 THEN NULL
        WHEN is_live THEN now - pg_temp.seconds(length * (at_step.since + at_step.until) / 2)
        WHEN reach = 0 THEN NULL ELSE decided_at + interval '2 seconds' END AS began_at,
    CASE WHEN reach = 0 THEN decided_at
        ELSE decided_at + interval '2 seconds' + pg_temp.seconds(length * at_step.until) END AS ended_at,
    requester.id AS requester_id, requester.username AS requester, approver.id AS approver_id,
    approver.username AS approver, operator.id AS operator_id, operator.username AS operator,
    pg_temp.one_of(words.reasons, n, 4) AS reason, pg_temp.one_of(words.errors, n, 5) AS error,
    at_step.step AS at_step, at_step.since AS at_since, blocking.until AS blocking, flip.until AS flip, opening.until AS opening
FROM timed
    CROSS JOIN paper_wanted CROSS JOIN paper_words words
    JOIN paper_app app ON app.number = timed.app
    JOIN paper_region source ON source.number = here % 5
    JOIN paper_region dest ON dest.number = (here + by) % 5
    JOIN paper_person requester ON requester.role = 'Requester' AND requester.number = n % 10
    JOIN paper_person approver ON approver.role = 'Approver' AND approver.number = n / 7 % 10
    JOIN paper_person operator ON operator.role = 'Operator' AND operator.number = n / 3 % 10
    LEFT JOIN paper_step at_step ON at_step.strategy = timed.strategy AND at_step.position = reach
    LEFT JOIN paper_step blocking ON blocking.strategy = timed.strategy AND blocking.step = 'blocking_writes'
    LEFT JOIN paper_step flip ON flip.strategy = timed.strategy AND flip.step = 'flipping_routing'
    LEFT JOIN paper_step opening ON opening.strategy = timed.strategy AND opening.step = 'unblocking_writes';

-- What comes of its copy: until the next move of the app, or until now.
ALTER TABLE paper_move ADD COLUMN replica_ends_at timestamptz, ADD COLUMN replica_state text;
UPDATE paper_move SET replica_ends_at = after.ended_at, replica_state = 'reversed'
FROM paper_move after WHERE after.reverses = paper_move.n AND after.status = 'completed';
UPDATE paper_move SET
    replica_state = CASE WHEN is_last AND app % 5 > 0 THEN 'retained' ELSE 'torn_down' END,
    replica_ends_at = CASE WHEN is_last AND app % 5 > 0 THEN NULL
        ELSE least(now - interval '1 hour', ended_at + pg_temp.seconds(pg_temp.chance(n, 6) * gap / 2)) END
FROM paper_wanted, LATERAL (
    SELECT n AS last_n, NOT EXISTS (SELECT FROM paper_live WHERE paper_live.app = found.app) AS is_last
    FROM (SELECT app, max(n) AS n FROM paper_move WHERE switched GROUP BY app) AS found
) AS last
WHERE switched AND replica_state IS NULL AND last.last_n = paper_move.n;
UPDATE paper_move SET replica_state = 'torn_down',
    replica_ends_at = least(now - interval '1 hour', ended_at + pg_temp.seconds(pg_temp.chance(n, 6) * gap / 2))
FROM paper_wanted WHERE switched AND replica_state IS NULL;
CREATE INDEX ON paper_move (n);
ANALYZE paper_move;

INSERT INTO migrations_app_appmigration
    (id, app_id, kind, strategy, strategy_reason, source_region_id, dest_region_id, reverses_id, reason, ticket_url,
     requested_by_id, not_before, status, current_step, step_started_at, retry_count, worker_deaths, last_error,
     last_error_code, ends_as, initiated_at, writes_blocked_at, writes_unblocked_at, pivot_at, completed_at, facts,
     preflight, verification, estimate, lease_owner, lease_expires_at, fencing_token, due_at)
SELECT id, app_id, kind, strategy, '', source_id, dest_id, reverses_id, reason,
    CASE WHEN n % 3 = 0 THEN 'https://tickets.example.com/' || n ELSE '' END, requester_id,
    CASE WHEN status = 'queued' THEN now + interval '1 day' END, status,
    coalesce(at_step, 'requested'), began_at + pg_temp.seconds(length * at_since), 0, 0,
    CASE WHEN status IN ('failed', 'held', 'aborting') THEN error ELSE '' END,
    CASE WHEN status IN ('failed', 'held', 'aborting') THEN 'paper' ELSE '' END,
    CASE WHEN status = 'aborting' THEN 'failed' ELSE '' END, asked_at,
    CASE WHEN reach >= block_at THEN
        CASE WHEN is_live THEN now - interval '3 seconds'
            WHEN strategy = 'live' THEN switch_at - pg_temp.seconds(.2 + pg_temp.chance(n, 7))
            ELSE began_at + pg_temp.seconds(length * blocking) END END,
    CASE WHEN reach >= open_at THEN switch_at + pg_temp.seconds(.1 + pg_temp.chance(n, 8)) END,
    CASE WHEN reach > flip_at OR switched THEN switch_at END,
    CASE WHEN NOT is_live THEN ended_at END,
    jsonb_build_object('data_bytes', bytes, 'dump_bytes', bytes / 4, 'blobs', n % 5000, 'blob_bytes', n % 5000 * 40000,
        'replica_size_bytes', bytes + n % 5000 * 40000),
    CASE WHEN kind = 'reverse' THEN '[]' ELSE json.preflight END,
    CASE WHEN reach > flip_at THEN json.verification END,
    jsonb_build_object('bytes', bytes, 'blob_bytes', n % 5000 * 40000, 'blobs', n % 5000, 'seconds', round(length),
        'blocked_seconds', 1.2, 'based_on', '10 earlier moves', 'steps', '{}'::jsonb),
    CASE WHEN status IN ('running', 'aborting') THEN 'paper' ELSE '' END,
    -- Nobody takes them over: they are to stay as they are.
    CASE WHEN status IN ('running', 'aborting') THEN now + interval '10 years' END, CASE WHEN reach > 0 THEN 1 ELSE 0 END,
    CASE WHEN status = 'queued' THEN now + interval '1 day' END
FROM paper_move
    CROSS JOIN paper_wanted
    CROSS JOIN LATERAL (SELECT began_at + pg_temp.seconds(length * flip) AS switch_at,
        (power(pg_temp.chance(app, 9), 4) * 5e10)::bigint + 1000000 + n % 1000 * 1000 AS bytes) AS figures
    CROSS JOIN LATERAL (SELECT CASE WHEN strategy = 'live' THEN 7 ELSE 3 END AS block_at, 8 AS flip_at, 10 AS open_at) AS plan
    CROSS JOIN (SELECT
        (SELECT jsonb_agg(jsonb_build_object('id', format('P%s', lpad(i::text, 2, '0')), 'check', name, 'outcome',
            CASE WHEN i IN (4, 9) THEN 'warn' ELSE 'pass' END, 'found', 'As it should be: ' || name || '.', 'why', '',
            'remedy', CASE WHEN i IN (4, 9) THEN 'Look at it some day.' ELSE '' END, 'figures', '{}'::jsonb) ORDER BY i)
        FROM unnest(ARRAY['versions', 'encoding', 'locale', 'disk_space', 'extensions', 'roles', 'slots', 'replica_identity',
            'large_objects', 'bucket', 'runtime', 'edge']) WITH ORDINALITY AS found (name, i)) AS preflight,
        (SELECT jsonb_build_object('equal', true, 'at', now, 'depth', 'full', 'rows', 50689, 'chunks', 12, 'seconds', 1.6,
            'rows_in_block', 26, 'seconds_in_block', .02, 'not_carried', '[]'::jsonb, 'unsettled', '[]'::jsonb, 'findings',
            jsonb_agg(jsonb_build_object('kind', 'table', 'name', 'public.' || name, 'equal', true, 'source', '1000',
            'dest', '1000')))
        FROM paper_wanted, unnest(ARRAY['account', 'entry', 'item', 'event', 'ticket', 'audit']) AS found (name)
        GROUP BY now) AS verification) AS json
ORDER BY n;

-- Where each app lives now. A running one past its pivot is at its destination.
UPDATE migrations_app_app SET region_id = region.id
FROM (
    SELECT DISTINCT ON (app) app_id,
        CASE WHEN switched OR is_live AND reach > 8 THEN (here + by) % 5 ELSE here % 5 END AS number
    FROM paper_move ORDER BY app, n DESC
) AS last JOIN paper_region region USING (number)
WHERE migrations_app_app.id = last.app_id;
