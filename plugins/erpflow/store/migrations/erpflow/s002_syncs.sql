-- One run of one sync config. A finished run's outcomes add up to what it read (invariant 1).
CREATE TABLE erpflow.erp_sync_logs (
    id              uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id       uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    sync_config_id  uuid        NOT NULL REFERENCES erpflow.erp_sync_configs ON DELETE CASCADE,
    direction       text        NOT NULL DEFAULT 'pull' CHECK (direction IN ('pull', 'push', 'bidirectional')),
    kind            text        NOT NULL DEFAULT 'incremental'
                                CHECK (kind IN ('incremental', 'full', 'backfill', 'records')),
    status          text        NOT NULL DEFAULT 'running'
                                CHECK (status IN ('running', 'completed', 'partial', 'failed')),
    dry_run         boolean     NOT NULL DEFAULT false,
    window_since    timestamptz,
    window_until    timestamptz,
    cursor_before   timestamptz,
    cursor_after    timestamptz,
    mapping_version text,
    landing         text,
    dag_id          text,
    dag_run_id      text,
    attempt_key     text,
    triggered_by    text,
    pages           integer     NOT NULL DEFAULT 0,
    chunks_applied  integer     NOT NULL DEFAULT 0,
    chunks_total    integer,
    read_count      bigint      NOT NULL DEFAULT 0 CHECK (read_count >= 0),
    created_count   bigint      NOT NULL DEFAULT 0 CHECK (created_count >= 0),
    updated_count   bigint      NOT NULL DEFAULT 0 CHECK (updated_count >= 0),
    unchanged_count bigint      NOT NULL DEFAULT 0 CHECK (unchanged_count >= 0),
    deleted_count   bigint      NOT NULL DEFAULT 0 CHECK (deleted_count >= 0),
    conflict_count  bigint      NOT NULL DEFAULT 0 CHECK (conflict_count >= 0),
    rejected_count  bigint      NOT NULL DEFAULT 0 CHECK (rejected_count >= 0),
    ignored_count   bigint      NOT NULL DEFAULT 0 CHECK (ignored_count >= 0),
    ignored_reasons jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(ignored_reasons) = 'object'),
    error           text,
    error_kind      text,
    started_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz,
    CONSTRAINT erp_sync_logs_counts_add_up CHECK (
        status NOT IN ('completed', 'partial')
        OR read_count = created_count + updated_count + unchanged_count + deleted_count
                      + conflict_count + rejected_count + ignored_count
    )
);
CREATE INDEX erp_sync_logs_by_config ON erpflow.erp_sync_logs (sync_config_id, started_at DESC);
CREATE INDEX erp_sync_logs_by_tenant ON erpflow.erp_sync_logs (tenant_id, started_at DESC);
CREATE INDEX erp_sync_logs_by_dag_run ON erpflow.erp_sync_logs (dag_id, dag_run_id);
CREATE INDEX erp_sync_logs_running ON erpflow.erp_sync_logs (started_at) WHERE status = 'running';
CREATE UNIQUE INDEX erp_sync_logs_attempt ON erpflow.erp_sync_logs (attempt_key, sync_config_id)
    WHERE attempt_key IS NOT NULL;

-- The tie of one local row to one remote record. The hot table: a row per record, so it is kept narrow, has no
-- foreign key (a check per row would lock the same config a million times) and leaves room on each page for the
-- update of a few of its rows. Remote ids compare as bytes; local ids have the collation of the keys they are
-- joined to, or the index on a text key could not be used. Columns run from wide to narrow, so that nothing is padded.
CREATE TABLE erpflow.erp_entity_sync_records (
    raw_hash           bigint      NOT NULL,
    remote_modified_at timestamptz,
    synced_at          timestamptz NOT NULL DEFAULT now(),
    sync_config_id     uuid        NOT NULL,
    tenant_id          uuid        NOT NULL,
    log_id             uuid,
    remote_id          text        COLLATE "C" NOT NULL,
    local_id           text        NOT NULL,
    remote_version     text,
    status             text        NOT NULL DEFAULT 'synced' CHECK (status IN ('synced', 'frozen', 'deleted')),
    last_direction     text        NOT NULL DEFAULT 'pull' CHECK (last_direction IN ('pull', 'push')),
    agreed             jsonb,
    PRIMARY KEY (sync_config_id, remote_id),
    UNIQUE (sync_config_id, local_id)
) WITH (fillfactor = 90);

-- A record that could not be applied, whole: `payload` is whatever bytes came, valid or not.
CREATE TABLE erpflow.erp_rejects (
    id             uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id      uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    sync_config_id uuid        NOT NULL REFERENCES erpflow.erp_sync_configs ON DELETE CASCADE,
    log_id         uuid,
    remote_id      text        COLLATE "C",
    payload        bytea       NOT NULL,
    problems       jsonb       NOT NULL CHECK (jsonb_typeof(problems) = 'array'),
    stage          text        NOT NULL CHECK (stage IN ('extract', 'transform', 'load')),
    status         text        NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'resolved', 'discarded')),
    attempts       integer     NOT NULL DEFAULT 1 CHECK (attempts > 0),
    first_seen_at  timestamptz NOT NULL DEFAULT now(),
    last_seen_at   timestamptz NOT NULL DEFAULT now(),
    resolved_at    timestamptz,
    CHECK ((status = 'open') = (resolved_at IS NULL))
);
CREATE UNIQUE INDEX erp_rejects_open ON erpflow.erp_rejects (sync_config_id, remote_id) WHERE status = 'open';
CREATE INDEX erp_rejects_by_config ON erpflow.erp_rejects (sync_config_id, last_seen_at DESC);
CREATE INDEX erp_rejects_by_tenant ON erpflow.erp_rejects (tenant_id, status, last_seen_at DESC);
CREATE INDEX erp_rejects_by_log ON erpflow.erp_rejects (log_id);

-- What a reject looked like before it was seen again, differently. Kept by a trigger: no writer can forget it.
CREATE TABLE erpflow.erp_reject_payloads (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    reject_id uuid        NOT NULL REFERENCES erpflow.erp_rejects ON DELETE CASCADE,
    log_id    uuid,
    payload   bytea       NOT NULL,
    problems  jsonb       NOT NULL,
    stage     text        NOT NULL,
    seen_at   timestamptz NOT NULL
);
CREATE INDEX erp_reject_payloads_by_reject ON erpflow.erp_reject_payloads (reject_id, id DESC);

CREATE FUNCTION erpflow.keep_reject_payload() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO erpflow.erp_reject_payloads (tenant_id, reject_id, log_id, payload, problems, stage, seen_at)
    VALUES (OLD.tenant_id, OLD.id, OLD.log_id, OLD.payload, OLD.problems, OLD.stage, OLD.last_seen_at);
    RETURN NULL;
END $$;

CREATE TRIGGER keep_payload AFTER UPDATE ON erpflow.erp_rejects FOR EACH ROW
    WHEN (OLD.payload IS DISTINCT FROM NEW.payload OR OLD.problems IS DISTINCT FROM NEW.problems)
    EXECUTE FUNCTION erpflow.keep_reject_payload();

-- Both sides changed the same field, or one deleted what the other changed: both values stay, whoever won.
CREATE TABLE erpflow.erp_conflicts (
    id             uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id      uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    sync_config_id uuid        NOT NULL REFERENCES erpflow.erp_sync_configs ON DELETE CASCADE,
    log_id         uuid,
    remote_id      text        COLLATE "C",
    local_id       text        COLLATE "C",
    kind           text        NOT NULL CHECK (kind IN (
                                   'both_updated', 'local_updated_remote_deleted', 'local_deleted_remote_updated',
                                   'both_created', 'unique_collision')),
    strategy       text        NOT NULL
                               CHECK (strategy IN ('local_wins', 'remote_wins', 'newest_wins', 'manual')),
    base           jsonb,
    local          jsonb,
    remote         jsonb,
    status         text        NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'resolved')),
    winner         text        CHECK (winner IN ('local', 'remote', 'merged')),
    resolution     jsonb,
    reason         text,
    resolved_by    text,
    detected_at    timestamptz NOT NULL DEFAULT now(),
    resolved_at    timestamptz,
    CHECK (remote_id IS NOT NULL OR local_id IS NOT NULL),
    CHECK ((status = 'open') = (resolved_at IS NULL))
);
CREATE UNIQUE INDEX erp_conflicts_open ON erpflow.erp_conflicts
    (sync_config_id, coalesce(remote_id, ''), coalesce(local_id, '')) WHERE status = 'open';
CREATE INDEX erp_conflicts_by_tenant ON erpflow.erp_conflicts (tenant_id, status, detected_at DESC);
CREATE INDEX erp_conflicts_by_config ON erpflow.erp_conflicts (sync_config_id, detected_at DESC);

-- A write to the vendor, recorded before it is sent (invariant 5). `unknown`: sent, and nobody knows what came of it.
CREATE TABLE erpflow.erp_push_attempts (
    id              uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id       uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    sync_config_id  uuid        NOT NULL REFERENCES erpflow.erp_sync_configs ON DELETE CASCADE,
    log_id          uuid,
    local_id        text        COLLATE "C" NOT NULL,
    remote_id       text        COLLATE "C",
    operation       text        NOT NULL CHECK (operation IN ('create', 'update', 'delete', 'submit', 'cancel')),
    state           text        NOT NULL DEFAULT 'planned'
                                CHECK (state IN ('planned', 'sent', 'unknown', 'succeeded', 'failed', 'superseded')),
    idempotency_key text        NOT NULL,
    request_hash    bigint      NOT NULL,
    request         jsonb,
    fencing_token   bigint      NOT NULL,
    error           text,
    error_kind      text,
    planned_at      timestamptz NOT NULL DEFAULT now(),
    sent_at         timestamptz,
    settled_at      timestamptz,
    UNIQUE (sync_config_id, idempotency_key)
);
CREATE UNIQUE INDEX erp_push_attempts_unsettled ON erpflow.erp_push_attempts (sync_config_id, local_id)
    WHERE state IN ('planned', 'sent', 'unknown');
CREATE INDEX erp_push_attempts_by_record ON erpflow.erp_push_attempts (sync_config_id, local_id, planned_at DESC);
CREATE INDEX erp_push_attempts_by_log ON erpflow.erp_push_attempts (log_id);

-- Every change of every record: only the fields that changed. Written in bulk, so it has no foreign keys either.
CREATE TABLE erpflow.erp_record_history (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    changed_at     timestamptz NOT NULL DEFAULT now(),
    sync_config_id uuid        NOT NULL,
    tenant_id      uuid        NOT NULL,
    log_id         uuid,
    remote_id      text        COLLATE "C",
    local_id       text        COLLATE "C",
    direction      text        NOT NULL CHECK (direction IN ('pull', 'push')),
    change         text        NOT NULL CHECK (change IN ('created', 'updated', 'deleted', 'resolved')),
    before         jsonb,
    after          jsonb
);
CREATE INDEX erp_record_history_by_remote ON erpflow.erp_record_history (sync_config_id, remote_id, id DESC);
CREATE INDEX erp_record_history_by_local ON erpflow.erp_record_history (sync_config_id, local_id, id DESC);
CREATE INDEX erp_record_history_by_age ON erpflow.erp_record_history USING brin (changed_at);

-- The two tables without foreign keys follow their config all the same, once per statement.
CREATE FUNCTION erpflow.forget_sync_configs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM erpflow.erp_entity_sync_records WHERE sync_config_id IN (SELECT id FROM gone);
    DELETE FROM erpflow.erp_record_history WHERE sync_config_id IN (SELECT id FROM gone);
    RETURN NULL;
END $$;

CREATE TRIGGER forget AFTER DELETE ON erpflow.erp_sync_configs
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION erpflow.forget_sync_configs();
