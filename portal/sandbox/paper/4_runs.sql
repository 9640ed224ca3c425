-- Step runs, each with two lines of log: what was done, and what was undone again.

CREATE FUNCTION pg_temp.logged(at timestamptz, first text, until timestamptz, second text, source text, dest text)
RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_array(
        jsonb_build_object('at', at, 'text', replace(replace(first, '{s}', source), '{d}', dest)),
        jsonb_build_object('at', until, 'text', replace(replace(second, '{s}', source), '{d}', dest)))
$$;

-- How far a step is that copies `bytes`.
CREATE FUNCTION pg_temp.progress(done bigint, total bigint) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('unit', 'bytes', 'done', done, 'total', total, 'rows', done / 200, 'blobs', NULL,
        'rate', 41200000.0, 'seconds_left', CASE WHEN done < total THEN (total - done) / 41200000 END,
        'lag_bytes', NULL, 'lag_seconds', NULL, 'samples', CASE WHEN done = total THEN '[]' ELSE (
            SELECT jsonb_agg(jsonb_build_array(i * 20, round(4e7 + 4e6 * pg_temp.chance(i, total)), NULL) ORDER BY i)
            FROM generate_series(1, 60) i) END, 'tables', jsonb_build_object(
            'public.entry', jsonb_build_object('done', done * 3 / 4, 'total', total * 3 / 4, 'rows', done / 300,
                'state', CASE WHEN done < total THEN 'copying' ELSE 'done' END),
            'public.account', jsonb_build_object('done', done / 4, 'total', total / 4, 'rows', done / 900,
                'state', CASE WHEN done < total THEN 'waiting' ELSE 'done' END)))
$$;

INSERT INTO migrations_app_steprun
    (migration_id, step, direction, attempt, status, reason, error_code, started_at, ended_at, progress_done,
     progress_total, progress_unit, progress, acts)
SELECT id, step, direction, attempt, status, CASE WHEN status = 'failed' THEN error WHEN status = 'skipped'
        THEN 'A replica is current there: nothing to copy.' ELSE '' END,
    CASE WHEN status = 'failed' THEN 'paper' ELSE '' END, since,
    CASE WHEN status <> 'running' THEN until END,
    CASE WHEN copies THEN done END, CASE WHEN copies THEN bytes END, CASE WHEN copies THEN 'bytes' ELSE '' END,
    CASE WHEN copies THEN pg_temp.progress(done, bytes) ELSE '{}' END,
    CASE direction WHEN 'do' THEN pg_temp.logged(since, first, until, second, source, dest)
        ELSE pg_temp.logged(since, 'Looked at what is there in {d}.', until, 'Took it away in {d}.', source, dest) END
FROM (
    -- Done, once or, every fifteenth time, with a try that failed before. The last of a move that stopped there failed.
    SELECT move.n, step.position AS place, id, step.step, 'do' AS direction, try.attempt,
        CASE WHEN try.attempt < tries THEN 'failed'
            WHEN position < reach OR move.status = 'completed' THEN
                CASE WHEN move.strategy = 'reverse' AND step.step IN ('dumping_data', 'restoring_data')
                    THEN 'skipped' ELSE 'done' END
            WHEN move.status = 'running' THEN 'running'
            WHEN ended_by = 'abort' THEN 'interrupted' ELSE 'failed' END AS status,
        began_at + pg_temp.seconds(length * (since + (until - since) * (try.attempt - 1) / tries)) AS since,
        began_at + pg_temp.seconds(length * (since + (until - since) * try.attempt / tries)) AS until,
        step.step IN ('dumping_data', 'restoring_data', 'copying_blobs') AND move.strategy <> 'reverse' AS copies,
        CASE WHEN position < reach OR move.status = 'completed' THEN bytes ELSE bytes * 6 / 10 END AS done, bytes,
        first, second, source, dest, error
    FROM paper_move move
        JOIN paper_step step ON step.strategy = move.strategy AND step.position <= move.reach
        CROSS JOIN LATERAL (SELECT CASE WHEN pg_temp.chance(n, 20 + position) < .066 AND NOT is_live THEN 2 ELSE 1 END
            AS tries, (power(pg_temp.chance(app, 9), 4) * 5e10)::bigint + 1000000 AS bytes) AS figures
        CROSS JOIN LATERAL generate_series(1, tries) AS try (attempt)
    UNION ALL
    -- Undone, the last first; past the pivot nothing is.
    SELECT move.n, 100 - step.position, id, step.step, 'undo', 1, 'done',
        ended_at + pg_temp.seconds(reach - position), ended_at + pg_temp.seconds(reach - position + 1), false, 0, 0, '', '',
        source, dest, ''
    FROM paper_move move
        JOIN paper_step step ON step.strategy = move.strategy AND step.position BETWEEN 2 AND move.reach
    WHERE move.status IN ('aborted', 'failed') AND NOT switched OR kind = 'rehearsal' AND move.status = 'completed'
) AS run
ORDER BY n, place, attempt;

-- A move that waits for its time has begun nothing.
INSERT INTO migrations_app_steprun
    (migration_id, step, direction, attempt, status, reason, error_code, started_at, progress_unit, progress, acts)
SELECT id, 'requested', 'do', 1, 'waiting', 'It is not to begin before tomorrow.', '', decided_at, '', '{}', '[]'
FROM paper_move WHERE status = 'queued';
