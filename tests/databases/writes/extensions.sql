SET search_path = public, ext, "Ext 2";
UPDATE things SET h = h || 'new=>1', v = '[9,9,9]' WHERE id = 1;
UPDATE no_key SET v = '[5,6]' WHERE c = 'a';
INSERT INTO fleeting VALUES (NULL, NULL);
