-- A deletion that was granted: when, by which signed document (a withdrawal or the clinic's order), and how far it got.
ALTER TABLE recordings ADD COLUMN deletion_granted_ms INTEGER;
ALTER TABLE recordings ADD COLUMN deletion_basis TEXT;
ALTER TABLE recordings ADD COLUMN shares_destroyed_ms INTEGER;
ALTER TABLE recordings ADD COLUMN deleted_ms INTEGER;
-- The vault's signed deletion record, for devices that still hold a spool.
ALTER TABLE recordings ADD COLUMN deletion TEXT;

-- The newest statement that the vault knows of each participant, over the whole visit: an older grant does not stand.
CREATE TABLE last_words (
    visit       TEXT NOT NULL,
    participant TEXT NOT NULL,
    -- Statements' sequence numbers, as 20 decimal digits: they have 64 bits without a sign.
    seq         TEXT NOT NULL,
    kind        TEXT NOT NULL,
    PRIMARY KEY (visit, participant)
) STRICT;

-- Key of the device that made the part: it renews the upload capability. Missing for parts from before this version.
ALTER TABLE parts ADD COLUMN renewal_key TEXT;
-- The recorder's participant id, for its quota; filled in at start for parts from before this version.
ALTER TABLE parts ADD COLUMN recorder TEXT;

-- Proofs of possession that were shown, until they expire: each is good once.
CREATE TABLE proofs (
    id         TEXT PRIMARY KEY,
    expires_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX proofs_by_expiry ON proofs (expires_ms);
CREATE INDEX recordings_by_visit ON recordings (visit);

-- Whom a recording's open statements name, the recorder left out: they may withdraw.
CREATE TABLE people (
    recording   TEXT NOT NULL REFERENCES recordings (recording),
    participant TEXT NOT NULL,
    PRIMARY KEY (recording, participant)
) STRICT;

-- Hash of the request that was shown to whoever withdrew: who joined during a part is named in no open statement.
ALTER TABLE withdrawals ADD COLUMN request TEXT;

CREATE INDEX withdrawals_by_author ON withdrawals (visit, participant);
