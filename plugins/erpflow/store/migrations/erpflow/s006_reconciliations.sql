-- `reconcile`: both sides are read whole and compared; its counts are the records read, and no cursor moves.
ALTER TABLE erpflow.erp_sync_logs
    DROP CONSTRAINT erp_sync_logs_kind_check,
    ADD CONSTRAINT erp_sync_logs_kind_check
        CHECK (kind IN ('incremental', 'full', 'backfill', 'records', 'retry', 'replay', 'reconcile'));

-- One reconciliation of one sync config; `log_id` is its run. `repairs`: the kinds of findings that it repairs.
-- `found` and `repaired`: how many of each kind. `report`: where the table of all findings is, as CSV.
CREATE TABLE erpflow.erp_reconciliations (
    id             uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id      uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    sync_config_id uuid        NOT NULL REFERENCES erpflow.erp_sync_configs ON DELETE CASCADE,
    log_id         uuid        NOT NULL UNIQUE REFERENCES erpflow.erp_sync_logs ON DELETE CASCADE,
    status         text        NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'clean', 'findings', 'failed')),
    repairs        text[]      NOT NULL DEFAULT '{}',
    found          jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(found) = 'object'),
    repaired       jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(repaired) = 'object'),
    report         text,
    started_at     timestamptz NOT NULL DEFAULT now(),
    compared_at    timestamptz,
    repaired_at    timestamptz,
    finished_at    timestamptz
);
CREATE INDEX erp_reconciliations_by_config ON erpflow.erp_reconciliations (sync_config_id, started_at DESC);
CREATE INDEX erp_reconciliations_by_tenant ON erpflow.erp_reconciliations (tenant_id, started_at DESC);

-- The first findings of a reconciliation; the report has all. `fields`: what differs, {"phone": {"here", "there"}}.
-- `repaired` NULL: nobody tried. `outcome`: why it could not be repaired.
CREATE TABLE erpflow.erp_reconciliation_findings (
    reconciliation_id uuid    NOT NULL REFERENCES erpflow.erp_reconciliations ON DELETE CASCADE,
    number            integer NOT NULL CHECK (number > 0),
    tenant_id         uuid    NOT NULL REFERENCES erpflow.erp_tenants,
    kind              text    NOT NULL CHECK (kind IN ('missing_here', 'missing_there', 'different', 'duplicate_here',
                                                       'duplicate_there', 'rejected', 'frozen')),
    remote_id         text    COLLATE "C",
    local_id          text    COLLATE "C",
    fields            jsonb   NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(fields) = 'object'),
    reason            text    NOT NULL,
    repaired          boolean,
    outcome           text,
    PRIMARY KEY (reconciliation_id, number)
);
CREATE INDEX erp_reconciliation_findings_by_kind ON erpflow.erp_reconciliation_findings (reconciliation_id, kind);
