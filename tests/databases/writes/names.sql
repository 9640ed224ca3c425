SET search_path = "Weird ""Schema"" 100%s";
UPDATE "SELECT" SET "a ""b"" %s" = 'changed' WHERE "from" < 4;
DELETE FROM "no key 100%s" WHERE "%(name)s" = 1;
UPDATE "no key 100%s" SET "portal row" = 'three';
INSERT INTO "select"."where" ("order") VALUES (NULL);
DELETE FROM "a.b"."c.d" WHERE "e.f" = 1;
INSERT INTO "a.b"."c" VALUES (9);
INSERT INTO pgx.looks_like_pg_ VALUES (2);
INSERT INTO "63 bytes ååååååååååååååååååååååååååå" VALUES (2);
SELECT format('INSERT INTO %I VALUES (2)', E'new\nline \\ back''slash') \gexec
DELETE FROM "un logged %s ☃" WHERE "a%b" = 'x';
INSERT INTO "portal row" VALUES ('portal row');
SELECT nextval('"Seq ""uence"" %s ☃"') \g /dev/null
UPDATE typed SET m = '{ü}';
UPDATE "unique %s" SET "k %s" = "k %s" + 10;
SELECT lo_put(5001, 0, 'N') \g /dev/null
