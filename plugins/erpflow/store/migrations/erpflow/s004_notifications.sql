-- What a person is told about, one row per cause for as long as erpflow stands: it opens, is over, and opens again.
-- `told`: when each channel last took a message about it. `claimed_at`: somebody is telling it right now.
CREATE TABLE erpflow.erp_notifications (
    id             uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id      uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    sync_config_id uuid        REFERENCES erpflow.erp_sync_configs ON DELETE CASCADE,
    cause          text        COLLATE "C" NOT NULL UNIQUE,
    kind           text        NOT NULL CHECK (kind IN (
                                   'failed', 'partial', 'stale', 'conflicts', 'rejects', 'deletes', 'late')),
    subject        text        NOT NULL,
    details        jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(details) = 'object'),
    first_at       timestamptz NOT NULL,
    last_at        timestamptz NOT NULL,
    told           jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(told) = 'object'),
    told_at        timestamptz,
    times          integer     NOT NULL DEFAULT 0 CHECK (times >= 0),
    claimed_at     timestamptz,
    resolved_at    timestamptz
);
CREATE INDEX erp_notifications_by_tenant ON erpflow.erp_notifications (tenant_id, last_at DESC);
CREATE INDEX erp_notifications_by_config ON erpflow.erp_notifications (sync_config_id);
CREATE INDEX erp_notifications_open ON erpflow.erp_notifications (cause) WHERE resolved_at IS NULL;

-- Deletes that a run found and holds back until a person approves them; whoever settles them sets it to 0.
ALTER TABLE erpflow.erp_sync_logs
    ADD COLUMN deletes_waiting bigint NOT NULL DEFAULT 0 CHECK (deletes_waiting >= 0);
CREATE INDEX erp_sync_logs_deletes_waiting ON erpflow.erp_sync_logs (sync_config_id, started_at DESC)
    WHERE deletes_waiting > 0;

-- The watch counts open rejects and new ones every few minutes: from the index alone, not from their payloads.
CREATE INDEX erp_rejects_open_by_age ON erpflow.erp_rejects (sync_config_id, first_seen_at) WHERE status = 'open';

-- Retention finds what is settled and old without reading the rest, batch after batch.
CREATE INDEX erp_rejects_closed_by_age ON erpflow.erp_rejects (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX erp_conflicts_closed_by_age ON erpflow.erp_conflicts (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX erp_push_attempts_settled_by_age ON erpflow.erp_push_attempts (settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX erp_webhook_events_done_by_age ON erpflow.erp_webhook_events (processed_at)
    WHERE state IN ('applied', 'ignored');
