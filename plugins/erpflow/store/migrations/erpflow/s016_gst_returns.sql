-- A generated GSTR-1, kept as it was: `payload` is of type json and not jsonb, since its very bytes are digested and
-- sent. What follows at the portal is written by whoever holds `fence`, a number that every claim counts up: a worker
-- that comes back late settles nothing.
CREATE TABLE erpflow.erp_gst_returns (
    id             uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id      uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    connection_id  uuid        REFERENCES erpflow.erp_connections ON DELETE SET NULL,
    gstin          text        NOT NULL,
    period         text        NOT NULL CHECK (period ~ '^(0[1-9]|1[0-2])20[0-9]{2}$'),
    payload        json        NOT NULL,
    payload_digest text        NOT NULL,
    totals         jsonb       NOT NULL,
    problems       jsonb       NOT NULL,
    is_blocked     boolean     NOT NULL,
    state          text        NOT NULL DEFAULT 'generated' CHECK (state IN (
        'generated', 'saving', 'saved', 'saved_with_errors', 'ready_to_file', 'filed', 'unknown')),
    progress       jsonb       NOT NULL DEFAULT '{}',
    row_errors     jsonb       NOT NULL DEFAULT '[]',
    differences    jsonb       NOT NULL DEFAULT '[]',
    summary        text,
    message        text,
    arn            text,
    filing_by      text,
    filing_at      timestamptz,
    filed_at       timestamptz,
    fence          bigint      NOT NULL DEFAULT 0,
    claimed_until  timestamptz,
    created_by     text        NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'filed') = (filed_at IS NOT NULL)),
    CHECK (state NOT IN ('filed', 'unknown') OR filing_at IS NOT NULL)
);
CREATE INDEX erp_gst_returns_by_period ON erpflow.erp_gst_returns (tenant_id, gstin, period, created_at);
-- A period is filed once: two returns of it cannot be sent to be filed, whoever asks at the same moment.
CREATE UNIQUE INDEX erp_gst_returns_filed_once ON erpflow.erp_gst_returns (tenant_id, gstin, period)
    WHERE state IN ('filed', 'unknown');
CREATE INDEX erp_gst_returns_by_connection ON erpflow.erp_gst_returns (connection_id);

SELECT erpflow.keep_tenants_apart('erpflow.erp_gst_returns');

-- What a taxpayer's session at the portal is signed with, encrypted; `pending` is what the answer to an OTP is read with.
CREATE TABLE erpflow.erp_gst_sessions (
    connection_id uuid        PRIMARY KEY REFERENCES erpflow.erp_connections ON DELETE CASCADE,
    tenant_id     uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    session       text,
    expires_at    timestamptz,
    pending       text,
    asked_at      timestamptz,
    updated_at    timestamptz NOT NULL DEFAULT now()
);

SELECT erpflow.keep_tenants_apart('erpflow.erp_gst_sessions');
