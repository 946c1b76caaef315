-- The mining of a round, newest only. identity: of the model and its settings; another one begins anew. finished: every image is in.
CREATE TABLE mining_runs (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    round_id INTEGER NOT NULL UNIQUE REFERENCES rounds (id),
    identity TEXT NOT NULL,
    finished INTEGER NOT NULL CHECK (finished IN (0, 1))
) STRICT;

-- What a mining has looked at, so that it can go on. Rows of an earlier run count no more. fingerprint: of the image's bytes and its
-- ground truth.
CREATE TABLE mined_images (
    round_id       INTEGER NOT NULL REFERENCES rounds (id),
    image_id       INTEGER NOT NULL REFERENCES images (id),
    run            INTEGER NOT NULL,
    fingerprint    BLOB NOT NULL CHECK (length(fingerprint) = 16),
    detections     INTEGER NOT NULL,
    background     INTEGER NOT NULL,
    localisation   INTEGER NOT NULL,
    classification INTEGER NOT NULL,
    "both"         INTEGER NOT NULL,
    duplicate      INTEGER NOT NULL,
    PRIMARY KEY (round_id, image_id)
) STRICT, WITHOUT ROWID;
