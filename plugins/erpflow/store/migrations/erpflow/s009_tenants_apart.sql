-- What a tenant's own requests may see. The engine works for all tenants and connects as the owner of the tables; the
-- API takes this role for one transaction and names one tenant. Without a name the role sees nothing (invariant 9).
-- A role belongs to the whole server: another database may have made it, or be making it at this moment.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'erpflow_tenant') THEN
        CREATE ROLE erpflow_tenant NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END $$;

DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'erpflow_tenant', 'MEMBER') THEN
        EXECUTE format('GRANT erpflow_tenant TO %I', current_user);
    END IF;
END $$;

CREATE FUNCTION erpflow.current_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT nullif(current_setting('erpflow.tenant', true), '')::uuid $$;

-- Called for every table that has a tenant, also by later migrations; a test finds the one that was forgotten.
CREATE FUNCTION erpflow.keep_tenants_apart(kept regclass, tenant name DEFAULT 'tenant_id') RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', kept);
    EXECUTE format(
        'CREATE POLICY tenants_apart ON %s TO erpflow_tenant USING (%I = erpflow.current_tenant())', kept, tenant
    );
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO erpflow_tenant', kept);
END $$;

-- Which of Airflow's users act for which tenants. Those who may edit connections act for any.
CREATE TABLE erpflow.erp_tenant_members (
    tenant_id  uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    user_name  text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_name, tenant_id)
);

-- The answer to a POST with an Idempotency-Key; a repetition gets it again. `status` is NULL while it is worked on.
CREATE TABLE erpflow.erp_idempotency_keys (
    tenant_id      uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    key            text        NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    request_digest bytea       NOT NULL,
    status         integer,
    body           bytea,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, key)
);
CREATE INDEX erp_idempotency_keys_by_age ON erpflow.erp_idempotency_keys (created_at);

GRANT USAGE ON SCHEMA erpflow TO erpflow_tenant;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA erpflow TO erpflow_tenant;

DO $$
DECLARE
    kept regclass;
BEGIN
    FOR kept IN
        SELECT a.attrelid::regclass FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'erpflow'::regnamespace AND c.relkind = 'r' AND a.attname = 'tenant_id'
    LOOP
        PERFORM erpflow.keep_tenants_apart(kept);
    END LOOP;
    PERFORM erpflow.keep_tenants_apart('erpflow.erp_tenants', 'id');
END $$;
