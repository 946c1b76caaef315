-- Classes of objects; kinds of false positives after TIDE; the verdicts missed object and wrong class; corrected ground truth.
-- Runs with foreign keys off (see migrations.rs): tables whose CHECKs change are built anew under their own names.

-- A class that was merged into another one stays for the log's sake: whatever reads a class id follows `merged_into`.
CREATE TABLE classes (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    uid         BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    name        TEXT NOT NULL UNIQUE CHECK (name <> ''),
    color       INTEGER NOT NULL CHECK (color BETWEEN 0 AND 0xffffff),
    position    INTEGER NOT NULL CHECK (position >= 0),
    origin      TEXT NOT NULL,
    merged_into INTEGER REFERENCES classes (id)
) STRICT;
-- Names that a class had before: a dataset, or a verdict file of another copy, still says them.
CREATE TABLE former_class_names (
    name     TEXT PRIMARY KEY,
    class_id INTEGER NOT NULL REFERENCES classes (id)
) STRICT, WITHOUT ROWID;
-- Every project so far was about faces. The same uid in every copy of a project, so that copies agree.
INSERT INTO classes (id, uid, name, color, position, origin)
    SELECT 1, x'0193000000007000800000000000face', 'face', 0x009e73, 0, 'fddb'
    WHERE EXISTS (SELECT 1 FROM datasets) OR EXISTS (SELECT 1 FROM rounds);

ALTER TABLE detections ADD COLUMN class_id INTEGER NOT NULL DEFAULT 1 REFERENCES classes (id);

CREATE TABLE new_candidates (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    uid      BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    round_id INTEGER NOT NULL REFERENCES rounds (id),
    image_id INTEGER NOT NULL REFERENCES images (id),
    class_id INTEGER NOT NULL REFERENCES classes (id),
    group_id INTEGER REFERENCES groups (id),
    x1 REAL NOT NULL, y1 REAL NOT NULL, x2 REAL NOT NULL, y2 REAL NOT NULL,
    score    REAL NOT NULL,
    max_iou  REAL NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('background', 'localisation', 'classification', 'both', 'duplicate')),
    verdict  TEXT CHECK (verdict IN ('confirmed', 'rejected', 'missed_object', 'wrong_class', 'skipped'))
) STRICT;
INSERT INTO new_candidates
    SELECT id, uid, round_id, image_id, 1, group_id, x1, y1, x2, y2, score, max_iou, kind,
           CASE verdict WHEN 'missed_face' THEN 'missed_object' ELSE verdict END
    FROM candidates;
-- No id comes back: the counter goes on where it was, also where the last candidates are gone.
DELETE FROM sqlite_sequence WHERE name = 'new_candidates';
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_candidates', seq FROM sqlite_sequence WHERE name = 'candidates';
DROP TABLE candidates;
ALTER TABLE new_candidates RENAME TO candidates;
CREATE INDEX candidates_by_round ON candidates (round_id);
CREATE INDEX candidates_by_image ON candidates (image_id, round_id);
CREATE INDEX candidates_by_group ON candidates (group_id) WHERE group_id IS NOT NULL;

-- source 'edited' with `corrects`: stands in the place of that row of the dataset's own. `removed`: the object is none.
CREATE TABLE new_ground_truth (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    uid          BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    image_id     INTEGER NOT NULL REFERENCES images (id),
    class_id     INTEGER NOT NULL REFERENCES classes (id),
    shape        TEXT NOT NULL CHECK (shape IN ('rectangle', 'ellipse')),
    a REAL NOT NULL, b REAL NOT NULL, c REAL NOT NULL, d REAL NOT NULL, e REAL,
    source       TEXT NOT NULL CHECK (source IN ('imported', 'promoted', 'edited')),
    ignored      INTEGER NOT NULL CHECK (ignored IN (0, 1)),
    -- The candidate that was promoted; it holds the row for as long as its verdict says that an object was missed there.
    candidate_id INTEGER UNIQUE REFERENCES candidates (id),
    corrects     INTEGER UNIQUE REFERENCES ground_truth (id) ON DELETE CASCADE,
    removed      INTEGER NOT NULL DEFAULT 0 CHECK (removed IN (0, 1)),
    CHECK ((source = 'promoted') = (candidate_id IS NOT NULL)),
    CHECK (source = 'edited' OR (corrects IS NULL AND removed = 0))
) STRICT;
INSERT INTO new_ground_truth (id, uid, image_id, class_id, shape, a, b, c, d, e, source, ignored, candidate_id)
    SELECT id, uid, image_id, 1, shape, a, b, c, d, e, source, ignored, candidate_id FROM ground_truth;
DROP TABLE ground_truth;
ALTER TABLE new_ground_truth RENAME TO ground_truth;
CREATE INDEX ground_truth_by_image ON ground_truth (image_id);
CREATE INDEX ground_truth_by_class ON ground_truth (class_id);

CREATE TABLE new_verdicts (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    uid          BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    gesture_id   INTEGER NOT NULL REFERENCES gestures (id),
    candidate_id INTEGER NOT NULL REFERENCES candidates (id),
    annotator_id INTEGER NOT NULL REFERENCES annotators (id),
    verdict      TEXT CHECK (verdict IN ('confirmed', 'rejected', 'missed_object', 'wrong_class', 'skipped')),
    -- Of a missed object and of a wrong class.
    class_id     INTEGER REFERENCES classes (id),
    reason       TEXT,
    shape        TEXT CHECK (shape IN ('rectangle', 'ellipse')),
    a REAL, b REAL, c REAL, d REAL, e REAL,
    -- The annotator's verdict that stood before this one.
    replaces     INTEGER REFERENCES verdicts (seq),
    tick         INTEGER NOT NULL,
    time_ms      INTEGER NOT NULL,
    CHECK ((verdict IS NOT NULL AND verdict IN ('missed_object', 'wrong_class')) = (class_id IS NOT NULL))
) STRICT;
INSERT INTO new_verdicts
    SELECT seq, uid, gesture_id, candidate_id, annotator_id,
           CASE verdict WHEN 'missed_face' THEN 'missed_object' ELSE verdict END,
           CASE verdict WHEN 'missed_face' THEN 1 END,
           reason, shape, a, b, c, d, e, replaces, tick, time_ms
    FROM verdicts;
DELETE FROM sqlite_sequence WHERE name = 'new_verdicts';
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_verdicts', seq FROM sqlite_sequence WHERE name = 'verdicts';
-- Dropping the table fires no trigger, and drops its own.
DROP TABLE verdicts;
ALTER TABLE new_verdicts RENAME TO verdicts;
CREATE INDEX verdicts_by_gesture ON verdicts (gesture_id);
CREATE INDEX verdicts_by_candidate ON verdicts (candidate_id, annotator_id);
CREATE TRIGGER verdicts_are_never_updated BEFORE UPDATE ON verdicts
BEGIN SELECT RAISE(ABORT, 'verdicts are append-only'); END;
CREATE TRIGGER verdicts_are_never_deleted BEFORE DELETE ON verdicts
BEGIN SELECT RAISE(ABORT, 'verdicts are append-only'); END;

ALTER TABLE standing_verdicts ADD COLUMN class_id INTEGER REFERENCES classes (id);
UPDATE standing_verdicts SET verdict = 'missed_object', class_id = 1 WHERE verdict = 'missed_face';
