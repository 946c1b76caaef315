-- Lines of other copies' verdict logs, as JSON, on candidates that this project does not have: kept until mining finds those.
CREATE TABLE waiting_verdicts (
    uid  BLOB PRIMARY KEY CHECK (length(uid) = 16),
    line TEXT NOT NULL
) STRICT, WITHOUT ROWID;
