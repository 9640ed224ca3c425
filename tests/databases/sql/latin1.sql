-- An old encoding, with names and values outside ASCII. No schema public, and no language but SQL.
CREATE ROLE a_stranger LOGIN;  -- nothing to do with the database; its fence has to reckon with it all the same
ALTER ROLE a_stranger SET default_transaction_read_only = off;
CREATE ROLE latin1_owner LOGIN;
CREATE DATABASE :"db" OWNER latin1_owner TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C';
\connect :"db"
SET client_encoding = 'UTF8';
DROP SCHEMA public;
DROP EXTENSION plpgsql;
CREATE SCHEMA "büro" AUTHORIZATION latin1_owner;
SET search_path = "büro";
CREATE TABLE "straße" (id int PRIMARY KEY, "größe" text DEFAULT 'äöü');
INSERT INTO "straße" SELECT n, 'ÿ' || chr(128 + n) FROM generate_series(1, 120) n;
CREATE UNLOGGED TABLE "flüchtig" ("ö" text);
INSERT INTO "flüchtig" SELECT chr(n) FROM generate_series(160, 255) n;
COMMENT ON TABLE "straße" IS 'Maß';
CREATE SEQUENCE "zähler";
SELECT nextval('"zähler"') \g /dev/null
CREATE TABLE "ohne schlüssel" (t text, j json);
INSERT INTO "ohne schlüssel" VALUES ('ß', '"ß"');
