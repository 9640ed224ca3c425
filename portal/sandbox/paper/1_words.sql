-- What the other files write with. `paper_wanted` has one row: apps, moves, events, live, people, regions, now.

-- A number in [0, 1) that is the same whenever it is asked for.
CREATE FUNCTION pg_temp.chance(n bigint, what bigint) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (hashint8extended(n, what) & 1048575) / 1048576.0::float8
$$;

CREATE FUNCTION pg_temp.one_of(words text[], n bigint, what bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT words[1 + floor(pg_temp.chance(n, what) * array_length(words, 1))::int]
$$;

CREATE FUNCTION pg_temp.id_of_move(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT overlay(overlay(md5('paper move ' || n) PLACING '4' FROM 13 FOR 1) PLACING '8' FROM 17 FOR 1)::uuid
$$;

CREATE FUNCTION pg_temp.seconds(s float8) RETURNS interval LANGUAGE sql IMMUTABLE AS $$ SELECT s * interval '1 second' $$;

CREATE TEMP TABLE paper_words ON COMMIT DROP AS SELECT
    ARRAY['billing', 'catalog', 'search', 'invoices', 'mailer', 'reports', 'profiles', 'orders', 'ledger', 'tickets',
        'stock', 'carts', 'loyalty', 'quotes', 'claims', 'payroll', 'rosters', 'maps', 'feeds', 'archive'] AS apps,
    ARRAY['Closer to the customers it serves.', 'The rack it runs on is retired in spring.',
        'The contract asks for data to stay on the continent.', 'Its neighbours take too much of the disk.',
        'Load is shifted before the sale.', 'The team moves nearer to its on-call.', 'Cheaper there by a third.',
        'Round trips to the bank are too long from here.'] AS reasons,
    ARRAY['Looked at the dashboards: all quiet.', 'The customer knows about it.', 'Error rate is as before.',
        'Checked the backups of last night.', 'Latency is down by 40 ms.', 'We keep the replica until the audit is over.',
        'Called the team: they watch it too.', 'Two slow queries, older than the move.'] AS comments,
    ARRAY['The subscription did not catch up within 300 s.', 'The health check stayed red for 60 s.',
        'The disk of the destination has 2 % left.', 'The object store answered 503 five times in a row.'] AS errors;

-- The plans: when each step begins and ends, as parts of the whole, and two lines of its log. {s}, {d}: the regions.
CREATE TEMP TABLE paper_step ON COMMIT DROP AS
SELECT strategy, position, step, coalesce(lag(until) OVER (PARTITION BY strategy ORDER BY position), 0) AS since, until,
    first, second
FROM (VALUES
    ('live', 1, 'requested', .02, 'Preflight: 50 findings, nothing forbids the move.', 'Nothing stands in the way.'),
    ('live', 2, 'reserving_dest', .05, 'Made an empty database in {d}, read-only to the app.', 'Made the bucket in {d}.'),
    ('live', 3, 'dumping_data', .20, 'A slot keeps what is written in {s} from here on, for {d}.', 'Dumped the database.'),
    ('live', 4, 'restoring_data', .55, 'Restored the database in {d} and gathered statistics.', '{d} subscribes to {s}.'),
    ('live', 5, 'copying_blobs', .80, 'Copied 1204 blobs while the app goes on.', '{d} has all blobs of {s}.'),
    ('live', 6, 'copying_runtime', .88, 'Deployed the release in {d}.', 'It runs in {d}; /healthz is green.'),
    ('live', 7, 'blocking_writes', .92, 'The edge answers writes with 503.', 'No writer is left. Fence LSN 0/370A8E0.'),
    ('live', 8, 'flipping_routing', .95, '{d} has applied everything {s} has written.', 'Past the point of no return.'),
    ('live', 9, 'setting_up_reverse_replication', .97, 'A row written in {d} arrived in {s}.', 'The way back is open.'),
    ('live', 10, 'unblocking_writes', .99, '{d} takes writes: proven by one.', 'The edge lets writes through.'),
    ('live', 11, 'completed', 1., 'Took the old stream away.', '{s} keeps a live replica.')
) AS plan (strategy, position, step, until, first, second)
UNION ALL SELECT 'rehearsal', position, step, since, until, first, second FROM (VALUES
    (1, 'requested', 0., .03, 'Preflight: 50 findings, nothing forbids the move.', 'Nothing stands in the way.'),
    (2, 'reserving_dest', .03, .1, 'Made an empty database in {d}, read-only to the app.', 'Made the bucket in {d}.'),
    (3, 'dumping_data', .1, .3, 'A slot keeps what is written in {s} from here on.', 'Dumped the database.'),
    (4, 'restoring_data', .3, .7, 'Restored the database in {d}.', '{d} subscribes to {s}.'),
    (5, 'copying_blobs', .7, .9, 'Copied 1204 blobs while the app goes on.', '{d} has all blobs of {s}.'),
    (6, 'copying_runtime', .9, 1., 'Deployed the release in {d}.', 'It runs in {d}; /healthz is green.')
) AS plan (position, step, since, until, first, second);
-- The others walk the same steps, with writes blocked before data is copied.
INSERT INTO paper_step
SELECT other.strategy, n.position, n.step, n.since, n.until, s.first, s.second
FROM (VALUES (1, 'requested', 0., .02), (2, 'reserving_dest', .02, .05), (3, 'blocking_writes', .05, .08),
        (4, 'dumping_data', .08, .25), (5, 'restoring_data', .25, .6), (6, 'copying_blobs', .6, .8),
        (7, 'copying_runtime', .8, .9), (8, 'flipping_routing', .9, .95),
        (9, 'setting_up_reverse_replication', .95, .97), (10, 'unblocking_writes', .97, .99), (11, 'completed', .99, 1.)
    ) AS n (position, step, since, until)
    JOIN paper_step s ON s.strategy = 'live' AND s.step = n.step
    CROSS JOIN (VALUES ('snapshot'), ('reverse')) AS other (strategy);
