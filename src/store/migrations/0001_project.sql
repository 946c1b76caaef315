-- The project as of Quarry 0.1. Rows that may meet their like in a copy of the project carry a UUID v7 in `uid`.
-- Shapes: 'rectangle' a,b,c,d = x1,y1,x2,y2; 'ellipse' a,b,c,d,e = ra,rb,theta,cx,cy; pixels of the image.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Counts every change of images, rounds, candidates and groups that is not a verdict, so that readers know what to reload.
INSERT INTO meta (key, value) VALUES ('generation', 0);

CREATE TABLE datasets (
    id          INTEGER PRIMARY KEY,
    uid         BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    root        TEXT NOT NULL,
    imported_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE images (
    id           INTEGER PRIMARY KEY,
    uid          BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    dataset_id   INTEGER NOT NULL REFERENCES datasets (id),
    name         TEXT NOT NULL,
    path         TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    width        INTEGER NOT NULL CHECK (0 < width),
    height       INTEGER NOT NULL CHECK (0 < height),
    fold         INTEGER CHECK (1 <= fold AND fold <= 255),
    UNIQUE (dataset_id, name)
) STRICT;
CREATE INDEX images_by_content ON images (content_hash);
CREATE INDEX images_by_fold ON images (fold, id);

CREATE TABLE rounds (
    id          INTEGER PRIMARY KEY,
    uid         BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    number      INTEGER NOT NULL UNIQUE CHECK (1 <= number),
    state       TEXT NOT NULL CHECK (state IN ('running', 'stopped', 'failed', 'trained', 'mined')),
    config_toml TEXT NOT NULL,
    notes       TEXT NOT NULL DEFAULT '',
    started_ms  INTEGER NOT NULL,
    finished_ms INTEGER
) STRICT;

CREATE TABLE detections (
    id       INTEGER PRIMARY KEY,
    round_id INTEGER NOT NULL REFERENCES rounds (id),
    image_id INTEGER NOT NULL REFERENCES images (id),
    x1 REAL NOT NULL, y1 REAL NOT NULL, x2 REAL NOT NULL, y2 REAL NOT NULL,
    ra REAL, rb REAL, theta REAL, cx REAL, cy REAL,
    score    REAL NOT NULL
) STRICT;
CREATE INDEX detections_by_image ON detections (round_id, image_id, score DESC);

CREATE TABLE groups (
    id  INTEGER PRIMARY KEY,
    uid BLOB NOT NULL UNIQUE CHECK (length(uid) = 16)
) STRICT;

-- max_iou, kind and verdict follow from ground truth and verdicts; the transaction that changes those keeps them up to date.
-- AUTOINCREMENT: the id of a candidate that mining dropped never comes back as another one.
CREATE TABLE candidates (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    uid      BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    round_id INTEGER NOT NULL REFERENCES rounds (id),
    image_id INTEGER NOT NULL REFERENCES images (id),
    group_id INTEGER REFERENCES groups (id),
    x1 REAL NOT NULL, y1 REAL NOT NULL, x2 REAL NOT NULL, y2 REAL NOT NULL,
    score    REAL NOT NULL,
    max_iou  REAL NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('background', 'localisation', 'duplicate')),
    verdict  TEXT CHECK (verdict IN ('confirmed', 'rejected', 'missed_face', 'skipped'))
) STRICT;
-- No index holds max_iou, kind or verdict: each would cost a stroke over 10,000 candidates as many pages (see queue_index.rs).
CREATE INDEX candidates_by_round ON candidates (round_id);
CREATE INDEX candidates_by_image ON candidates (image_id, round_id);
CREATE INDEX candidates_by_group ON candidates (group_id) WHERE group_id IS NOT NULL;

CREATE TABLE ground_truth (
    id           INTEGER PRIMARY KEY,
    uid          BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    image_id     INTEGER NOT NULL REFERENCES images (id),
    shape        TEXT NOT NULL CHECK (shape IN ('rectangle', 'ellipse')),
    a REAL NOT NULL, b REAL NOT NULL, c REAL NOT NULL, d REAL NOT NULL, e REAL,
    source       TEXT NOT NULL CHECK (source IN ('imported', 'promoted', 'edited')),
    ignored      INTEGER NOT NULL CHECK (ignored IN (0, 1)),
    -- The candidate that was promoted; it holds the row for as long as its verdict is 'missed_face'.
    candidate_id INTEGER UNIQUE REFERENCES candidates (id),
    CHECK ((source = 'promoted') = (candidate_id IS NOT NULL))
) STRICT;
CREATE INDEX ground_truth_by_image ON ground_truth (image_id);

CREATE TABLE annotators (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE CHECK (name <> '')
) STRICT;

-- One gesture is one step of undo. `target`: what an undo takes back (a 'decide') or a redo brings back (an 'undo').
-- `parent`: the step that comes up next once this one is undone (of a 'decide') or redone (of an 'undo').
-- `tick`: order over all copies of a project: the clock in microseconds, but always above every tick seen before.
CREATE TABLE gestures (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    uid          BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    annotator_id INTEGER NOT NULL REFERENCES annotators (id),
    action       TEXT NOT NULL CHECK (action IN ('decide', 'undo', 'redo')),
    target       INTEGER REFERENCES gestures (id),
    parent       INTEGER REFERENCES gestures (id),
    merged       INTEGER NOT NULL CHECK (merged IN (0, 1)),
    tick         INTEGER NOT NULL,
    time_ms      INTEGER NOT NULL
) STRICT;
CREATE INDEX gestures_by_annotator ON gestures (annotator_id, merged, id);
CREATE INDEX gestures_by_tick ON gestures (tick);

-- The log: what was decided, in the order of seq. A NULL verdict says that the annotator holds none any more (after an undo).
CREATE TABLE verdicts (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    uid          BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    gesture_id   INTEGER NOT NULL REFERENCES gestures (id),
    candidate_id INTEGER NOT NULL REFERENCES candidates (id),
    annotator_id INTEGER NOT NULL REFERENCES annotators (id),
    verdict      TEXT CHECK (verdict IN ('confirmed', 'rejected', 'missed_face', 'skipped')),
    reason       TEXT,
    shape        TEXT CHECK (shape IN ('rectangle', 'ellipse')),
    a REAL, b REAL, c REAL, d REAL, e REAL,
    -- The annotator's verdict that stood before this one.
    replaces     INTEGER REFERENCES verdicts (seq),
    tick         INTEGER NOT NULL,
    time_ms      INTEGER NOT NULL
) STRICT;
CREATE INDEX verdicts_by_gesture ON verdicts (gesture_id);
CREATE INDEX verdicts_by_candidate ON verdicts (candidate_id, annotator_id);

CREATE TRIGGER verdicts_are_never_updated BEFORE UPDATE ON verdicts
BEGIN SELECT RAISE(ABORT, 'verdicts are append-only'); END;
CREATE TRIGGER verdicts_are_never_deleted BEFORE DELETE ON verdicts
BEGIN SELECT RAISE(ABORT, 'verdicts are append-only'); END;
CREATE TRIGGER gestures_are_never_updated BEFORE UPDATE ON gestures
BEGIN SELECT RAISE(ABORT, 'gestures are append-only'); END;
CREATE TRIGGER gestures_are_never_deleted BEFORE DELETE ON gestures
BEGIN SELECT RAISE(ABORT, 'gestures are append-only'); END;

-- The newest row of the log for each candidate and annotator, where it holds a verdict. Follows from the log.
CREATE TABLE standing_verdicts (
    candidate_id INTEGER NOT NULL REFERENCES candidates (id),
    annotator_id INTEGER NOT NULL REFERENCES annotators (id),
    seq          INTEGER NOT NULL REFERENCES verdicts (seq),
    tick         INTEGER NOT NULL,
    verdict      TEXT NOT NULL,
    PRIMARY KEY (candidate_id, annotator_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX standing_by_annotator ON standing_verdicts (annotator_id, verdict);

CREATE TABLE metrics (
    round_id INTEGER NOT NULL REFERENCES rounds (id),
    name     TEXT NOT NULL,
    step     INTEGER NOT NULL,
    value    REAL,
    PRIMARY KEY (round_id, name, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE curves (
    round_id INTEGER NOT NULL REFERENCES rounds (id),
    step     INTEGER NOT NULL,
    label    TEXT NOT NULL,
    json     TEXT NOT NULL,
    PRIMARY KEY (round_id, step, label)
) STRICT, WITHOUT ROWID;
