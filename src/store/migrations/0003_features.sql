-- What the round's detector saw in each candidate: 128 signed bytes whose cosine tells how alike two candidates of a round are.
CREATE TABLE features (
    candidate_id INTEGER PRIMARY KEY REFERENCES candidates (id) ON DELETE CASCADE,
    vector       BLOB NOT NULL CHECK (length(vector) = 128)
) STRICT;
