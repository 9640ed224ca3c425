SET ROLE none;
SET search_path = public;
UPDATE t SET a = 'changed' WHERE id % 100 = 0;
UPDATE no_key SET a = 'y';
INSERT INTO pgx.t VALUES (2);
INSERT INTO u VALUES ('late');
SELECT nextval('pgx.s') \g /dev/null
