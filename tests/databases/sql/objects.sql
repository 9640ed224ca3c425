-- Every kind of object that a database can hold, owned by a role that cannot log in.
CREATE ROLE objects_owner NOLOGIN;
CREATE ROLE objects_app LOGIN PASSWORD 'objects' IN ROLE objects_owner;
CREATE ROLE objects_reader LOGIN;
CREATE DATABASE :"db" OWNER objects_owner;
COMMENT ON DATABASE :"db" IS 'holds one of each; it''s "all" 100%';
\connect :"db"
CREATE EXTENSION btree_gist;
CREATE EXTENSION postgres_fdw;
CREATE EXTENSION file_fdw;
GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO objects_owner WITH GRANT OPTION;
ALTER SCHEMA public OWNER TO objects_owner;
SET SESSION AUTHORIZATION objects_owner;
CREATE SCHEMA sales;
CREATE SCHEMA "Back Office";
COMMENT ON SCHEMA sales IS 'what is sold';

-- types
CREATE TYPE sales.mood AS ENUM ('sad', 'happy');
ALTER TYPE sales.mood ADD VALUE 'so so' BEFORE 'happy';
ALTER TYPE sales.mood ADD VALUE 'it''s "fine"' AFTER 'sad';
CREATE DOMAIN sales.positive AS numeric(12, 3) DEFAULT 1 NOT NULL CONSTRAINT above_zero CHECK (VALUE > 0);
CREATE DOMAIN sales.positives AS sales.positive[] CHECK (cardinality(VALUE) < 10);
CREATE TYPE sales.address AS (street text, no int, moods sales.mood[]);
CREATE TYPE sales.hours AS RANGE (subtype = time, multirange_type_name = sales.opening_hours);
COMMENT ON TYPE sales.mood IS 'how they feel';
COMMENT ON COLUMN sales.address.no IS 'house number';
COMMENT ON CONSTRAINT above_zero ON DOMAIN sales.positive IS 'never zero';
CREATE COLLATION sales.plain (provider = builtin, locale = 'C.UTF-8');
CREATE COLLATION sales.bytewise FROM "C";

-- functions, procedures, aggregates, operators, casts
CREATE FUNCTION sales.add_tax(amount numeric, rate numeric DEFAULT 0.19, VARIADIC extra numeric[] DEFAULT '{}')
  RETURNS numeric LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 7 AS $$ SELECT $1 * (1 + $2) $$;
CREATE FUNCTION sales.twice(n int) RETURNS int IMMUTABLE BEGIN ATOMIC SELECT n * 2; END;
CREATE FUNCTION sales.listed(OUT a int, OUT b text) RETURNS SETOF record LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = sales, "Back Office", pg_temp ROWS 3 AS $f$
BEGIN
-- Name: not a header; Type: TABLE
  RETURN QUERY SELECT 1, 'one $$ '''::text;
END $f$;
CREATE PROCEDURE sales.noop(INOUT x int) LANGUAGE plpgsql AS 'BEGIN x := x + 1; END';
CREATE FUNCTION sales.concat_sep(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT $1 || ';' || $2 $$;
CREATE AGGREGATE sales.joined(text) (SFUNC = sales.concat_sep, STYPE = text, INITCOND = '>');
RESET SESSION AUTHORIZATION;
CREATE AGGREGATE sales.pct(float8 ORDER BY anyelement) (
  SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
ALTER FUNCTION sales.listed() SET app.mode = 'it''s';
ALTER AGGREGATE sales.pct(float8 ORDER BY anyelement) OWNER TO objects_owner;
CREATE FUNCTION sales.mood_rank(sales.mood) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT 1 $$;
CREATE CAST (sales.mood AS int) WITH FUNCTION sales.mood_rank AS ASSIGNMENT;
CREATE CAST (sales.address AS text) WITH INOUT;
CREATE FUNCTION sales.same_address(sales.address, sales.address) RETURNS bool LANGUAGE sql IMMUTABLE AS $$ SELECT ($1).no = ($2).no $$;
CREATE OPERATOR sales.~~~ (LEFTARG = sales.address, RIGHTARG = sales.address, FUNCTION = sales.same_address, COMMUTATOR = OPERATOR(sales.~~~));
CREATE OPERATOR FAMILY sales.odd USING btree;
CREATE FUNCTION sales.int_desc(int, int) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT btint4cmp($2, $1) $$;
CREATE OPERATOR CLASS sales.int_desc_ops FOR TYPE int USING btree FAMILY sales.odd AS
  OPERATOR 1 > , OPERATOR 2 >= , OPERATOR 3 = , OPERATOR 4 <= , OPERATOR 5 < , FUNCTION 1 sales.int_desc(int, int);
COMMENT ON OPERATOR sales.~~~ (sales.address, sales.address) IS 'same house';
COMMENT ON CAST (sales.mood AS int) IS 'rank';
COMMENT ON AGGREGATE sales.joined(text) IS 'with semicolons';
ALTER FUNCTION sales.mood_rank OWNER TO objects_owner;
CREATE TYPE sales.shell_only;
CREATE CONVERSION sales.my_conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER heap_tableam_handler;
CREATE TEXT SEARCH DICTIONARY sales.plain_words (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION sales.words (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION sales.words ALTER MAPPING FOR asciiword WITH sales.plain_words, simple;
COMMENT ON TEXT SEARCH CONFIGURATION sales.words IS 'plain words';
SET SESSION AUTHORIZATION objects_owner;

-- tables
CREATE TABLE sales.customer (
  id bigint GENERATED ALWAYS AS IDENTITY (START 7 INCREMENT 5) PRIMARY KEY,
  name varchar(40) COLLATE sales.plain NOT NULL DEFAULT 'nobody',
  status varchar(10) CHECK (status IN ('new', 'old')),
  kind char(3) CONSTRAINT kinds CHECK (kind IN ('a', 'b') OR kind ~ '^x'),
  mood sales.mood DEFAULT 'so so',
  home sales.address,
  open sales.opening_hours,
  limits sales.positives,
  net sales.positive,
  gross numeric GENERATED ALWAYS AS (net * 2) STORED,
  shown text GENERATED ALWAYS AS (upper(name) || '!') VIRTUAL,
  notes text STORAGE EXTERNAL COMPRESSION pglz,
  UNIQUE NULLS NOT DISTINCT (name, status)
) WITH (fillfactor = 70, autovacuum_enabled = off);
ALTER TABLE sales.customer ALTER name SET STATISTICS 500, ALTER name SET (n_distinct = -0.5);
COMMENT ON TABLE sales.customer IS $$who
buys; isn't "quoted" \ $$;
COMMENT ON COLUMN sales.customer.mood IS 'may change';
COMMENT ON CONSTRAINT kinds ON sales.customer IS 'known ones';
INSERT INTO sales.customer (name, status, kind, home, open, limits, net)
  SELECT 'c' || n, CASE WHEN n % 2 = 0 THEN 'new' ELSE 'old' END, 'x', ROW('street ' || n, n, '{sad,"so so"}')::sales.address,
         '{[08:00,12:00),[13:00,18:00)}', '{1,2.5}', n FROM generate_series(1, 200) n;
CREATE INDEX customer_lower ON sales.customer USING btree (lower(name) text_pattern_ops DESC NULLS LAST, id) INCLUDE (status)
  WITH (fillfactor = 60) WHERE status = 'new';
CREATE INDEX customer_open ON sales.customer USING gist (open);
CREATE INDEX customer_desc ON sales.customer ((id::int) sales.int_desc_ops);
COMMENT ON INDEX sales.customer_lower IS 'by name';
ALTER TABLE sales.customer CLUSTER ON customer_pkey;
CREATE STATISTICS sales.customer_stats (ndistinct, dependencies, mcv) ON name, status, (lower(name)) FROM sales.customer;
ALTER STATISTICS sales.customer_stats SET STATISTICS 50;
COMMENT ON STATISTICS sales.customer_stats IS 'together';

CREATE TABLE sales.orders (
  id int GENERATED BY DEFAULT AS IDENTITY (INCREMENT -3 MINVALUE -100 MAXVALUE 100 START 50 CACHE 4 CYCLE),
  customer bigint REFERENCES sales.customer ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
  during tstzrange,
  room int,
  PRIMARY KEY (id) DEFERRABLE INITIALLY DEFERRED,
  EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (room > 0) DEFERRABLE
);
INSERT INTO sales.orders (customer, during, room) VALUES (7, '[2020-01-01,2020-02-01)', 1), (12, '[2020-02-01,)', 1);
ALTER TABLE sales.orders ADD CONSTRAINT later CHECK (room < 10) NOT VALID;
ALTER TABLE sales.orders ADD CONSTRAINT unenforced CHECK (room < 5) NOT ENFORCED;
ALTER TABLE sales.orders ADD COLUMN dropped_soon text DEFAULT 'x', ADD COLUMN added int DEFAULT 42 NOT NULL;
ALTER TABLE sales.orders DROP COLUMN dropped_soon;
ALTER TABLE sales.orders ADD COLUMN fast text DEFAULT 'fast default';
CREATE TABLE sales.period (id int, valid daterange, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
INSERT INTO sales.period VALUES (1, '[2020-01-01,2021-01-01)'), (1, '[2021-01-01,2022-01-01)');
CREATE TABLE sales.no_columns ();
INSERT INTO sales.no_columns DEFAULT VALUES \; INSERT INTO sales.no_columns DEFAULT VALUES;
CREATE TABLE sales.all_dropped (a int, b text);
INSERT INTO sales.all_dropped VALUES (1, 'x');
ALTER TABLE sales.all_dropped DROP COLUMN a, DROP COLUMN b;
CREATE TABLE sales.no_key (n int, t text);
INSERT INTO sales.no_key SELECT n % 5, 'row' FROM generate_series(1, 20) n;
CREATE TABLE sales.no_key_json (n int, doc json);
INSERT INTO sales.no_key_json SELECT n, '{"a": 1,  "a": 2}' FROM generate_series(1, 5) n;
CREATE TABLE sales.no_key_generated (n int, m int GENERATED ALWAYS AS (n + 1) STORED);
INSERT INTO sales.no_key_generated SELECT n FROM generate_series(1, 5) n;
CREATE TABLE sales.key_generated (n int, m int GENERATED ALWAYS AS (n + 1) STORED PRIMARY KEY);
INSERT INTO sales.key_generated SELECT n FROM generate_series(1, 5) n;
CREATE TABLE sales.no_key_virtual (n int, m int GENERATED ALWAYS AS (n + 1) VIRTUAL);
INSERT INTO sales.no_key_virtual SELECT n FROM generate_series(1, 5) n;
CREATE TABLE sales.unique_only (n int NOT NULL, t text, CONSTRAINT n_once UNIQUE (n) INCLUDE (t));
INSERT INTO sales.unique_only SELECT n, 'u' FROM generate_series(1, 5) n;
CREATE TABLE sales.identity_nothing (n int PRIMARY KEY);
ALTER TABLE sales.identity_nothing REPLICA IDENTITY NOTHING;
CREATE TABLE sales.identity_full (n int PRIMARY KEY, t text);
ALTER TABLE sales.identity_full REPLICA IDENTITY FULL;
CREATE TABLE sales.identity_index (n int NOT NULL, t text);
CREATE UNIQUE INDEX identity_index_n ON sales.identity_index (n);
ALTER TABLE sales.identity_index REPLICA IDENTITY USING INDEX identity_index_n;
CREATE TABLE sales.identity_gone (n int NOT NULL, t text);
CREATE UNIQUE INDEX identity_gone_n ON sales.identity_gone (n);
ALTER TABLE sales.identity_gone REPLICA IDENTITY USING INDEX identity_gone_n;
DROP INDEX sales.identity_gone_n;
INSERT INTO sales.identity_nothing SELECT generate_series(1, 5);
INSERT INTO sales.identity_full SELECT n, 'f' FROM generate_series(1, 5) n;
INSERT INTO sales.identity_index SELECT n, 'i' FROM generate_series(1, 5) n;
INSERT INTO sales.identity_gone SELECT n, 'g' FROM generate_series(1, 5) n;
CREATE TABLE sales.typed OF sales.address (no WITH OPTIONS NOT NULL);
INSERT INTO sales.typed VALUES ('s', 1, NULL);
CREATE TABLE sales.odd_method (n int PRIMARY KEY) USING heap_too;
CREATE TABLE sales.points (id int PRIMARY KEY, of_table regclass, of_type regtype, of_function regprocedure, raw oid);
INSERT INTO sales.points VALUES (1, 'sales.orders', 'sales.mood', 'sales.twice(int)', 12345), (2, 999999, 'int4', 0, 0);

CREATE UNLOGGED TABLE sales.cache (k text PRIMARY KEY, moods sales.mood[], home sales.address, t regclass, v int GENERATED ALWAYS AS (length(k)) STORED);
INSERT INTO sales.cache VALUES ('k1', '{sad,happy}', ROW('a', 1, '{sad}'), 'sales.orders'), ('k2', NULL, NULL, NULL);
CREATE UNLOGGED TABLE sales.cache_no_columns ();
INSERT INTO sales.cache_no_columns DEFAULT VALUES;
CREATE UNLOGGED TABLE sales.cache_of_cache (k text REFERENCES sales.cache ON DELETE CASCADE, id int GENERATED ALWAYS AS IDENTITY);
INSERT INTO sales.cache_of_cache VALUES ('k1'), ('k2');
CREATE UNLOGGED SEQUENCE sales.unlogged_ticket;
SELECT nextval('sales.unlogged_ticket');

-- inheritance: a parent's later column stands elsewhere in a child after a restore
CREATE TABLE sales.base (id int, a text);
CREATE TABLE sales.child (own int CHECK (own > 0)) INHERITS (sales.base);
CREATE TABLE sales.stray (a text, id int, loose int);
ALTER TABLE sales.stray INHERIT sales.base;
ALTER TABLE sales.base ADD COLUMN late int DEFAULT 5;
ALTER TABLE sales.base ADD CONSTRAINT only_base CHECK (id < 1000) NO INHERIT;
INSERT INTO sales.base VALUES (1, 'base');
INSERT INTO sales.child (id, a, own, late) VALUES (2, 'child', 3, 4);
INSERT INTO sales.stray (id, a, loose, late) VALUES (3, 'stray', 9, 8);

-- partitions
CREATE TABLE sales.log (at date NOT NULL, region text, n int, PRIMARY KEY (at, region, n)) PARTITION BY RANGE (at);
CREATE TABLE sales.log_2020 PARTITION OF sales.log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01') PARTITION BY LIST (region);
CREATE TABLE sales.log_2020_eu PARTITION OF sales.log_2020 FOR VALUES IN ('eu', 'uk');
CREATE TABLE sales.log_2020_rest PARTITION OF sales.log_2020 DEFAULT;
CREATE TABLE sales.log_2021 (n int, gone int, region text NOT NULL, at date NOT NULL);
ALTER TABLE sales.log_2021 DROP COLUMN gone;
ALTER TABLE sales.log_2021 ALTER n SET NOT NULL;
ALTER TABLE sales.log ATTACH PARTITION sales.log_2021 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE TABLE sales.log_default PARTITION OF sales.log DEFAULT;
INSERT INTO sales.log SELECT date '2019-11-01' + n * 20, CASE n % 3 WHEN 0 THEN 'eu' WHEN 1 THEN 'us' ELSE 'ap' END, n FROM generate_series(1, 60) n;
CREATE TABLE sales.hashed (id int, t text) PARTITION BY HASH (id);
CREATE TABLE sales.hashed_0 PARTITION OF sales.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE sales.hashed_1 PARTITION OF sales.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO sales.hashed SELECT n, 'h' FROM generate_series(1, 30) n;
CREATE INDEX hashed_t ON sales.hashed (t);
CREATE INDEX log_n ON ONLY sales.log (n);
CREATE TABLE sales.empty_partitioned (a int) PARTITION BY RANGE ((a + 1));
ALTER TABLE sales.hashed_1 ALTER t SET DEFAULT 'other';

-- sequences
CREATE SEQUENCE sales.free AS smallint INCREMENT 3 MINVALUE -5 MAXVALUE 3000 START 10 CACHE 5;
SELECT setval('sales.free', 1234, false);
CREATE SEQUENCE sales.untouched START 77;
CREATE SEQUENCE sales.down INCREMENT -1;
SELECT nextval('sales.down') FROM generate_series(1, 3);
CREATE TABLE sales.with_serial (id serial, t text);
ALTER SEQUENCE sales.with_serial_id_seq OWNED BY NONE;
CREATE SEQUENCE "Back Office"."elsewhere" OWNED BY NONE;
ALTER TABLE sales.with_serial ALTER id SET DEFAULT nextval('"Back Office".elsewhere');
INSERT INTO sales.with_serial (t) VALUES ('one');
COMMENT ON SEQUENCE sales.free IS 'belongs to nobody';

-- views
CREATE VIEW sales.v WITH (security_barrier, security_invoker) AS SELECT c.id, c.name, c.status IN ('new', 'old') AS known FROM sales.customer c WITH LOCAL CHECK OPTION;
CREATE OR REPLACE VIEW sales.mutual AS SELECT NULL::int AS a;
CREATE VIEW sales.mutual2 AS SELECT a FROM sales.mutual;
CREATE OR REPLACE VIEW sales.mutual AS SELECT 1 AS a WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = 'sales.mutual2'::regclass AND false);
CREATE RECURSIVE VIEW sales.numbers (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < 5;
ALTER VIEW sales.v ALTER COLUMN name SET DEFAULT 'from view';
CREATE VIEW sales.grouped AS SELECT id, name, count(*) FROM sales.customer GROUP BY id;
COMMENT ON VIEW sales.v IS 'a view';
COMMENT ON COLUMN sales.v.known IS 'a column of a view';
CREATE MATERIALIZED VIEW sales.counted AS SELECT status, count(*) AS n FROM sales.customer GROUP BY status;
CREATE UNIQUE INDEX counted_status ON sales.counted (status);
CREATE VIEW sales.between AS SELECT 0::bigint AS total;
CREATE MATERIALIZED VIEW sales.on_top AS SELECT total FROM sales.between;
CREATE MATERIALIZED VIEW sales.below AS SELECT sum(n)::bigint AS total FROM sales.counted;
CREATE OR REPLACE VIEW sales.between AS SELECT total::bigint FROM sales.below;
REFRESH MATERIALIZED VIEW sales.on_top;
CREATE MATERIALIZED VIEW sales.never AS SELECT * FROM sales.on_top WITH NO DATA;
CREATE MATERIALIZED VIEW sales.stale AS SELECT count(*) FROM sales.no_key;
INSERT INTO sales.no_key VALUES (100, 'after the refresh');
CREATE MATERIALIZED VIEW sales.by_day AS SELECT (timestamptz '2020-06-01 23:30Z')::date AS day, now() > '2020-01-01' AS b, (timestamptz '2020-06-01 23:30Z')::text AS worded;
COMMENT ON MATERIALIZED VIEW sales.counted IS 'counts';

-- rules and triggers
CREATE TABLE sales.audit (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text);
CREATE RULE ruled AS ON INSERT TO sales.v DO INSTEAD INSERT INTO sales.customer (name, net) VALUES (new.name, 1);
CREATE RULE quiet AS ON DELETE TO sales.audit WHERE old.id < 0 DO INSTEAD NOTHING;
ALTER TABLE sales.audit DISABLE RULE quiet;
COMMENT ON RULE ruled ON sales.v IS 'through the view';
CREATE FUNCTION sales.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO sales.audit (what) VALUES (TG_TABLE_NAME || ' ' || TG_OP || coalesce(' ' || TG_ARGV[0], '')); RETURN NULL; END $$;
CREATE FUNCTION sales.pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE TRIGGER noted AFTER INSERT OR DELETE OR UPDATE OF t ON sales.unique_only FOR EACH ROW EXECUTE FUNCTION sales.note('it''s', '100%', '');
CREATE TRIGGER noted_off AFTER INSERT ON sales.unique_only FOR EACH ROW EXECUTE FUNCTION sales.note();
ALTER TABLE sales.unique_only DISABLE TRIGGER noted_off;
CREATE TRIGGER always BEFORE INSERT ON sales.unique_only FOR EACH ROW WHEN (new.n > 0) EXECUTE FUNCTION sales.pass();
ALTER TABLE sales.unique_only ENABLE ALWAYS TRIGGER always;
CREATE TRIGGER on_replica BEFORE UPDATE ON sales.unique_only FOR EACH ROW EXECUTE FUNCTION sales.pass();
ALTER TABLE sales.unique_only ENABLE REPLICA TRIGGER on_replica;
CREATE CONSTRAINT TRIGGER checked AFTER INSERT ON sales.no_key DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sales.note('constraint');
CREATE TRIGGER with_tables AFTER UPDATE ON sales.no_key REFERENCING OLD TABLE AS was NEW TABLE AS "is" FOR EACH STATEMENT EXECUTE FUNCTION sales.note();
CREATE TRIGGER on_parts AFTER INSERT ON sales.hashed FOR EACH ROW EXECUTE FUNCTION sales.note('part');
ALTER TABLE sales.hashed_1 DISABLE TRIGGER on_parts;
COMMENT ON TRIGGER noted ON sales.unique_only IS 'writes it down';

-- row-level security
CREATE TABLE sales.secret (id int PRIMARY KEY, who name DEFAULT current_user, t text);
INSERT INTO sales.secret SELECT n, 'objects_reader', 's' FROM generate_series(1, 5) n;
ALTER TABLE sales.secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON sales.secret AS RESTRICTIVE FOR SELECT TO objects_reader, CURRENT_USER USING (who = current_user);
CREATE POLICY anyone ON sales.secret FOR UPDATE USING (false) WITH CHECK (id > 0);
COMMENT ON POLICY own ON sales.secret IS 'yours only';
CREATE TABLE sales.secret_unforced (id int PRIMARY KEY);
ALTER TABLE sales.secret_unforced FORCE ROW LEVEL SECURITY;
CREATE POLICY sleeping ON sales.secret_unforced USING (true);

-- large objects
SELECT lo_from_bytea(4711, 'hello'::bytea || '\x00ff'::bytea), lo_create(4712), lo_from_bytea(4713, decode(repeat('00', 5000), 'hex'));
COMMENT ON LARGE OBJECT 4711 IS 'greeting';
GRANT SELECT ON LARGE OBJECT 4711 TO objects_reader WITH GRANT OPTION;
GRANT UPDATE ON LARGE OBJECT 4711 TO PUBLIC;
REVOKE UPDATE ON LARGE OBJECT 4712 FROM objects_owner;
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION objects_reader;
GRANT SELECT ON LARGE OBJECT 4711 TO objects_app;
RESET SESSION AUTHORIZATION;
SELECT lo_create(4714);
SELECT lo_put(4714, 1000000, 'sparse');
SELECT lo_from_bytea(4715, decode(repeat('00', 2048) || repeat('10', 2048) || '0100', 'hex'));

-- foreign data
CREATE SERVER elsewhere TYPE 'pg' VERSION '18' FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.9', dbname 'no "such" %s');
ALTER SERVER elsewhere OWNER TO objects_owner;
CREATE USER MAPPING FOR objects_app SERVER elsewhere OPTIONS (user 'u', password 'p\''s');
CREATE USER MAPPING FOR PUBLIC SERVER elsewhere;
CREATE FOREIGN TABLE sales.far (id int OPTIONS (column_name 'ID') NOT NULL, t text) SERVER elsewhere OPTIONS (table_name 'T');
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE sales.base_far (id int, a text, late int) SERVER files OPTIONS (filename '/nonexistent/file', format 'csv');
ALTER FOREIGN TABLE sales.base_far INHERIT sales.base;
COMMENT ON SERVER elsewhere IS 'far away';
COMMENT ON FOREIGN TABLE sales.far IS 'far';

-- event triggers
CREATE FUNCTION public.seen() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO sales.audit (what) VALUES ('ddl ' || TG_TAG); END $$;
CREATE EVENT TRIGGER seen_ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'CREATE SCHEMA') EXECUTE FUNCTION public.seen();
CREATE EVENT TRIGGER seen_always ON ddl_command_start EXECUTE FUNCTION public.seen();
ALTER EVENT TRIGGER seen_always ENABLE ALWAYS;
CREATE EVENT TRIGGER seen_off ON sql_drop EXECUTE FUNCTION public.seen();
ALTER EVENT TRIGGER seen_off DISABLE;
COMMENT ON EVENT TRIGGER seen_ddl IS 'watches';

-- grants
GRANT USAGE ON SCHEMA sales TO objects_reader;
GRANT SELECT (id, name), UPDATE (status) ON sales.customer TO objects_reader;
GRANT SELECT ON sales.orders TO objects_reader WITH GRANT OPTION;
GRANT EXECUTE ON FUNCTION pg_stat_reset() TO objects_reader;
REVOKE EXECUTE ON FUNCTION sales.twice FROM PUBLIC;
REVOKE USAGE ON TYPE sales.mood FROM PUBLIC;
GRANT USAGE ON LANGUAGE plpgsql TO objects_reader WITH GRANT OPTION;
ALTER DATABASE :"db" SET timezone = 'Asia/Tokyo';
ALTER DATABASE :"db" SET datestyle = 'German, DMY';
