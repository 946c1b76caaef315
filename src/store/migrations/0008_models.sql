-- Rounds of detectors that Quarry does not train: their detections came from a file. `number` stays the round's number in the project,
-- `model_round` counts the rounds of one model. model '': Quarry's own training.
ALTER TABLE rounds ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE rounds ADD COLUMN model_round INTEGER NOT NULL DEFAULT 0;
-- The file or folder that the detections were read from.
ALTER TABLE rounds ADD COLUMN source TEXT NOT NULL DEFAULT '';
-- Detections without a score: stored with score 0, which ranks them last.
ALTER TABLE rounds ADD COLUMN unscored INTEGER NOT NULL DEFAULT 0;
UPDATE rounds SET model_round = number;
CREATE UNIQUE INDEX rounds_of_model ON rounds (model, model_round);
