-- Values at the edges of their types.
CREATE ROLE values_owner LOGIN;
CREATE DATABASE :"db" OWNER values_owner;
ALTER DATABASE :"db" SET intervalstyle = 'sql_standard';
ALTER DATABASE :"db" SET extra_float_digits = -10;
ALTER DATABASE :"db" SET bytea_output = 'escape';
ALTER DATABASE :"db" SET timezone = 'Australia/Lord_Howe';
ALTER DATABASE :"db" SET datestyle = 'SQL, DMY';
\connect :"db"
GRANT CREATE ON SCHEMA public TO values_owner;
SET SESSION AUTHORIZATION values_owner;
CREATE TYPE odd AS ("a b" text, n float8, m money, at timestamptz);
CREATE TABLE edge (
  id int PRIMARY KEY, f4 real, f8 float8, num numeric, m money, by bytea, t text, c char(5), vc varchar(3),
  d date, ts timestamp, tz timestamptz, ti time, ttz timetz, iv interval, u uuid, j json, jb jsonb, arr int[], tarr text[][],
  pt point, ci circle, poly polygon, ip inet, cd cidr, mac macaddr8, b bit(7), vb varbit, tv tsvector, tq tsquery,
  r int4range, mr nummultirange, o odd, oarr odd[], x xid8, l pg_lsn, ch "char", n name, boo bool, jp jsonpath);
INSERT INTO edge (id, f4, f8, num, m, by, t, c, vc, d, ts, tz, ti, ttz, iv) VALUES
  (1, 'NaN', 'NaN', 'NaN', '-92233720368547758.08', '\x00ff00', '', ' x ', '', 'infinity', 'infinity', '-infinity', '24:00', '24:00+15:59', 'infinity'),
  (2, '-0', '-0', '0.000', '92233720368547758.07', '', E'\\N', '', '  ', '4713-01-01 BC', '4714-11-24 00:00:00 BC', '294276-12-31 23:59:59.999999Z', '00:00', '00:00-15:59', '-1 mon +1 day -00:00:00.000001'),
  (3, '1e-45', '5e-324', '1e-16383', 0, '\x5c', E'a\tb\nc\rd\\.', E'\\.', E'\n', '5874897-12-31', '1999-12-31 23:59:59.999999', '2024-04-07 01:45:00+11', '12:34:56.123456', '12:34:56.123456-03:30', '178000000 years'),
  (4, '-Infinity', '1.7976931348623157e308', ('1' || repeat('0', 131071))::numeric, 1, decode(repeat('00ff', 50000), 'hex'), repeat('ü☃𝄞', 20000), '☃', '☃☃☃', '0001-01-01 BC', 'epoch', 'epoch', NULL, NULL, '-178000000 years'),
  (5, '3.4028235e38', 0.1::float8 + 0.2, 'Infinity', -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '1 day 24:00:00'),
  (6, '0.1', 123456789012345.678, '-Infinity', '1.23', '\x0a0d', U&'\FEFF\200B\FFFF\10FFFF', 'null', 'NUL', '2024-02-29', '2024-02-29 12:00', '1883-11-18 12:03:57+00', '23:59:59.9999995', NULL, '00:00:00');
INSERT INTO edge (id, u, j, jb, arr, tarr, pt, ci, poly, ip, cd, mac, b, vb, tv, tq, r, mr, o, oarr, x, l, ch, n, boo, jp) VALUES
  (10, '00000000-0000-0000-0000-000000000000', '{"a" : 1.0, "a":2,  "\u2603": "\ud834\udd1e \u0000"}', '{"a": 1.0, "b": 1e400, "c": "\\u \"\u2603"}',
   '[-2:0]={1,2,3}', '{{a,"b,\"c"},{"NULL",""}}', '(NaN,-0)', '<(1e300,1),Infinity>', '((0,0),(1,1),(1,0))', '::ffff:1.2.3.4/128', '10.0.0.0/8', '08:00:2b:01:02:03:04:05',
   B'1010101', B'', $$'it''s':1A,2B 'b\\c':16383$$, $$'a' <-> !('b':*A | 'c d')$$, 'empty', '{(,-5),[1.50,2),(3,)}', ROW('x,"y', '-0', 5, 'infinity'), ARRAY[ROW(NULL, NULL, NULL, NULL)::odd, NULL],
   '18446744073709551615', 'FFFFFFFF/FFFFFFFF', E'\\377', repeat('n', 63), true, '$.a[*] ? (@ > 1)'),
  (11, NULL, 'null', 'null', '{}', '{}', NULL, NULL, NULL, '0.0.0.0/0', '::/0', NULL, NULL, NULL, '', '', '(,)', '{}', ROW(NULL, NULL, NULL, NULL), '{}', '0', '0/0', '', '', false, 'strict $'),
  (12, NULL, '  [1 ,2]  ', '[]', NULL, ARRAY[[NULL]]::text[], NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '[2147483646,2147483647)', NULL, NULL, NULL, NULL, NULL, 'x', NULL, NULL, NULL);
CREATE TABLE edge_twin (LIKE edge);  -- without a key, with json and point: no stream can carry it
INSERT INTO edge_twin SELECT * FROM edge UNION ALL SELECT * FROM edge WHERE id = -1;
CREATE UNLOGGED TABLE edge_unlogged AS SELECT * FROM edge;
CREATE TABLE nothing_but_floats (f float8, n numeric, i interval, d timestamptz);
INSERT INTO nothing_but_floats SELECT f8, num, iv, tz FROM edge;
INSERT INTO nothing_but_floats SELECT random() * 1e9, NULL, NULL, NULL FROM generate_series(1, 200);
CREATE TABLE big (id int PRIMARY KEY, t text STORAGE EXTERNAL, b bytea STORAGE EXTERNAL, n text NOT NULL DEFAULT 'x');
INSERT INTO big SELECT n, repeat(md5(n::text), 160000), decode(repeat(md5(n::text), 10000), 'hex') FROM generate_series(1, 2) n;
CREATE TABLE wide (id int PRIMARY KEY);
SELECT format('ALTER TABLE wide %s', string_agg(format('ADD c%s int DEFAULT %s', n, n), ', ')) FROM generate_series(1, 150) n \gexec
INSERT INTO wide VALUES (1), (2);
CREATE MATERIALIZED VIEW worded AS SELECT id, tz::text AS a, iv::text AS b, f8::text AS c, by::text AS d, d::text AS e FROM edge;
SELECT lo_from_bytea(6001, decode(repeat('00112233445566778899aabbccddeeff', 65536 * 2), 'hex'));
SELECT lo_from_bytea(6002, '\x00');
