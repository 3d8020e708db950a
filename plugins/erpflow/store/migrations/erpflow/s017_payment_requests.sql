-- What a payment provider was asked to make, recorded before it is asked: its own id goes along in the provider's notes,
-- and an outcome that nobody knows is looked up by it. `realm`: test data or live data of the provider; what was done in
-- one says nothing of the other. `sent_at` is that of the last attempt: NULL, and nothing was ever sent. The connection
-- may go; that something was made stays.
CREATE TABLE erpflow.erp_payment_requests (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id     uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    connection_id uuid        REFERENCES erpflow.erp_connections ON DELETE SET NULL,
    kind          text        NOT NULL CHECK (kind IN ('subscription')),
    realm         text        NOT NULL CHECK (realm IN ('test', 'live')),
    business_key  text        COLLATE "C" NOT NULL CHECK (length(business_key) BETWEEN 1 AND 255),
    body_digest   bytea       NOT NULL,
    state         text        NOT NULL DEFAULT 'submitting'
                              CHECK (state IN ('submitting', 'done', 'rejected', 'unknown')),
    remote_id     text        COLLATE "C",
    answer        jsonb,
    error         text,
    attempts      integer     NOT NULL DEFAULT 0,
    fencing_token bigint      NOT NULL DEFAULT 0,
    requested_by  text        NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    sent_at       timestamptz,
    settled_at    timestamptz,
    UNIQUE (tenant_id, kind, realm, business_key),
    CHECK ((state = 'done') = (answer IS NOT NULL AND remote_id IS NOT NULL))
);
CREATE INDEX erp_payment_requests_by_age ON erpflow.erp_payment_requests (tenant_id, created_at DESC, id DESC);
CREATE INDEX erp_payment_requests_by_connection ON erpflow.erp_payment_requests (connection_id);

SELECT erpflow.keep_tenants_apart('erpflow.erp_payment_requests');
