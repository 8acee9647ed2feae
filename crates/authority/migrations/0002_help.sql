-- What the clinic did for somebody who was locked out, and which browsers ask to take a link over: small JSON lists.
ALTER TABLE participants ADD COLUMN browsers TEXT NOT NULL DEFAULT '[]';
ALTER TABLE participants ADD COLUMN help TEXT NOT NULL DEFAULT '[]';
