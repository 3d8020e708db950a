-- Every table carries its tenant, so that row-level security can be switched on without a rewrite.

CREATE TABLE erpflow.erp_tenants (
    id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    name       text        NOT NULL,
    slug       text        NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9][a-z0-9-]*$'),
    created_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO erpflow.erp_tenants (id, name, slug)
VALUES ('00000000-0000-0000-0000-000000000001', 'Default', 'default');

-- One account on one system. The secret is in the Airflow connection `airflow_conn_id`, never here.
CREATE TABLE erpflow.erp_connections (
    id              uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id       uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    name            text        NOT NULL,
    system          text        NOT NULL,
    airflow_conn_id text        NOT NULL UNIQUE,
    status          text        NOT NULL DEFAULT 'unknown'
                                CHECK (status IN ('unknown', 'active', 'expired', 'error', 'disabled')),
    status_message  text,
    account         text,
    options         jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(options) = 'object'),
    last_checked_at timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, name)
);
CREATE INDEX erp_connections_by_system ON erpflow.erp_connections (tenant_id, system, status);

-- Connection × entity: what one mapped task group runs. `cursor_at` moves only with the data it covers (invariant 2).
CREATE TABLE erpflow.erp_sync_configs (
    id                uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id         uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    connection_id     uuid        NOT NULL REFERENCES erpflow.erp_connections ON DELETE CASCADE,
    entity            text        NOT NULL,
    direction         text        NOT NULL DEFAULT 'pull' CHECK (direction IN ('pull', 'push', 'bidirectional')),
    conflict          text        NOT NULL DEFAULT 'newest_wins'
                                  CHECK (conflict IN ('local_wins', 'remote_wins', 'newest_wins', 'manual')),
    every             interval    NOT NULL DEFAULT '30 minutes' CHECK (every > interval '0'),
    enabled           boolean     NOT NULL DEFAULT true,
    mapping_path      text        NOT NULL,
    mapping_overrides jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(mapping_overrides) = 'object'),
    overlap           interval    NOT NULL DEFAULT '5 minutes' CHECK (overlap >= interval '0'),
    cursor_at         timestamptz,
    cursor_log_id     uuid,
    fencing_token     bigint      NOT NULL DEFAULT 0,
    last_started_at   timestamptz,
    last_finished_at  timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (connection_id, entity)
);
CREATE INDEX erp_sync_configs_by_entity ON erpflow.erp_sync_configs (tenant_id, entity) WHERE enabled;

-- The mapping a config ran with, field by field and version by version.
CREATE TABLE erpflow.erp_field_mappings (
    id              uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id       uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    sync_config_id  uuid        NOT NULL REFERENCES erpflow.erp_sync_configs ON DELETE CASCADE,
    position        integer     NOT NULL CHECK (position >= 0),
    definition      jsonb       NOT NULL CHECK (jsonb_typeof(definition) = 'object'),
    mapping_version text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (sync_config_id, mapping_version, position)
);

-- `next_at`: the moment the next request may go. One row per connection, shared by all workers (invariant 10).
CREATE TABLE erpflow.erp_rate_limits (
    connection_id uuid        PRIMARY KEY REFERENCES erpflow.erp_connections ON DELETE CASCADE,
    tenant_id     uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    next_at       timestamptz NOT NULL,
    paused_until  timestamptz,
    granted       bigint      NOT NULL DEFAULT 0,
    updated_at    timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);  -- one hot row: every update must stay on its page

-- Seconds until the connection's next request may go, NULL for an unknown connection. Slots are `every` seconds apart
-- whoever asks, so that no second holds more than the vendor allows; the row lock serves in turn. Only the clock of
-- Postgres counts, read after the lock was had. What waits for the end of a pause leaves one by one, not all at once.
-- A slot more than `patience` seconds away is told and not taken.
CREATE FUNCTION erpflow.reserve_slot(connection uuid, every double precision, patience double precision)
RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
    slot timestamptz;
    this_moment timestamptz;
BEGIN
    SELECT greatest(next_at, paused_until) INTO slot
    FROM erpflow.erp_rate_limits WHERE connection_id = connection FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO erpflow.erp_rate_limits (connection_id, tenant_id, next_at)
        SELECT id, tenant_id, clock_timestamp() FROM erpflow.erp_connections WHERE id = connection
        ON CONFLICT (connection_id) DO NOTHING;
        SELECT greatest(next_at, paused_until) INTO slot
        FROM erpflow.erp_rate_limits WHERE connection_id = connection FOR UPDATE;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    END IF;
    this_moment := clock_timestamp();
    slot := greatest(slot, this_moment);
    IF slot <= this_moment + patience * interval '1 second' THEN
        UPDATE erpflow.erp_rate_limits
        SET next_at = slot + every * interval '1 second', granted = granted + 1, updated_at = this_moment
        WHERE connection_id = connection;
    END IF;
    RETURN extract(epoch FROM slot - this_moment);
END $$;

-- Tokens that change while a task runs, encrypted with Airflow's Fernet key; the row is the lock of a refresh.
CREATE TABLE erpflow.erp_oauth_tokens (
    connection_id      uuid        PRIMARY KEY REFERENCES erpflow.erp_connections ON DELETE CASCADE,
    tenant_id          uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    access_token       text,
    refresh_token      text,
    scope              text,
    expires_at         timestamptz,
    refresh_expires_at timestamptz,
    version            bigint      NOT NULL DEFAULT 0,
    refreshed_at       timestamptz,
    created_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erp_oauth_tokens_by_expiry ON erpflow.erp_oauth_tokens (refresh_expires_at);

-- A program's key: only its digest is kept, and enough of its start to recognise it.
CREATE TABLE erpflow.erp_api_keys (
    id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id    uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    name         text        NOT NULL,
    prefix       text        NOT NULL,
    key_digest   bytea       NOT NULL UNIQUE,
    scopes       text[]      NOT NULL DEFAULT '{}',
    created_by   text,
    last_used_at timestamptz,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erp_api_keys_by_tenant ON erpflow.erp_api_keys (tenant_id, created_at DESC);
