-- Facts about this database, by name: whose keyed hashes it holds, and which older store it took over.
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

CREATE TABLE visits (
  visit BLOB PRIMARY KEY,
  appointment TEXT NOT NULL,
  starts_ms INTEGER NOT NULL,
  ends_ms INTEGER NOT NULL,
  template TEXT,
  -- The participant id of the visit's one recorder, once there is one.
  recorder BLOB,
  locked INTEGER NOT NULL,
  ended INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Old visits are deleted from this end.
CREATE INDEX visits_by_end ON visits (ends_ms);

CREATE TABLE participants (
  visit BLOB NOT NULL REFERENCES visits (visit) ON DELETE CASCADE,
  participant BLOB NOT NULL,
  role TEXT NOT NULL,
  -- Keyed hashes: of the link's secret, of its passcode, and of the credential of the browser that redeemed it.
  link BLOB,
  passcode BLOB,
  credential BLOB,
  wrong_passcodes INTEGER NOT NULL,
  second_browser INTEGER NOT NULL,
  second_browser_ms INTEGER,
  turned_away INTEGER NOT NULL,
  PRIMARY KEY (visit, participant)
) STRICT, WITHOUT ROWID;
