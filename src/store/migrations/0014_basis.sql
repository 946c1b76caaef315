-- What a verdict rests on: somebody saw the candidate (alone or with its group), took over what was decided in an earlier round, or
-- estimated it from a random sample of its like.
ALTER TABLE verdicts ADD COLUMN basis TEXT NOT NULL DEFAULT 'reviewed' CHECK (basis IN ('reviewed', 'inherited', 'estimated'));
ALTER TABLE standing_verdicts ADD COLUMN basis TEXT NOT NULL DEFAULT 'reviewed'
    CHECK (basis IN ('reviewed', 'inherited', 'estimated'));
-- Of the verdict that counts.
ALTER TABLE candidates ADD COLUMN basis TEXT NOT NULL DEFAULT 'reviewed' CHECK (basis IN ('reviewed', 'inherited', 'estimated'));
