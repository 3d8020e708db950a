-- An attempt is written before each write and once more after it, into every index: only those that are read are kept.
-- It is known by its key; nothing has read its own id, its place in a batch, or the index by record.
ALTER TABLE erpflow.erp_push_attempts
    DROP COLUMN id,
    DROP COLUMN batch,
    DROP COLUMN planned_at,
    DROP CONSTRAINT erp_push_attempts_sync_config_id_idempotency_key_key,
    ADD PRIMARY KEY (sync_config_id, idempotency_key);
