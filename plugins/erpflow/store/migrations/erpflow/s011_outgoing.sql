-- Which program is told of what. `secret` signs its messages and is encrypted with Airflow's Fernet key; after a rotation
-- `previous_secret` signs them too, until `previous_until`. `failing_since`: nothing has been delivered from then on.
CREATE TABLE erpflow.erp_subscriptions (
    id                uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id         uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    url               text        NOT NULL,
    description       text        NOT NULL DEFAULT '',
    events            text[]      NOT NULL CHECK (cardinality(events) > 0 AND events <@ ARRAY[
                                      'sync.completed', 'sync.partial', 'sync.failed', 'conflict.opened',
                                      'reject.opened', 'connection.failed']),
    secret            text        NOT NULL,
    previous_secret   text,
    previous_until    timestamptz,
    active            boolean     NOT NULL DEFAULT true,
    disabled_reason   text,
    failing_since     timestamptz,
    last_delivered_at timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, url),
    CHECK ((previous_secret IS NULL) = (previous_until IS NULL))
);

-- The outbox: a row for each message and subscription, made in the transaction of what it tells, by a trigger, so that no
-- writer can forget it and no kill comes between. `gathers`: the cause whose records are still added to this message; NULL
-- as soon as it has been sent once, for what was sent under an id must not change. `claimed_at`: when a sender took it,
-- and the token by which only that sender settles it; `next_attempt_at` is then the end of the sender's lease.
CREATE TABLE erpflow.erp_deliveries (
    id              uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id       uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    subscription_id uuid        NOT NULL REFERENCES erpflow.erp_subscriptions ON DELETE CASCADE,
    event_id        text        COLLATE "C" NOT NULL,
    type            text        NOT NULL CHECK (type IN (
                                    'sync.completed', 'sync.partial', 'sync.failed', 'conflict.opened',
                                    'reject.opened', 'connection.failed')),
    payload         jsonb       NOT NULL CHECK (jsonb_typeof(payload) = 'object'),
    gathers         text        COLLATE "C",
    state           text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts        integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    claimed_at      timestamptz,
    last_status     integer,
    last_error      text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    settled_at      timestamptz,
    UNIQUE (subscription_id, event_id),
    CHECK ((state = 'pending') = (settled_at IS NULL))
);
CREATE INDEX erp_deliveries_due ON erpflow.erp_deliveries (subscription_id, next_attempt_at) WHERE state = 'pending';
CREATE INDEX erp_deliveries_by_subscription ON erpflow.erp_deliveries (subscription_id, created_at DESC);
CREATE INDEX erp_deliveries_by_tenant ON erpflow.erp_deliveries (tenant_id, created_at DESC);
CREATE INDEX erp_deliveries_dead ON erpflow.erp_deliveries (tenant_id, created_at DESC) WHERE state = 'dead';
CREATE INDEX erp_deliveries_settled_by_age ON erpflow.erp_deliveries (settled_at) WHERE settled_at IS NOT NULL;
CREATE UNIQUE INDEX erp_deliveries_gathering ON erpflow.erp_deliveries (gathers, subscription_id)
    WHERE gathers IS NOT NULL;

-- A moment as messages write it.
CREATE FUNCTION erpflow.iso_time(moment timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- A message for each subscription that wants the event, all under one id. It says which and how many, and never holds a
-- value of a record, nor an error's words, which may quote one. `gathered`: the cause to which `records` are
-- added while the message waits. Subscriptions are locked against being deleted meanwhile, or the reference to one would
-- break, and the sync with it.
CREATE FUNCTION erpflow.announce(
    of_tenant uuid, event text, happened_at timestamptz, facts jsonb,
    due_at timestamptz DEFAULT now(), gathered text DEFAULT NULL, records bigint DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    message text := 'msg_' || replace(gen_random_uuid()::text, '-', '');
BEGIN
    WITH wanted AS (
        SELECT s.id FROM erpflow.erp_subscriptions s
        WHERE s.tenant_id = of_tenant AND s.active AND event = ANY (s.events)
        ORDER BY s.id FOR KEY SHARE
    )
    INSERT INTO erpflow.erp_deliveries AS d
        (tenant_id, subscription_id, event_id, type, payload, gathers, next_attempt_at)
    SELECT of_tenant, w.id, message, event,
           jsonb_build_object(
               'type', event, 'timestamp', erpflow.iso_time(happened_at),
               'data', jsonb_build_object('tenant', t.slug) || facts
                       || CASE WHEN records IS NULL THEN '{}' ELSE jsonb_build_object('count', records) END),
           gathered, due_at
    FROM wanted w JOIN erpflow.erp_tenants t ON t.id = of_tenant
    ON CONFLICT (gathers, subscription_id) WHERE gathers IS NOT NULL DO UPDATE
    SET payload = jsonb_set(d.payload, '{data,count}', to_jsonb((d.payload #>> '{data,count}')::bigint + records));
END $$;

-- A run has ended: it is told, and what it gathered is told now.
CREATE FUNCTION erpflow.announce_sync() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    facts jsonb;
BEGIN
    UPDATE erpflow.erp_deliveries SET next_attempt_at = now()
    WHERE gathers IN ('conflict.opened:' || NEW.id, 'reject.opened:' || NEW.id);
    SELECT jsonb_build_object(
               'connection', n.name, 'system', n.system, 'entity', c.entity, 'direction', NEW.direction,
               'kind', NEW.kind, 'status', NEW.status, 'log_id', NEW.id,
               'started_at', erpflow.iso_time(NEW.started_at), 'finished_at', erpflow.iso_time(NEW.finished_at),
               'counts', jsonb_build_object(
                   'read', NEW.read_count, 'created', NEW.created_count, 'updated', NEW.updated_count,
                   'unchanged', NEW.unchanged_count, 'deleted', NEW.deleted_count, 'conflict', NEW.conflict_count,
                   'rejected', NEW.rejected_count, 'ignored', NEW.ignored_count),
               'error_kind', NEW.error_kind)
    INTO facts
    FROM erpflow.erp_sync_configs c JOIN erpflow.erp_connections n ON n.id = c.connection_id
    WHERE c.id = NEW.sync_config_id;
    PERFORM erpflow.announce(NEW.tenant_id, 'sync.' || NEW.status, coalesce(NEW.finished_at, now()), facts);
    RETURN NULL;
END $$;

CREATE TRIGGER announce AFTER UPDATE OF status ON erpflow.erp_sync_logs FOR EACH ROW
    WHEN (OLD.status = 'running' AND NEW.status <> 'running' AND NOT NEW.dry_run)
    EXECUTE FUNCTION erpflow.announce_sync();

-- Records that a run puts aside, told once for the run and not for each: the message waits for the end of the run, but
-- not longer than ten minutes. `TG_ARGV[0]` is the event.
CREATE FUNCTION erpflow.announce_opened() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found record;
BEGIN
    IF NOT EXISTS (SELECT FROM erpflow.erp_subscriptions s WHERE s.active AND TG_ARGV[0] = ANY (s.events)) THEN
        RETURN NULL;  -- the usual case, and a first load refuses records by the thousand
    END IF;
    FOR found IN
        SELECT o.tenant_id, o.log_id, n.name, n.system, c.entity, count(*) AS records,
               coalesce(l.status = 'running', false) AS runs
        FROM opened o
        JOIN erpflow.erp_sync_configs c ON c.id = o.sync_config_id
        JOIN erpflow.erp_connections n ON n.id = c.connection_id
        LEFT JOIN erpflow.erp_sync_logs l ON l.id = o.log_id
        WHERE o.status = 'open'
        GROUP BY o.tenant_id, o.log_id, c.id, n.id, l.id
    LOOP
        PERFORM erpflow.announce(
            found.tenant_id, TG_ARGV[0], now(),
            jsonb_build_object('connection', found.name, 'system', found.system, 'entity', found.entity,
                               'log_id', found.log_id),
            due_at => CASE WHEN found.runs THEN now() + interval '10 minutes' ELSE now() END,
            gathered => TG_ARGV[0] || ':' || found.log_id, records => found.records);
    END LOOP;
    RETURN NULL;
END $$;

CREATE TRIGGER announce AFTER INSERT ON erpflow.erp_conflicts
    REFERENCING NEW TABLE AS opened FOR EACH STATEMENT EXECUTE FUNCTION erpflow.announce_opened('conflict.opened');
CREATE TRIGGER announce AFTER INSERT ON erpflow.erp_rejects
    REFERENCING NEW TABLE AS opened FOR EACH STATEMENT EXECUTE FUNCTION erpflow.announce_opened('reject.opened');

-- A connection that worked, or was never tried, does not any more: once, not at each check.
CREATE FUNCTION erpflow.announce_connection() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM erpflow.announce(
        NEW.tenant_id, 'connection.failed', now(),
        jsonb_build_object('connection', NEW.name, 'system', NEW.system, 'status', NEW.status));
    RETURN NULL;
END $$;

CREATE TRIGGER announce AFTER UPDATE OF status ON erpflow.erp_connections FOR EACH ROW
    WHEN (NEW.status IN ('expired', 'error') AND OLD.status NOT IN ('expired', 'error'))
    EXECUTE FUNCTION erpflow.announce_connection();

SELECT erpflow.keep_tenants_apart('erpflow.erp_subscriptions');
SELECT erpflow.keep_tenants_apart('erpflow.erp_deliveries');
