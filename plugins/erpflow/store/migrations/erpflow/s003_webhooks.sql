-- Where a vendor reports changes. `secret` is encrypted with Airflow's Fernet key.
CREATE TABLE erpflow.erp_webhooks (
    id               uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id        uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    connection_id    uuid        NOT NULL REFERENCES erpflow.erp_connections ON DELETE CASCADE,
    name             text        NOT NULL,
    events           text[]      NOT NULL DEFAULT '{}',
    entities         text[]      NOT NULL DEFAULT '{}',
    secret           text,
    verification     jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(verification) = 'object'),
    vendor_reference text,
    active           boolean     NOT NULL DEFAULT true,
    expires_at       timestamptz,
    last_received_at timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (connection_id, name)
);
CREATE INDEX erp_webhooks_by_tenant ON erpflow.erp_webhooks (tenant_id, created_at DESC);
CREATE INDEX erp_webhooks_by_expiry ON erpflow.erp_webhooks (expires_at) WHERE active;

-- The inbox: a row before the answer, once per event. `dedupe_key`: the vendor's event id, or a digest of the body.
CREATE TABLE erpflow.erp_webhook_events (
    id              uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id       uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    webhook_id      uuid        NOT NULL REFERENCES erpflow.erp_webhooks ON DELETE CASCADE,
    dedupe_key      text        COLLATE "C" NOT NULL,
    event_type      text,
    entity          text,
    remote_id       text        COLLATE "C",
    headers         jsonb       NOT NULL DEFAULT '{}',
    body            bytea       NOT NULL,
    state           text        NOT NULL DEFAULT 'received'
                                CHECK (state IN ('received', 'applied', 'ignored', 'parked')),
    attempts        integer     NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    action          text,
    log_id          uuid,
    error           text,
    received_at     timestamptz NOT NULL DEFAULT now(),
    processed_at    timestamptz,
    UNIQUE (webhook_id, dedupe_key)
);
CREATE INDEX erp_webhook_events_due ON erpflow.erp_webhook_events (next_attempt_at) WHERE state = 'received';
CREATE INDEX erp_webhook_events_by_tenant ON erpflow.erp_webhook_events (tenant_id, received_at DESC);
CREATE INDEX erp_webhook_events_by_webhook ON erpflow.erp_webhook_events (webhook_id, received_at DESC);

-- Named, reusable groups of transforms.
CREATE TABLE erpflow.erp_transform_templates (
    id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id    uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    name         text        NOT NULL,
    level        text        NOT NULL CHECK (level IN ('field', 'record', 'batch')),
    description  text        NOT NULL DEFAULT '',
    definition   jsonb       NOT NULL,
    usage_count  bigint      NOT NULL DEFAULT 0,
    last_used_at timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, name)
);
