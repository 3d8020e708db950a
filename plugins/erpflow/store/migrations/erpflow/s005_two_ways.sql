-- What both sides agreed on last, each in its own words: a vendor may trim or round what we send. Values are texts by
-- column, as Postgres writes them; a child table is one value, the JSON text of its lines. Only for configs that push.
-- `local_hash`: the columns that are pushed, as they were then; it tells what to look at, the values tell what changed.
-- `pending`: a local change is still to be pushed. A tombstone (`deleted`) says when, and by `last_direction` on which
-- side. `first_log_id`: the run that met the record first; its creation needs no row in the history.
ALTER TABLE erpflow.erp_entity_sync_records RENAME COLUMN agreed TO agreed_local;
ALTER TABLE erpflow.erp_entity_sync_records
    ADD COLUMN agreed_remote jsonb,
    ADD COLUMN local_hash bigint,
    ADD COLUMN deleted_at timestamptz,
    ADD COLUMN first_log_id uuid,
    DROP CONSTRAINT erp_entity_sync_records_status_check,
    ADD CONSTRAINT erp_entity_sync_records_status_check
        CHECK (status IN ('synced', 'pending', 'frozen', 'deleted')) NOT VALID,
    DROP CONSTRAINT erp_entity_sync_records_sync_config_id_local_id_key;
UPDATE erpflow.erp_entity_sync_records SET first_log_id = log_id WHERE first_log_id IS NULL;
ALTER TABLE erpflow.erp_entity_sync_records VALIDATE CONSTRAINT erp_entity_sync_records_status_check;

-- The key of a deleted row may be given to another record.
CREATE UNIQUE INDEX erp_entity_sync_records_by_local ON erpflow.erp_entity_sync_records (sync_config_id, local_id)
    WHERE status <> 'deleted';
CREATE INDEX erp_entity_sync_records_unsettled ON erpflow.erp_entity_sync_records (sync_config_id, status)
    WHERE status IN ('pending', 'frozen');

-- Local rows modified before `local_cursor_at` have been looked at; deletes at the vendor before `deletes_cursor_at` are
-- applied. Since `agreed_since` it is known of every record what both sides agree on (NULL: a full read will tell).
ALTER TABLE erpflow.erp_sync_configs
    ADD COLUMN local_cursor_at timestamptz,
    ADD COLUMN deletes_cursor_at timestamptz,
    ADD COLUMN agreed_since timestamptz;

ALTER TABLE erpflow.erp_sync_logs
    ADD COLUMN record_ids text[],    -- kind 'records': these remote ids and no window
    ADD COLUMN deletes_allowed boolean,  -- NULL: nobody has said
    ADD COLUMN noted_batches int[] NOT NULL DEFAULT '{}',  -- a push: whose rejects and unchanged rows are counted
    ADD COLUMN plan jsonb,           -- a dry run: what it would have done, the first of each kind
    ADD COLUMN deletes_asked jsonb;  -- the deletes that a person was asked about

-- `retry`: rejects that are tried again, `record_ids` holds theirs. `replay`: the pages of an older run, which it names.
ALTER TABLE erpflow.erp_sync_logs
    DROP CONSTRAINT erp_sync_logs_kind_check,
    ADD CONSTRAINT erp_sync_logs_kind_check
        CHECK (kind IN ('incremental', 'full', 'backfill', 'records', 'retry', 'replay'));

-- One attempt of a run opens a log for each direction.
DROP INDEX erpflow.erp_sync_logs_attempt;
CREATE UNIQUE INDEX erp_sync_logs_attempt ON erpflow.erp_sync_logs (attempt_key, sync_config_id, direction)
    WHERE attempt_key IS NOT NULL;

-- `fields`: the columns that both changed, and who won each of them. `remote_record`: all the vendor's values as they
-- were understood, so that a record which waits for a person can be merged without asking the vendor again.
ALTER TABLE erpflow.erp_conflicts
    ADD COLUMN fields jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(fields) = 'array'),
    ADD COLUMN remote_record jsonb,
    ADD COLUMN remote_version text,
    ADD COLUMN remote_modified_at timestamptz,
    ADD COLUMN raw_hash bigint,
    ADD COLUMN times_seen integer NOT NULL DEFAULT 1;

-- A reject of a push is a local row that cannot be sent; it is sent again once the row or the mapping is another one.
ALTER TABLE erpflow.erp_rejects
    ADD COLUMN direction text NOT NULL DEFAULT 'pull' CHECK (direction IN ('pull', 'push')),
    ADD COLUMN local_id text COLLATE "C",
    ADD COLUMN local_hash bigint,
    ADD COLUMN mapping_version text,
    ADD COLUMN zone text NOT NULL DEFAULT 'UTC',
    DROP CONSTRAINT erp_rejects_stage_check,
    ADD CONSTRAINT erp_rejects_stage_check CHECK (stage IN ('extract', 'transform', 'load', 'delete', 'vendor'));
DROP INDEX erpflow.erp_rejects_open;
CREATE UNIQUE INDEX erp_rejects_open ON erpflow.erp_rejects (sync_config_id, remote_id)
    WHERE status = 'open' AND direction = 'pull';
CREATE UNIQUE INDEX erp_rejects_open_push ON erpflow.erp_rejects (sync_config_id, local_id)
    WHERE status = 'open' AND direction = 'push';

-- What was sent of a change: enough to settle it without the landing area, and gone once it is settled. Written for each
-- record before it is sent, so it is json (jsonb costs Postgres as much as all the rest of the write) and there are no
-- foreign keys.
ALTER TABLE erpflow.erp_push_attempts
    ADD COLUMN batch integer NOT NULL DEFAULT 0,
    ADD COLUMN agreed_local json,
    ADD COLUMN local_hash bigint,
    ADD COLUMN before json,
    ALTER COLUMN request TYPE json,
    DROP CONSTRAINT erp_push_attempts_tenant_id_fkey,
    DROP CONSTRAINT erp_push_attempts_sync_config_id_fkey;

CREATE OR REPLACE FUNCTION erpflow.forget_sync_configs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM erpflow.erp_entity_sync_records WHERE sync_config_id IN (SELECT id FROM gone);
    DELETE FROM erpflow.erp_record_history WHERE sync_config_id IN (SELECT id FROM gone);
    DELETE FROM erpflow.erp_push_attempts WHERE sync_config_id IN (SELECT id FROM gone);
    RETURN NULL;
END $$;
