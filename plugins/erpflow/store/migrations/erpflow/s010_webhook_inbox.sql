-- What a vendor signed before its secret was changed comes again for a day: both secrets are good until then.
-- `payload`: where in a body the event, the entity and the id are (JMESPath); '{}': as the system's own webhooks say.
ALTER TABLE erpflow.erp_webhooks
    ADD COLUMN previous_secret text,
    ADD COLUMN previous_secret_until timestamptz,
    ADD COLUMN payload jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(payload) = 'object');

-- `occurred_at`: when it happened, by the vendor's clock, where the vendor says so with a zone.
ALTER TABLE erpflow.erp_webhook_events ADD COLUMN occurred_at timestamptz;

-- Pages of the list are read by (received_at, id), the newest first.
DROP INDEX erpflow.erp_webhook_events_by_tenant;
CREATE INDEX erp_webhook_events_by_tenant ON erpflow.erp_webhook_events (tenant_id, received_at DESC, id DESC);

-- A drain takes what is due of one entity, the oldest first.
DROP INDEX erpflow.erp_webhook_events_due;
CREATE INDEX erp_webhook_events_due ON erpflow.erp_webhook_events (webhook_id, entity, next_attempt_at)
    WHERE state = 'received';
