-- What happened, for those who follow along. Triggers fill it, so no writer can forget to; NOTIFY says that there is more
-- to read, and this table says what. Ids are given before a transaction commits: who reads in their order skips what
-- commits late. Who reads in the order of (xid, id), and only below the oldest transaction that still runs, skips
-- nothing: whatever will still commit has a higher xid. No foreign keys: a check per row would lock the tenant's row.
CREATE TABLE erpflow.erp_events (
    xid            xid8        NOT NULL DEFAULT pg_current_xact_id(),
    id             bigint      GENERATED ALWAYS AS IDENTITY,
    at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    tenant_id      uuid        NOT NULL,
    sync_config_id uuid,
    log_id         uuid,
    kind           text        NOT NULL,
    payload        jsonb       NOT NULL DEFAULT '{}',
    PRIMARY KEY (xid, id),
    UNIQUE (id)
);
CREATE INDEX erp_events_by_tenant ON erpflow.erp_events (tenant_id, xid, id);
CREATE INDEX erp_events_by_age ON erpflow.erp_events (at);
CREATE INDEX erp_events_progress ON erpflow.erp_events (log_id, at) WHERE kind = 'sync_progress';
SELECT erpflow.keep_tenants_apart('erpflow.erp_events');

CREATE FUNCTION erpflow.notify_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('erpflow_events', '');  -- once per transaction, however often it is called
    RETURN NULL;
END $$;
CREATE TRIGGER notify AFTER INSERT ON erpflow.erp_events
    FOR EACH STATEMENT EXECUTE FUNCTION erpflow.notify_events();

-- A log is always written alone, by its id: a trigger per row, whose WHEN costs nothing where nothing is to be told.
-- Progress is told once a second at most, or a load of a million records would write thousands of rows; the event that
-- closes the log has the last word. `share`: of the chunks to apply, once they have been counted.
CREATE FUNCTION erpflow.tell_sync() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    told text := 'sync_progress';
    seconds double precision := extract(epoch FROM clock_timestamp() - NEW.started_at);
BEGIN
    IF TG_OP = 'INSERT' OR (OLD.status <> 'running' AND NEW.status = 'running') THEN
        told := 'sync_opened';
    ELSIF OLD.status = 'running' AND NEW.status <> 'running' THEN
        told := 'sync_closed';
    ELSIF EXISTS (
        SELECT FROM erpflow.erp_events e
        WHERE e.log_id = NEW.id AND e.kind = 'sync_progress' AND e.at > clock_timestamp() - interval '1 second'
    ) THEN
        RETURN NULL;
    END IF;
    INSERT INTO erpflow.erp_events (tenant_id, sync_config_id, log_id, kind, payload)
    VALUES (NEW.tenant_id, NEW.sync_config_id, NEW.id, told, jsonb_build_object(
        'status', NEW.status, 'direction', NEW.direction, 'kind', NEW.kind, 'dry_run', NEW.dry_run,
        'pages', NEW.pages, 'chunks_applied', NEW.chunks_applied, 'chunks_total', NEW.chunks_total,
        'share', CASE WHEN told = 'sync_closed' AND NEW.status <> 'failed' THEN 1
                      WHEN NEW.chunks_total > 0
                      THEN round(least(1, NEW.chunks_applied::numeric / NEW.chunks_total), 4) END,
        'rows_per_second', CASE WHEN seconds > 0 THEN round((NEW.read_count / seconds)::numeric, 1) END,
        'read', NEW.read_count, 'created', NEW.created_count, 'updated', NEW.updated_count,
        'unchanged', NEW.unchanged_count, 'deleted', NEW.deleted_count, 'conflict', NEW.conflict_count,
        'rejected', NEW.rejected_count, 'ignored', NEW.ignored_count, 'error_kind', NEW.error_kind
    ));
    RETURN NULL;
END $$;
CREATE TRIGGER tell_opened AFTER INSERT ON erpflow.erp_sync_logs
    FOR EACH ROW EXECUTE FUNCTION erpflow.tell_sync();
CREATE TRIGGER tell_progress AFTER UPDATE ON erpflow.erp_sync_logs FOR EACH ROW
    WHEN (OLD.status <> NEW.status AND 'running' IN (OLD.status, NEW.status)
          OR NEW.status = 'running' AND (OLD.pages, OLD.chunks_applied, OLD.chunks_total, OLD.read_count)
                  IS DISTINCT FROM (NEW.pages, NEW.chunks_applied, NEW.chunks_total, NEW.read_count))
    EXECUTE FUNCTION erpflow.tell_sync();

-- The others are written in bulk: one event for a statement and a sync, with the numbers and the first of the ids.
CREATE FUNCTION erpflow.tell_records() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO erpflow.erp_events (tenant_id, sync_config_id, log_id, kind, payload)
    SELECT tenant_id, sync_config_id, log_id, 'records_changed', jsonb_build_object(
        'direction', direction, 'records', count(*),
        'created', count(*) FILTER (WHERE change = 'created'), 'updated', count(*) FILTER (WHERE change = 'updated'),
        'deleted', count(*) FILTER (WHERE change = 'deleted'), 'resolved', count(*) FILTER (WHERE change = 'resolved'),
        'first', (SELECT jsonb_agg(jsonb_build_object('remote_id', f.remote_id, 'local_id', f.local_id))
                  FROM (SELECT remote_id, local_id FROM written w
                        WHERE (w.tenant_id, w.sync_config_id, w.direction)
                            = (written.tenant_id, written.sync_config_id, written.direction)
                          AND w.log_id IS NOT DISTINCT FROM written.log_id LIMIT 20) f)
    )
    FROM written GROUP BY tenant_id, sync_config_id, log_id, direction;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON erpflow.erp_record_history
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION erpflow.tell_records();

CREATE FUNCTION erpflow.tell_conflicts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO erpflow.erp_events (tenant_id, sync_config_id, log_id, kind, payload)
    SELECT tenant_id, sync_config_id, log_id, 'conflict_opened', jsonb_build_object(
        'conflicts', count(*), 'kinds', jsonb_agg(DISTINCT kind), 'first', to_jsonb((array_agg(id))[:20]))
    FROM written WHERE status = 'open' GROUP BY tenant_id, sync_config_id, log_id
    UNION ALL
    SELECT tenant_id, sync_config_id, log_id, 'conflict_resolved', jsonb_build_object(
        'conflicts', count(*), 'winners', jsonb_agg(DISTINCT winner), 'first', to_jsonb((array_agg(id))[:20]))
    FROM written WHERE status = 'resolved' GROUP BY tenant_id, sync_config_id, log_id;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON erpflow.erp_conflicts
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION erpflow.tell_conflicts();

CREATE FUNCTION erpflow.tell_resolved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO erpflow.erp_events (tenant_id, sync_config_id, log_id, kind, payload)
    SELECT n.tenant_id, n.sync_config_id, n.log_id, 'conflict_resolved', jsonb_build_object(
        'conflicts', count(*), 'winners', jsonb_agg(DISTINCT n.winner), 'first', to_jsonb((array_agg(n.id))[:20]))
    FROM written n JOIN before o USING (id)
    WHERE o.status = 'open' AND n.status = 'resolved' GROUP BY n.tenant_id, n.sync_config_id, n.log_id;
    RETURN NULL;
END $$;
CREATE TRIGGER tell_resolved AFTER UPDATE ON erpflow.erp_conflicts
    REFERENCING OLD TABLE AS before NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION erpflow.tell_resolved();

CREATE FUNCTION erpflow.tell_webhooks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO erpflow.erp_events (tenant_id, kind, payload)
    SELECT tenant_id, 'webhook_received', jsonb_build_object(
        'webhook_id', webhook_id, 'events', count(*), 'entities', coalesce(jsonb_agg(DISTINCT entity)
            FILTER (WHERE entity IS NOT NULL), '[]'), 'first', to_jsonb((array_agg(id))[:20]))
    FROM written GROUP BY tenant_id, webhook_id;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON erpflow.erp_webhook_events
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION erpflow.tell_webhooks();
