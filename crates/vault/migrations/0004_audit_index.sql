-- Whether an action on a document was logged before, without reading the whole log (see `audit::has`).
CREATE INDEX audit_by_document ON audit
    (json_extract(entry, '$.document'), json_extract(entry, '$.recording'), json_extract(entry, '$.action'));
