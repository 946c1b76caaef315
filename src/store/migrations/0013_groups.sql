-- Groups are changed where something changed, instead of being made anew. `representative`: the candidate that all members are alike to;
-- NULL in groups of older formats. `by_place`: one thing at one place in many images. `chain`: the order by likeness.
ALTER TABLE groups ADD COLUMN representative INTEGER;
ALTER TABLE groups ADD COLUMN by_place INTEGER NOT NULL DEFAULT 0 CHECK (by_place IN (0, 1));
ALTER TABLE groups ADD COLUMN chain INTEGER NOT NULL DEFAULT 0;
UPDATE groups SET chain = id;
-- Candidates whose look or features were read since the groups were found.
CREATE TABLE ungrouped (
    candidate_id INTEGER PRIMARY KEY REFERENCES candidates (id) ON DELETE CASCADE
) STRICT;
-- What the bundled backbone saw in the crops of other models' candidates: 128 signed bytes, comparable among all of them.
CREATE TABLE embeddings (
    candidate_id INTEGER PRIMARY KEY REFERENCES candidates (id) ON DELETE CASCADE,
    vector       BLOB NOT NULL CHECK (length(vector) = 128)
) STRICT;
