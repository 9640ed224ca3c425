-- What waits for a second person or had one, and the copies that moves left behind.

CREATE TEMP TABLE paper_replica ON COMMIT DROP AS
SELECT move.*, CASE WHEN replica_state = 'retained' AND app % 12 = 1 THEN
        (ARRAY['It does not apply what the primary sends: a duplicate key in public.entry.',
            'The slot is about to be lost: its WAL goes over the limit.',
            'It is 41 min behind, and falls back further.'])[1 + app % 3] ELSE '' END AS problem
FROM paper_move move WHERE switched;

-- A sample every five minutes, as the watch takes them.
CREATE FUNCTION pg_temp.lag_of_a_day(app bigint, now timestamptz) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_agg(jsonb_build_array(now - i * interval '5 minutes', floor(1e6 * power(pg_temp.chance(app, i), 6)),
        round((30 * power(pg_temp.chance(app, i), 6))::numeric, 1)) ORDER BY i DESC)
    FROM generate_series(0, 287) i
$$;

INSERT INTO migrations_app_sourcereplica
    (migration_id, app_id, region_id, state, size_bytes, created_at, ended_at, last_error, acts, watched_at, problem,
     lag_bytes, lag_seconds, retained_bytes, wal_status, mark_lsn, mark_at, apply_errors, lease_owner, fencing_token,
     review_at, history)
SELECT id, app_id, source_id, replica_state, (power(pg_temp.chance(app, 9), 4) * 5e10)::bigint + 20000000, ended_at,
    replica_ends_at, '',
    CASE WHEN replica_state = 'torn_down' THEN pg_temp.logged(replica_ends_at - interval '2 seconds',
        'Ended the stream from {d}.', replica_ends_at, 'Dropped the database in {s}.', source, dest) ELSE '[]' END,
    now - interval '5 seconds', problem,
    CASE WHEN is_kept THEN CASE WHEN problem = '' THEN app * 977 ELSE 310000000 + app * 977777 END END,
    CASE WHEN is_kept THEN CASE WHEN problem = '' THEN app % 10 * .07 ELSE 2460 + app END END,
    CASE WHEN is_kept THEN 16777216 * (1 + app % 3) END, CASE WHEN is_kept THEN 'reserved' ELSE '' END, '', NULL, 0,
    '', 0, CASE WHEN is_kept THEN now + (app % 16 - 2) * interval '1 day' ELSE ended_at + interval '14 days' END,
    CASE WHEN is_kept THEN pg_temp.lag_of_a_day(app, now) ELSE '[]' END
FROM paper_replica CROSS JOIN paper_wanted CROSS JOIN LATERAL (SELECT replica_state = 'retained' AS is_kept) AS state
ORDER BY n;

INSERT INTO migrations_app_alarm (code, about, sentence, hint, region_id, migration_id, since, seen_at)
SELECT CASE app % 3 WHEN 0 THEN 'replica_stopped' WHEN 1 THEN 'slot_lost' ELSE 'replica_lags' END,
    'replica of ' || slug, slug || ': ' || problem, 'Look at its log; reverse or tear it down while that is possible.',
    source_id, id, now - pg_temp.seconds(app * 700), now
FROM paper_replica, paper_wanted WHERE problem <> '';
INSERT INTO migrations_app_alarm (code, about, sentence, hint, region_id, migration_id, since, seen_at, ended_at)
SELECT 'replica_lags', format('replica of %s, %s', slug, n), slug || ': it was behind.', 'Wait.', source_id, id,
    ended_at + interval '1 minute', ended_at + interval '9 minutes', ended_at + interval '9 minutes'
FROM paper_replica WHERE n % 100 = 0;

-- A fingerprint is that of its subject, by which an approval counts; on paper any will do.
INSERT INTO migrations_app_approval
    (act, migration_id, state, subject, fingerprint, reason, requested_by_id, requested_at, expires_at, decided_by_id,
     decided_at, comment)
SELECT act, id, state, jsonb_build_object('act', act, 'app', jsonb_build_object('slug', slug),
        'source_region', jsonb_build_object('slug', source), 'dest_region', jsonb_build_object('slug', dest),
        'strategy', strategy, 'not_before', NULL, 'block_budget', NULL, 'findings', '[]'::jsonb),
    repeat(md5(id::text), 2), reason, requester_id, asked_at,
    CASE WHEN state = 'open' THEN now + pg_temp.seconds(3600 + n % 20 * 3600) ELSE asked_at + interval '1 day' END,
    CASE WHEN state IN ('approved', 'rejected') THEN approver_id END,
    CASE WHEN state NOT IN ('open', 'expired') THEN decided_at END, CASE WHEN n % 5 = 0 THEN 'Fine by me.' ELSE '' END
FROM paper_wanted CROSS JOIN (
    SELECT 'move' AS act, id, n, slug, source, dest, strategy, reason, requester_id, approver_id, asked_at, decided_at,
        CASE WHEN status = 'awaiting_approval' THEN 'open' ELSE
            CASE ended_by WHEN 'reject' THEN 'rejected' WHEN 'withdraw' THEN 'withdrawn' WHEN 'expire' THEN 'expired'
            ELSE 'approved' END END AS state
    FROM paper_move WHERE kind <> 'reverse'
    UNION ALL
    SELECT 'teardown', id, n, slug, source, dest, strategy, 'Nobody needs it any more.', operator_id, approver_id,
        ended_at + interval '1 minute', replica_ends_at,
        CASE WHEN replica_state = 'retained' THEN 'open' ELSE 'approved' END
    FROM paper_replica WHERE replica_state = 'torn_down' OR replica_state = 'retained' AND app % 20 = 11
) AS asked
ORDER BY asked_at;
