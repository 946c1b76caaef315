-- When an import found that the dataset no longer holds the image, in milliseconds since the Unix epoch. Such an image is kept for its
-- verdicts and used for nothing until an import finds it again. NULL: the dataset holds it.
ALTER TABLE images ADD COLUMN removed_ms INTEGER;
CREATE INDEX images_removed ON images (dataset_id) WHERE removed_ms IS NOT NULL;

-- Candidates that were found on bytes which their image no longer has. Their verdicts are kept and not trained with, until the
-- candidate is mined or decided again.
CREATE TABLE stale_candidates (
    candidate_id INTEGER PRIMARY KEY REFERENCES candidates (id) ON DELETE CASCADE
) STRICT;
