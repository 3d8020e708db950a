-- When the secret of a connection was made or last changed, as far as erpflow knows: Airflow, which keeps it, does not say.
ALTER TABLE erpflow.erp_connections ADD COLUMN secret_rotated_at timestamptz NOT NULL DEFAULT now();
UPDATE erpflow.erp_connections SET secret_rotated_at = created_at;

ALTER TABLE erpflow.erp_notifications
    DROP CONSTRAINT erp_notifications_kind_check,
    ADD CONSTRAINT erp_notifications_kind_check CHECK (kind IN (
        'failed', 'partial', 'stale', 'conflicts', 'rejects', 'deletes', 'late', 'rotation'));
