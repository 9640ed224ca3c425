SET default_transaction_read_only = off;
UPDATE "näme" SET t = E'\xfd' WHERE id = 2;
INSERT INTO "unlögged" VALUES (E'late \xfe', NULL);
INSERT INTO no_key VALUES (E'\xfd', NULL);
DELETE FROM no_key WHERE p IS NOT NULL;
