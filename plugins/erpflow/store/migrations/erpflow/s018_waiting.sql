-- What waits for a person beside the syncs: told as `waiting`, so the watch finds it every few minutes.
ALTER TABLE erpflow.erp_notifications
    DROP CONSTRAINT erp_notifications_kind_check,
    ADD CONSTRAINT erp_notifications_kind_check CHECK (kind IN (
        'failed', 'partial', 'stale', 'conflicts', 'rejects', 'deletes', 'late', 'rotation', 'waiting'));

CREATE INDEX erp_messages_unknown ON erpflow.erp_messages (settled_at) WHERE state = 'unknown';
CREATE INDEX erp_payment_requests_open ON erpflow.erp_payment_requests (sent_at)
    WHERE state IN ('submitting', 'unknown');
CREATE INDEX erp_webhook_events_parked ON erpflow.erp_webhook_events (webhook_id) WHERE state = 'parked';
