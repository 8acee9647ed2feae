-- The clinic's decision to keep a recording although somebody wished for its deletion: when it came, and the signed document.
-- A later wish takes the time back, and leaves the document on record.
ALTER TABLE recordings ADD COLUMN deletion_declined_ms INTEGER;
ALTER TABLE recordings ADD COLUMN deletion_decline TEXT;
