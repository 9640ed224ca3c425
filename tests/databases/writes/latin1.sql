SET client_encoding = 'UTF8';
SET search_path = "büro";
UPDATE "straße" SET "größe" = 'Ä' WHERE id < 5;
INSERT INTO "flüchtig" VALUES ('late ü');
UPDATE "ohne schlüssel" SET j = '"é"';
