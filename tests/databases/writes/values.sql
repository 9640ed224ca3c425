CREATE TEMP TABLE copied AS SELECT * FROM edge;
UPDATE copied SET id = id + 100;
INSERT INTO edge SELECT * FROM copied;
DELETE FROM edge WHERE id < 10;
UPDATE edge SET num = -num, f8 = -f8, iv = -iv WHERE id IN (102, 103, 105);
UPDATE edge_twin SET id = -id;
DELETE FROM nothing_but_floats WHERE f = 'NaN' OR n = 'Infinity';
UPDATE nothing_but_floats SET d = 'infinity' WHERE f > 5e8;
UPDATE big SET n = 'y';
UPDATE big SET b = b || '\x00' WHERE id = 2;
INSERT INTO edge_unlogged SELECT * FROM copied;
UPDATE wide SET c150 = -1 WHERE id = 2;
SELECT lo_put(6001, 1500000, 'changed'), lo_unlink(6002) \g /dev/null
