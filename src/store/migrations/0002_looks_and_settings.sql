-- What each candidate's crop looks like: blake3 of its pixels, and a perceptual hash of which alike pictures differ in few bits.
-- Read from the photographs once; groups are made from it anew whenever the threshold changes.
CREATE TABLE looks (
    candidate_id INTEGER PRIMARY KEY REFERENCES candidates (id) ON DELETE CASCADE,
    content      BLOB NOT NULL CHECK (length(content) = 32),
    perceptual   INTEGER NOT NULL
) STRICT;

-- What the window remembers with the project, as text of its own.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
