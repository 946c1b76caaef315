-- The log of marks on whole images: somebody looked at the image and found that its annotation misses no object (`complete` 1), or took
-- that back (0). Of an annotator the newest row counts, for as long as the image has the bytes that were looked at.
CREATE TABLE image_marks (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    uid          BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    image_id     INTEGER NOT NULL REFERENCES images (id),
    annotator_id INTEGER NOT NULL REFERENCES annotators (id),
    complete     INTEGER NOT NULL CHECK (complete IN (0, 1)),
    content_hash TEXT NOT NULL,
    time_ms      INTEGER NOT NULL
) STRICT;
CREATE INDEX image_marks_by_image ON image_marks (image_id, annotator_id, seq);

CREATE TRIGGER image_marks_are_never_updated BEFORE UPDATE ON image_marks
BEGIN SELECT RAISE(ABORT, 'image marks are append-only'); END;
CREATE TRIGGER image_marks_are_never_deleted BEFORE DELETE ON image_marks
BEGIN SELECT RAISE(ABORT, 'image marks are append-only'); END;

-- How the project divided a dataset into splits itself, as JSON; then an import leaves the splits alone. NULL: they are the dataset's own.
ALTER TABLE datasets ADD COLUMN split_plan TEXT;

-- What each import found and changed, as JSON: counts, and what could not be read and why.
CREATE TABLE import_reports (
    id         INTEGER PRIMARY KEY,
    dataset_id INTEGER NOT NULL REFERENCES datasets (id),
    time_ms    INTEGER NOT NULL,
    report     TEXT NOT NULL
) STRICT;
CREATE INDEX import_reports_by_dataset ON import_reports (dataset_id, id);
