-- Consents under way: a person is on the vendor's page, and the browser will come back with this state. Only its digest
-- is kept; the row goes with the first who brings it, and with the connection.
CREATE TABLE erpflow.erp_oauth_consents (
    state_digest  bytea       PRIMARY KEY,
    tenant_id     uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    connection_id uuid        NOT NULL REFERENCES erpflow.erp_connections ON DELETE CASCADE,
    caller        text        NOT NULL,
    redirect_uri  text        NOT NULL,
    verifier      text,
    expires_at    timestamptz NOT NULL
);
CREATE INDEX erp_oauth_consents_by_expiry ON erpflow.erp_oauth_consents (expires_at);
CREATE INDEX erp_oauth_consents_by_connection ON erpflow.erp_oauth_consents (connection_id);

SELECT erpflow.keep_tenants_apart('erpflow.erp_oauth_consents');
