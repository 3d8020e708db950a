-- What came to the vendor within a second, like the counters of minute, hour and day: 82 of 12.5 ms. A request is counted
-- where it was let through, and moved from there when it left late or was answered late: one that was held back must not
-- meet, at the vendor, those that are let through a second later. `quickest`: seconds the vendor takes for an answer at
-- least, as far as is known.
ALTER TABLE erpflow.erp_rate_accounts
    ADD COLUMN quickest      double precision   NOT NULL DEFAULT 0,
    ADD COLUMN second_newest bigint             NOT NULL DEFAULT 0,
    ADD COLUMN second_used   double precision[] NOT NULL DEFAULT array_fill(0::double precision, ARRAY[82]);

-- As it was, for windows whose spans are parts of a second.
DROP FUNCTION erpflow.window_opens(bigint, double precision[], integer, double precision, double precision);
CREATE FUNCTION erpflow.window_opens(
    newest bigint, used double precision[], bucket double precision, allowed double precision, cost double precision
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

-- The next moment a request may go. Within seconds and minutes requests are evenly spaced; hours and days may be used up
-- at once. A second has room again 1.0125 to 1.025 seconds after a request left: so much earlier than its predecessors one
-- may arrive. A part of a request cannot be counted in a second, so that such limits, and those of a minute, are kept by
-- spaces a little wider than allowed.
CREATE OR REPLACE FUNCTION erpflow.next_slot(
    budget erpflow.erp_rate_accounts, allowed double precision[], cost double precision, moment timestamptz
) RETURNS timestamptz LANGUAGE sql STABLE AS $$
SELECT greatest(
    moment,
    budget.paused_until,
    budget.last_at + budget.last_cost * interval '1 second' * greatest(
        0, CASE WHEN allowed[1] = floor(allowed[1]) THEN 1 ELSE 1.05 END / allowed[1], 60.5 / allowed[2]),
    erpflow.window_opens(budget.second_newest, budget.second_used, 0.0125, ceil(allowed[1]), cost),
    erpflow.window_opens(budget.hour_newest, budget.hour_used, 60, allowed[3], cost),
    erpflow.window_opens(budget.day_newest, budget.day_used, 1800, allowed[4], cost))
$$;

-- As it was. `due` is the moment of a request that may leave, NULL where its vendor has no limit per second: who leaves
-- later says so. `spent`: seconds from the beginning of the statement to when `wait` was reckoned.
DROP FUNCTION erpflow.reserve_request(
    uuid, text, double precision[], double precision, double precision, double precision, integer[], integer);
CREATE FUNCTION erpflow.reserve_request(
    of_connection uuid, of_account text, sheet double precision[], cost double precision, patience double precision,
    horizon double precision, held integer[], keeps integer,
    OUT wait double precision, OUT lease integer, OUT verdict text, OUT due timestamptz, OUT spent double precision,
    OUT quickest double precision
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
        due := CASE WHEN allowed[1] IS NOT NULL THEN slot END;
        quickest := budget.quickest;
        spent := extract(epoch FROM moment - statement_timestamp());
        UPDATE erpflow.erp_rate_accounts SET
            last_at = slot, last_cost = cost, granted = granted + 1, updated_at = moment,
            second_newest = floor(extract(epoch FROM slot) * 80),
            second_used = erpflow.window_with(second_newest, second_used, floor(extract(epoch FROM slot) * 80)::bigint, cost),
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

-- Counts a request where it can have come to the vendor at the latest, instead of where it was let through, at `due`. At
-- most half a second later: up to so far ahead others are let through already. Where it is counted now.
CREATE FUNCTION erpflow.count_later(of_account text, due timestamptz, cost double precision, latest timestamptz)
RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    newest bigint;
    used double precision[];
    planned bigint := floor(extract(epoch FROM due) * 80);
    later timestamptz := least(latest, due + interval '0.5 seconds');
    place bigint := floor(extract(epoch FROM later) * 80);
BEGIN
    SELECT second_newest, second_used INTO newest, used FROM erpflow.erp_rate_accounts WHERE account = of_account;
    IF place <= planned OR newest - planned >= cardinality(used) THEN
        RETURN due;
    END IF;
    IF place > newest THEN
        used := erpflow.window_with(newest, used, place, 0);
        newest := place;
    END IF;
    place := cardinality(used) - (newest - place);
    planned := cardinality(used) - (newest - planned);
    used[place] := used[place] + cost;
    IF planned > 0 THEN
        used[planned] := used[planned] - cost;
    END IF;
    UPDATE erpflow.erp_rate_accounts SET second_newest = newest, second_used = used WHERE account = of_account;
    RETURN later;
END $$;

-- A request that was due then leaves now, and is counted now; where. NULL when it must not leave any more: it was held
-- back for so long that others have its place.
CREATE FUNCTION erpflow.leave_late(of_account text, due timestamptz, cost double precision)
RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(of_account, 7));
    IF clock_timestamp() > due + interval '0.5 seconds' THEN
        RETURN NULL;
    END IF;
    RETURN erpflow.count_later(of_account, due, cost, clock_timestamp());
END $$;

-- A request was answered, so many seconds after it left. Of the time that no other answer took the way to the vendor may
-- have been any part, so it is counted that much later. `quickest` follows the vendor: down at once, up slowly.
CREATE FUNCTION erpflow.answer_late(of_account text, due timestamptz, cost double precision, seconds double precision)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    known double precision;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(of_account, 7));
    UPDATE erpflow.erp_rate_accounts SET quickest = least(quickest + 0.001, seconds) WHERE account = of_account
    RETURNING quickest INTO known;
    PERFORM erpflow.count_later(of_account, due, cost, clock_timestamp() - known * interval '1 second');
END $$;

-- What the counters of a window hold in the span numbered `current`, without those that fell out of it by then.
CREATE FUNCTION erpflow.window_holds(newest bigint, used double precision[], current bigint)
RETURNS double precision LANGUAGE sql IMMUTABLE AS $$
SELECT coalesce(sum(u), 0) FROM unnest(used) WITH ORDINALITY AS spans (u, place)
WHERE newest - cardinality(used) + place > current - cardinality(used)
$$;
