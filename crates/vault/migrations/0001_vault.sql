-- Identifiers, hashes and documents are text as they stand in the signed documents; times are milliseconds since
-- the Unix epoch.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE recordings (
    recording             TEXT PRIMARY KEY,
    visit                 TEXT NOT NULL,
    group_id              TEXT NOT NULL,
    round                 TEXT NOT NULL,
    -- Hash of the signed consent request: the same for every part.
    request               TEXT NOT NULL,
    -- `keep`, `delete` or `ask`: what the consent text said about a withdrawal.
    on_withdrawal         TEXT NOT NULL,
    opened_ms             INTEGER NOT NULL,
    deletion_requested_ms INTEGER
) STRICT;

CREATE INDEX recordings_by_round ON recordings (visit, group_id, round);
CREATE INDEX recordings_by_time ON recordings (opened_ms, recording);

CREATE TABLE parts (
    recording    TEXT NOT NULL REFERENCES recordings (recording),
    part         INTEGER NOT NULL,
    open         TEXT NOT NULL,
    open_hash    TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('open', 'finished', 'unfinished')),
    opened_ms    INTEGER NOT NULL,
    -- When bytes or an envelope last became durable; the expiry counts from here.
    last_byte_ms INTEGER NOT NULL,
    ended_ms     INTEGER,
    -- The signed manifest or closing record, and the receipt over it.
    ending       TEXT,
    receipt      TEXT,
    PRIMARY KEY (recording, part)
) STRICT;

CREATE INDEX parts_by_expiry ON parts (state, last_byte_ms);

CREATE TABLE tracks (
    track         TEXT PRIMARY KEY,
    recording     TEXT NOT NULL,
    part          INTEGER NOT NULL,
    -- Place in the open statement.
    position      INTEGER NOT NULL,
    header_hash   TEXT NOT NULL,
    -- The shred share; NULL when the header needs none. It exists in this column and nowhere else.
    share         BLOB,
    upload        TEXT NOT NULL DEFAULT 'none' CHECK (upload IN ('none', 'created', 'removed')),
    upload_meta   TEXT,
    upload_length INTEGER,
    -- The offset that was last acknowledged.
    acknowledged  INTEGER NOT NULL DEFAULT 0,
    -- What the object store holds, once the part has ended.
    stored_bytes  INTEGER NOT NULL DEFAULT 0,
    segments      INTEGER NOT NULL DEFAULT 0,
    head          TEXT,
    media_end_us  INTEGER NOT NULL DEFAULT 0,
    FOREIGN KEY (recording, part) REFERENCES parts (recording, part)
) STRICT;

CREATE INDEX tracks_by_part ON tracks (recording, part, position);

CREATE TABLE envelopes (
    track     TEXT NOT NULL REFERENCES tracks (track),
    number    INTEGER NOT NULL,
    envelope  TEXT NOT NULL,
    hash      TEXT NOT NULL,
    stored_ms INTEGER NOT NULL,
    PRIMARY KEY (track, number)
) STRICT;

-- Every ending a part ever had: a part that was closed as unfinished may go on when its device comes back.
CREATE TABLE endings (
    recording TEXT NOT NULL,
    part      INTEGER NOT NULL,
    ended_ms  INTEGER NOT NULL,
    state     TEXT NOT NULL,
    ending    TEXT NOT NULL,
    receipt   TEXT NOT NULL
) STRICT;

CREATE TABLE withdrawals (
    hash        TEXT PRIMARY KEY,
    visit       TEXT NOT NULL,
    group_id    TEXT NOT NULL,
    round       TEXT NOT NULL,
    participant TEXT NOT NULL,
    statement   TEXT NOT NULL,
    wish        TEXT,
    received_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX withdrawals_by_round ON withdrawals (visit, group_id, round);

CREATE TABLE audit (
    seq   INTEGER PRIMARY KEY,
    -- The exact JSON text that is hashed.
    entry TEXT NOT NULL,
    hash  TEXT NOT NULL
) STRICT;

-- Nobody rewrites the log through this program; that nobody does it past this program shows in the hash chain.
CREATE TRIGGER audit_is_not_updated BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
