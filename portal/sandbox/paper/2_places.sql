-- Regions on paper, teams, people, apps. Nothing listens at a region's address, and no worker is there.

INSERT INTO migrations_app_region
    (slug, name, database, conn_from_regions, blobs, runtime_url, runtime_path, app_host, accepts_moves,
     concurrent_moves, cost_per_gb_month_usd, time_zone, window_day, window_opens, window_minutes)
SELECT slug, name, 'host=127.0.0.1 port=1 dbname=postgres', '', '', '', '', '127.0.0.1', accepts_moves,
    20, cost, zone, day, opens, minutes
FROM (VALUES
    ('us-west-2', 'US West', true, .115, 'America/Los_Angeles', NULL::int, NULL::time, NULL::int),
    ('eu-north-1', 'EU North', true, .127, 'Europe/Stockholm', NULL, NULL, NULL),
    ('eu-south-1', 'EU South', true, .131, 'Europe/Rome', 6, '02:00', 240),
    ('ap-east-1', 'Asia Pacific East', true, .138, 'Asia/Hong_Kong', NULL, NULL, NULL),
    ('sa-east-1', 'South America', false, .154, 'America/Sao_Paulo', NULL, NULL, NULL)
) AS place (slug, name, accepts_moves, cost, zone, day, opens, minutes)
ON CONFLICT (slug) DO NOTHING;

CREATE TEMP TABLE paper_region ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY slug) - 1 AS number, id, slug FROM migrations_app_region
WHERE slug IN ('us-west-2', 'eu-north-1', 'eu-south-1', 'ap-east-1', 'sa-east-1');

-- A team for each twenty apps, at least three.
INSERT INTO auth_group (name)
SELECT format('team-%s', lpad(n::text, 2, '0')) FROM paper_wanted, generate_series(1, greatest(3, apps / 20)) n
ON CONFLICT (name) DO NOTHING;
CREATE TEMP TABLE paper_team ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY name) AS number, id, name FROM auth_group WHERE name ~ '^team-\d\d+$';

-- Ten people of each role, in three teams each. Nobody can log in as one of them: they have no password.
INSERT INTO auth_user (username, password, first_name, last_name, email, is_staff, is_active, is_superuser, date_joined)
SELECT format('%s-%s', lower(role.name), n), '!' || md5(role.name || n), '', '', '', true, true, false, now
FROM paper_wanted, auth_group role, generate_series(1, 10) n
WHERE role.name IN ('Viewer', 'Requester', 'Approver', 'Operator', 'Admin');
CREATE TEMP TABLE paper_person ON COMMIT DROP AS
SELECT row_number() OVER (PARTITION BY role.name ORDER BY n) - 1 AS number, role.name AS role, person.id, username,
    role.id AS role_id
FROM auth_group role, generate_series(1, 10) n, auth_user person
WHERE role.name IN ('Viewer', 'Requester', 'Approver', 'Operator', 'Admin')
    AND username = format('%s-%s', lower(role.name), n);
INSERT INTO auth_user_groups (user_id, group_id) SELECT id, role_id FROM paper_person;
INSERT INTO auth_user_groups (user_id, group_id)
SELECT person.id, team.id FROM paper_person person, paper_team team
WHERE (team.number + person.number * 3) % (SELECT count(*) FROM paper_team) < 3;

-- Where an app lives in the end its moves decide (3_moves.sql).
CREATE TEMP TABLE paper_app ON COMMIT DROP AS
SELECT number, format('%s-%s', words.apps[1 + number % 20], number) AS slug, number % 5 AS home
FROM paper_wanted, paper_words words, generate_series(1, paper_wanted.apps) number;
INSERT INTO migrations_app_app
    (slug, owner_id, region_id, database, blobs, program, hostname, port, health_path, created_at)
SELECT app.slug, team.id, region.id, replace(app.slug, '-', '_'), CASE WHEN app.number % 3 > 0 THEN app.slug ELSE '' END,
    CASE WHEN app.number % 2 = 0 THEN app.slug ELSE '' END,
    CASE WHEN app.number % 2 = 0 THEN app.slug || '.example.com' ELSE '' END,
    CASE WHEN app.number % 2 = 0 THEN 8000 + app.number % 1000 END, '/healthz', now - interval '3 years 30 days'
FROM paper_wanted, paper_app app
    JOIN paper_region region ON region.number = app.home
    JOIN paper_team team ON team.number = 1 + app.number % (SELECT count(*) FROM paper_team);
ALTER TABLE paper_app ADD COLUMN id bigint;
UPDATE paper_app SET id = app.id FROM migrations_app_app app WHERE app.slug = paper_app.slug;
