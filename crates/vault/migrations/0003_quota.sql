-- How often a part's capability was renewed since when: bounded, so that neither journal nor audit log grows without end.
ALTER TABLE parts ADD COLUMN renewals_since_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE parts ADD COLUMN renewals INTEGER NOT NULL DEFAULT 0;

CREATE INDEX parts_by_recorder ON parts (recorder);
