-- No encoding at all: bytes that no encoding knows, names included.
CREATE ROLE sql_ascii_owner LOGIN;
CREATE DATABASE :"db" OWNER sql_ascii_owner TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C';
\connect :"db"
CREATE TABLE "näme" (id int PRIMARY KEY, t text, "colümn" text);
INSERT INTO "näme" VALUES (1, E'\xff\xfe', E'caf\xe9'), (2, 'ü', NULL);
CREATE UNLOGGED TABLE "unlögged" (t text, "ö" text[]);
INSERT INTO "unlögged" VALUES (E'\x80\x81', ARRAY[E'\xff']);
CREATE TABLE no_key (t text, p point);
INSERT INTO no_key VALUES (E'\xc3\x28', '(1,2)');
COMMENT ON TABLE no_key IS E'latin: \xe9';
CREATE FUNCTION f() RETURNS text LANGUAGE sql AS E'SELECT E''\xe9''';
-- Put away for good: read-only by its own settings, and its owner may do nothing.
REVOKE ALL ON DATABASE :"db" FROM PUBLIC, sql_ascii_owner;
ALTER DATABASE :"db" SET default_transaction_read_only = on;
