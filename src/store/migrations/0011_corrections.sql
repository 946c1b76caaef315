-- Corrections of ground truth: an append-only log like that of verdicts, in the same gestures. Runs with foreign keys off.

-- What was ever corrected or added, as it is known over imports and in other copies of the project. source 'imported': the dataset's own,
-- by its class, shape and flag as the dataset has it and by its place among equal ones of its image, from 0: it is found again when an
-- import brings it back. 'promoted': what a candidate was promoted to. 'added': drawn.
CREATE TABLE corrected_objects (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    uid          BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    image_id     INTEGER NOT NULL REFERENCES images (id),
    source       TEXT NOT NULL CHECK (source IN ('imported', 'promoted', 'added')),
    class_id     INTEGER REFERENCES classes (id),
    shape        TEXT CHECK (shape IN ('rectangle', 'ellipse')),
    a REAL, b REAL, c REAL, d REAL, e REAL,
    ignored      INTEGER CHECK (ignored IN (0, 1)),
    place        INTEGER CHECK (place >= 0),
    candidate_id INTEGER UNIQUE REFERENCES candidates (id),
    CHECK ((source = 'imported') = (class_id IS NOT NULL)),
    CHECK ((source = 'imported') = (shape IS NOT NULL)),
    CHECK ((source = 'imported') = (ignored IS NOT NULL)),
    CHECK ((source = 'imported') = (place IS NOT NULL)),
    CHECK ((source = 'promoted') = (candidate_id IS NOT NULL))
) STRICT;
CREATE INDEX corrected_objects_by_image ON corrected_objects (image_id);

-- What was corrected, in the order of seq: the whole object as it is since. A NULL act says that the annotator's corrections of the
-- object are taken back.
CREATE TABLE corrections (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    uid          BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    gesture_id   INTEGER NOT NULL REFERENCES gestures (id),
    object_id    INTEGER NOT NULL REFERENCES corrected_objects (id),
    annotator_id INTEGER NOT NULL REFERENCES annotators (id),
    act          TEXT CHECK (act IN ('added', 'reshaped', 'reclassed', 'ignored', 'counted', 'deleted', 'restored')),
    class_id     INTEGER REFERENCES classes (id),
    shape        TEXT CHECK (shape IN ('rectangle', 'ellipse')),
    a REAL, b REAL, c REAL, d REAL, e REAL,
    ignored      INTEGER CHECK (ignored IN (0, 1)),
    deleted      INTEGER CHECK (deleted IN (0, 1)),
    -- The annotator's correction that stood before this one.
    replaces     INTEGER REFERENCES corrections (seq),
    tick         INTEGER NOT NULL,
    -- The tick at which this was decided: an undo or a redo brings an older one back.
    since        INTEGER NOT NULL,
    time_ms      INTEGER NOT NULL,
    CHECK ((act IS NULL) = (class_id IS NULL)),
    CHECK ((act IS NULL) = (shape IS NULL)),
    CHECK ((act IS NULL) = (ignored IS NULL)),
    CHECK ((act IS NULL) = (deleted IS NULL))
) STRICT;
CREATE INDEX corrections_by_gesture ON corrections (gesture_id);
CREATE INDEX corrections_by_object ON corrections (object_id, annotator_id);
CREATE TRIGGER corrections_are_never_updated BEFORE UPDATE ON corrections
BEGIN SELECT RAISE(ABORT, 'corrections are append-only'); END;
CREATE TRIGGER corrections_are_never_deleted BEFORE DELETE ON corrections
BEGIN SELECT RAISE(ABORT, 'corrections are append-only'); END;

-- As `corrections.since`. NULL in rows from before: the tick.
ALTER TABLE verdicts ADD COLUMN since INTEGER;

-- source 'added' with `object_id`: what was drawn. `removed`, now of every source but 'imported': the object was deleted.
CREATE TABLE new_ground_truth (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    uid          BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    image_id     INTEGER NOT NULL REFERENCES images (id),
    class_id     INTEGER NOT NULL REFERENCES classes (id),
    shape        TEXT NOT NULL CHECK (shape IN ('rectangle', 'ellipse')),
    a REAL NOT NULL, b REAL NOT NULL, c REAL NOT NULL, d REAL NOT NULL, e REAL,
    source       TEXT NOT NULL CHECK (source IN ('imported', 'promoted', 'edited', 'added')),
    ignored      INTEGER NOT NULL CHECK (ignored IN (0, 1)),
    -- The candidate that was promoted; it holds the row for as long as its verdict says that an object was missed there.
    candidate_id INTEGER UNIQUE REFERENCES candidates (id),
    -- The row of the dataset's own in whose place this one stands.
    corrects     INTEGER UNIQUE REFERENCES ground_truth (id) ON DELETE CASCADE,
    object_id    INTEGER UNIQUE REFERENCES corrected_objects (id),
    removed      INTEGER NOT NULL DEFAULT 0 CHECK (removed IN (0, 1)),
    CHECK ((source = 'promoted') = (candidate_id IS NOT NULL)),
    CHECK ((source = 'edited') = (corrects IS NOT NULL)),
    CHECK ((source = 'added') = (object_id IS NOT NULL)),
    CHECK (source <> 'imported' OR removed = 0)
) STRICT;
INSERT INTO new_ground_truth (id, uid, image_id, class_id, shape, a, b, c, d, e, source, ignored, candidate_id, corrects, removed)
    SELECT id, uid, image_id, class_id, shape, a, b, c, d, e, source, ignored, candidate_id, corrects, removed FROM ground_truth;
DELETE FROM sqlite_sequence WHERE name = 'new_ground_truth';
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_ground_truth', seq FROM sqlite_sequence WHERE name = 'ground_truth';
DROP TABLE ground_truth;
ALTER TABLE new_ground_truth RENAME TO ground_truth;
CREATE INDEX ground_truth_by_image ON ground_truth (image_id);
CREATE INDEX ground_truth_by_class ON ground_truth (class_id);
