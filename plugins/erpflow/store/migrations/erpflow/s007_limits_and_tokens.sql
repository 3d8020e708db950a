-- `facts`: what the vendor said of the account when a person consented (its API address, the company's number).
-- `began_at`: the last renewals that began, newest first; vendors count them. `renewing_since`: one of them is under way,
-- or died before its answer was stored. `trouble`: why the vendor is not asked for tokens, as the error called
-- `trouble_kind`; until `trouble_until`, or, without one, until a person connects again.
ALTER TABLE erpflow.erp_oauth_tokens
    ADD COLUMN facts          jsonb         NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(facts) = 'object'),
    ADD COLUMN began_at       timestamptz[] NOT NULL DEFAULT '{}',
    ADD COLUMN renewing_since timestamptz,
    ADD COLUMN trouble        text,
    ADD COLUMN trouble_kind   text,
    ADD COLUMN trouble_until  timestamptz;

-- What a vendor counts together: one account of it, whoever's connections ask. It belongs to no tenant. `last_at` is the
-- slot given last (slots never go back), `last_cost` what its request cost. Each window is a row of counters of what was
-- let through, oldest first: 13 of 5 seconds, 62 of a minute, 50 of half an hour; `…_newest` numbers the last of them,
-- counted from 1970. One hot row: every update must stay on its page.
CREATE TABLE erpflow.erp_rate_accounts (
    account       text               PRIMARY KEY,
    last_at       timestamptz        NOT NULL DEFAULT '-infinity',
    last_cost     double precision   NOT NULL DEFAULT 0,
    paused_until  timestamptz        NOT NULL DEFAULT '-infinity',
    minute_newest bigint             NOT NULL DEFAULT 0,
    minute_used   double precision[] NOT NULL DEFAULT array_fill(0::double precision, ARRAY[13]),
    hour_newest   bigint             NOT NULL DEFAULT 0,
    hour_used     double precision[] NOT NULL DEFAULT array_fill(0::double precision, ARRAY[62]),
    day_newest    bigint             NOT NULL DEFAULT 0,
    day_used      double precision[] NOT NULL DEFAULT array_fill(0::double precision, ARRAY[50]),
    granted       bigint             NOT NULL DEFAULT 0,
    is_shared     boolean            NOT NULL DEFAULT false,  -- by connections of several tenants
    updated_at    timestamptz        NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- A connection's part: the account it asks, limits of its own where the data sheet's do not fit ('Infinity': none), and,
-- where tenants share the account, when its tenant asked, was given a slot, and was refused because all were under way.
ALTER TABLE erpflow.erp_rate_limits
    DROP COLUMN next_at,
    DROP COLUMN paused_until,
    DROP COLUMN granted,
    ADD COLUMN account    text             REFERENCES erpflow.erp_rate_accounts,
    ADD COLUMN per_second double precision CHECK (per_second > 0),
    ADD COLUMN per_minute double precision CHECK (per_minute > 0),
    ADD COLUMN per_hour   double precision CHECK (per_hour > 0),
    ADD COLUMN per_day    double precision CHECK (per_day > 0),
    ADD COLUMN concurrent double precision CHECK (concurrent >= 1),
    ADD COLUMN asked_at   timestamptz      NOT NULL DEFAULT '-infinity',
    ADD COLUMN slot_at    timestamptz      NOT NULL DEFAULT '-infinity',
    ADD COLUMN refused_at timestamptz      NOT NULL DEFAULT '-infinity';
CREATE INDEX erp_rate_limits_by_account ON erpflow.erp_rate_limits (account);

DROP FUNCTION erpflow.reserve_slot(uuid, double precision, double precision);

-- Keeps `is_shared` true to its word, and lets go of accounts that no connection asks any more.
CREATE FUNCTION erpflow.follow_rate_account() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[CASE WHEN TG_OP <> 'INSERT' THEN OLD.account END,
                                CASE WHEN TG_OP <> 'DELETE' THEN NEW.account END] LOOP
        PERFORM FROM erpflow.erp_rate_accounts WHERE account = name FOR UPDATE;
        DELETE FROM erpflow.erp_rate_accounts a WHERE a.account = name
            AND NOT EXISTS (SELECT FROM erpflow.erp_rate_limits l WHERE l.account = name);
        UPDATE erpflow.erp_rate_accounts a SET is_shared = (
            SELECT count(DISTINCT l.tenant_id) > 1 FROM erpflow.erp_rate_limits l WHERE l.account = name)
        WHERE a.account = name;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER erp_rate_limits_follow AFTER INSERT OR DELETE OR UPDATE OF account ON erpflow.erp_rate_limits
    FOR EACH ROW EXECUTE FUNCTION erpflow.follow_rate_account();

-- The row of a connection once it asks this account; all NULL for a connection that is not there.
CREATE FUNCTION erpflow.join_rate_account(of_connection uuid, of_account text)
RETURNS erpflow.erp_rate_limits LANGUAGE plpgsql AS $$
DECLARE
    mine erpflow.erp_rate_limits;
BEGIN
    SELECT * INTO mine FROM erpflow.erp_rate_limits WHERE connection_id = of_connection;
    IF mine.account IS DISTINCT FROM of_account
        AND EXISTS (SELECT FROM erpflow.erp_connections WHERE id = of_connection)
    THEN
        -- An account that is there already is locked too: its last connection may be leaving, and would take it along.
        INSERT INTO erpflow.erp_rate_accounts (account) VALUES (of_account)
        ON CONFLICT (account) DO UPDATE SET updated_at = clock_timestamp();
        INSERT INTO erpflow.erp_rate_limits (connection_id, tenant_id, account)
        SELECT id, tenant_id, of_account FROM erpflow.erp_connections WHERE id = of_connection
        ON CONFLICT (connection_id) DO UPDATE SET account = excluded.account
        RETURNING * INTO mine;
    END IF;
    RETURN mine;
END $$;

-- When a window has room for a request of this cost; '-infinity' when it has now. A window of n counters covers n - 1
-- whole spans of `bucket` seconds before the current one, so that no true window of its length holds more than `allowed`.
CREATE FUNCTION erpflow.window_opens(
    newest bigint, used double precision[], bucket integer, allowed double precision, cost double precision
) RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    excess double precision := least(cost, allowed) - allowed;  -- what costs more than is ever allowed has it to itself
    opens timestamptz := '-infinity';
BEGIN
    IF allowed IS NULL THEN
        RETURN opens;
    END IF;
    SELECT excess + sum(u) INTO excess FROM unnest(used) u;
    FOR place IN 1 .. cardinality(used) LOOP
        EXIT WHEN excess < 1e-6;
        excess := excess - used[place];
        opens := to_timestamp((newest + place) * bucket);
    END LOOP;
    RETURN opens;
END $$;

-- The counters of a window with `cost` added in the span numbered `current`, those that fell out of it dropped.
CREATE FUNCTION erpflow.window_with(newest bigint, used double precision[], current bigint, cost double precision)
RETURNS double precision[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    size integer := cardinality(used);
    steps integer := least(current - newest, size);
BEGIN
    IF steps > 0 THEN
        used := used[steps + 1 : size] || array_fill(0::double precision, ARRAY[steps]);
    END IF;
    used[size] := used[size] + cost;
    RETURN used;
END $$;

-- The next moment a request may go. Within seconds and minutes requests are evenly spaced, a little wider than allowed:
-- one that left late and one that arrived early must not meet in one second. Hours and days may be used up at once.
CREATE FUNCTION erpflow.next_slot(
    budget erpflow.erp_rate_accounts, allowed double precision[], cost double precision, moment timestamptz
) RETURNS timestamptz LANGUAGE sql STABLE AS $$
SELECT greatest(
    moment,
    budget.paused_until,
    budget.last_at + budget.last_cost * greatest(0, 1.05 / allowed[1], 60.5 / allowed[2]) * interval '1 second',
    erpflow.window_opens(budget.hour_newest, budget.hour_used, 60, allowed[3], cost),
    erpflow.window_opens(budget.day_newest, budget.day_used, 1800, allowed[4], cost))
$$;

-- Seconds a connection stands back for other tenants on its account, NULL for none. While others are about, a tenant has
-- one slot ahead and no more; and of those that wait for a request to end, who was served longest ago goes first.
CREATE FUNCTION erpflow.stands_back(mine erpflow.erp_rate_limits, moment timestamptz)
RETURNS double precision LANGUAGE sql STABLE AS $$
WITH tenants AS (
    SELECT tenant_id, max(asked_at) AS asked_at, max(slot_at) AS slot_at, max(refused_at) AS refused_at
    FROM erpflow.erp_rate_limits WHERE account = mine.account GROUP BY tenant_id
)
SELECT CASE
    WHEN own.slot_at > moment AND bool_or(other.asked_at > moment - interval '10 seconds')
        THEN extract(epoch FROM own.slot_at - moment)
    WHEN bool_or(other.refused_at > greatest(other.slot_at, moment - interval '0.5 seconds')
                 AND other.slot_at < own.slot_at)
        THEN 0.03
    END
FROM tenants own JOIN tenants other ON other.tenant_id <> own.tenant_id
WHERE own.tenant_id = mine.tenant_id GROUP BY own.slot_at
$$;

-- Reserve a connection's next request, in one statement. `sheet`: what its system allows per second, minute, hour, day
-- and at the same time. `held`: the leases this session holds for others, `keeps` one that the caller has already.
--   go     the request may leave in `wait` seconds; `lease` is an advisory lock of this session, given back when it is
--          over, by whoever asked or by the end of the session
--   again  not yet: ask again in `wait` seconds
--   later  not within `patience` seconds; nothing is reserved
-- All NULL for an unknown connection. Only the clock of Postgres counts. Slots are given at most `horizon` seconds ahead,
-- so that a pause reaches nearly everybody and a killed worker takes little along. What has to wait anyhow does not queue.
CREATE FUNCTION erpflow.reserve_request(
    of_connection uuid, of_account text, sheet double precision[], cost double precision, patience double precision,
    horizon double precision, held integer[], keeps integer,
    OUT wait double precision, OUT lease integer, OUT verdict text
) LANGUAGE plpgsql AS $$
DECLARE
    mine erpflow.erp_rate_limits;
    budget erpflow.erp_rate_accounts;
    allowed double precision[];
    moment timestamptz;
    slot timestamptz;
    is_shared boolean;
BEGIN
    SELECT * INTO mine FROM erpflow.erp_rate_limits WHERE connection_id = of_connection;
    IF mine.account IS DISTINCT FROM of_account THEN
        PERFORM pg_advisory_xact_lock(hashtextextended(of_account, 7));  -- before the rows: the order of all others
        mine := erpflow.join_rate_account(of_connection, of_account);
        IF mine.connection_id IS NULL THEN
            RETURN;
        END IF;
    END IF;
    allowed := ARRAY[coalesce(mine.per_second, sheet[1]), coalesce(mine.per_minute, sheet[2]),
                     coalesce(mine.per_hour, sheet[3]), coalesce(mine.per_day, sheet[4]),
                     coalesce(mine.concurrent, sheet[5])];
    SELECT * INTO budget FROM erpflow.erp_rate_accounts WHERE account = of_account;
    is_shared := budget.is_shared;
    moment := clock_timestamp();
    slot := erpflow.next_slot(budget, allowed, cost, moment);
    IF slot <= moment + horizon * interval '1 second' THEN
        IF is_shared THEN
            wait := erpflow.stands_back(mine, moment);
        END IF;
        IF wait IS NULL THEN
            lease := erpflow.take_lease(of_account, allowed[5], held, keeps);
            wait := CASE WHEN lease = -1 THEN 0.05 END;
        END IF;
        IF is_shared THEN
            UPDATE erpflow.erp_rate_limits SET asked_at = moment,
                refused_at = CASE WHEN wait IS NULL OR slot_at > moment THEN refused_at ELSE moment END
            WHERE connection_id = of_connection;
        END IF;
        IF wait IS NOT NULL THEN
            lease := NULL;
            verdict := 'again';
            RETURN;
        END IF;
        -- A queue: whoever came first goes first, and only one is woken at a time.
        PERFORM pg_advisory_xact_lock(hashtextextended(of_account, 7));
        SELECT * INTO budget FROM erpflow.erp_rate_accounts WHERE account = of_account;
        moment := clock_timestamp();
        slot := erpflow.next_slot(budget, allowed, cost, moment);
    END IF;
    wait := extract(epoch FROM slot - moment);
    IF wait <= horizon THEN
        verdict := 'go';
        UPDATE erpflow.erp_rate_accounts SET
            last_at = slot, last_cost = cost, granted = granted + 1, updated_at = moment,
            minute_newest = floor(extract(epoch FROM slot) / 5),
            minute_used = erpflow.window_with(minute_newest, minute_used, floor(extract(epoch FROM slot) / 5)::bigint, cost),
            hour_newest = floor(extract(epoch FROM slot) / 60),
            hour_used = erpflow.window_with(hour_newest, hour_used, floor(extract(epoch FROM slot) / 60)::bigint, cost),
            day_newest = floor(extract(epoch FROM slot) / 1800),
            day_used = erpflow.window_with(day_newest, day_used, floor(extract(epoch FROM slot) / 1800)::bigint, cost)
        WHERE account = of_account;
        IF is_shared THEN
            UPDATE erpflow.erp_rate_limits SET slot_at = slot WHERE connection_id = of_connection;
        END IF;
        RETURN;
    END IF;
    IF lease IS NOT NULL AND lease IS DISTINCT FROM keeps THEN
        PERFORM pg_advisory_unlock(hashtext(of_account), lease);
    END IF;
    lease := NULL;
    verdict := CASE WHEN wait <= patience THEN 'again' ELSE 'later' END;
    wait := CASE WHEN wait <= patience THEN wait - horizon / 2 ELSE wait END;
END $$;

-- One of `allowed` leases of an account, as an advisory lock of this session: the end of a killed worker's session gives
-- it back. NULL when there is no such limit, -1 when all are taken.
CREATE FUNCTION erpflow.take_lease(of_account text, allowed double precision, held integer[], keeps integer)
RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    IF keeps IS NOT NULL OR allowed IS NULL OR allowed > 1000 THEN
        RETURN keeps;
    END IF;
    FOR number IN 0 .. allowed::integer - 1 LOOP
        -- A session is given its own lock again, so it says which ones it holds.
        CONTINUE WHEN number = ANY (held);
        IF pg_try_advisory_lock(hashtext(of_account), number) THEN
            RETURN number;
        END IF;
    END LOOP;
    RETURN -1;
END $$;

-- Nobody asks this account for so many seconds. A shorter pause never shortens a longer one.
CREATE FUNCTION erpflow.pause_requests(of_connection uuid, of_account text, seconds double precision)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM erpflow.join_rate_account(of_connection, of_account);
    UPDATE erpflow.erp_rate_accounts
    SET paused_until = greatest(paused_until, clock_timestamp() + seconds * interval '1 second'),
        updated_at = clock_timestamp()
    WHERE account = of_account;
END $$;
