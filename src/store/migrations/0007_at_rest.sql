-- From this format on a database that nobody has open is in rollback mode: its header says so, and it is one file, complete in itself.
-- One whose header says WAL and that has no `-wal` file beside it was copied alone while it was open.
INSERT INTO meta (key, value) VALUES ('rests_in_rollback_mode', 1);
