-- Messages (mail, SMS, WhatsApp), each recorded before its vendor is asked. No text, no attachment and no value of a
-- template is kept: whom it went to, by which template, and what became of it. `content_digest` tells a repetition from
-- another message under the same key. `attempts` is the fence: only the result of the newest attempt is taken.
-- The row stays when its connection goes: the same invoice is not sent again by another account.
CREATE TABLE erpflow.erp_messages (
    id             uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id      uuid        NOT NULL REFERENCES erpflow.erp_tenants,
    connection_id  uuid        REFERENCES erpflow.erp_connections ON DELETE SET NULL,
    system         text        NOT NULL,
    channel        text        NOT NULL CHECK (channel IN ('email', 'sms', 'whatsapp')),
    key            text        CHECK (length(key) BETWEEN 1 AND 300),
    content_digest bytea       NOT NULL,
    recipients     text[]      NOT NULL CHECK (cardinality(recipients) > 0),
    template       text,
    state          text        NOT NULL DEFAULT 'submitting'
                               CHECK (state IN ('submitting', 'accepted', 'rejected', 'unknown')),
    may_try_again  boolean     NOT NULL DEFAULT false CHECK (NOT may_try_again OR state = 'rejected'),
    remote_id      text,
    error          text,
    error_field    text,
    attempts       integer     NOT NULL DEFAULT 1 CHECK (attempts > 0),
    requested_by   text,
    settled_by     text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    submitted_at   timestamptz NOT NULL DEFAULT now(),
    settled_at     timestamptz,
    CHECK ((settled_at IS NULL) = (state = 'submitting'))
);
CREATE UNIQUE INDEX erp_messages_once ON erpflow.erp_messages (tenant_id, channel, key);
CREATE INDEX erp_messages_newest ON erpflow.erp_messages (tenant_id, created_at DESC, id DESC);
CREATE INDEX erp_messages_under_way ON erpflow.erp_messages (tenant_id, submitted_at) WHERE state = 'submitting';
CREATE INDEX erp_messages_settled_by_age ON erpflow.erp_messages (settled_at) WHERE state IN ('accepted', 'rejected');
CREATE INDEX erp_messages_by_connection ON erpflow.erp_messages (connection_id);

SELECT erpflow.keep_tenants_apart('erpflow.erp_messages');
