-- Parts of a dataset have names; FDDB's folds are those called 1 to 10.
ALTER TABLE images ADD COLUMN split TEXT CHECK (split <> '');
UPDATE images SET split = CAST(fold AS TEXT) WHERE fold IS NOT NULL;
DROP INDEX images_by_fold;
ALTER TABLE images DROP COLUMN fold;
CREATE INDEX images_by_split ON images (split, id);
