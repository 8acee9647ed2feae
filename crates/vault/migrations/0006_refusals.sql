-- What the holder of one capability may make the vault log: changes in the hour that began then, and how many requests were refused
-- beyond the bounds since the last entry about this part, and when the first of them came.
ALTER TABLE parts ADD COLUMN changes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE parts ADD COLUMN changes_since_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE parts ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE parts ADD COLUMN refused_since_ms INTEGER NOT NULL DEFAULT 0;
