-- Grants of credits, wallets and how they are taken.

-- OpenMeter's grants: a lot each, but
--   * a recurring grant is refilled: a lot for each recurrence, which expires at the next one;
--   * voided or deleted: the lot expires then;
--   * the run starts from balances: they are the lots' amounts where a grant was effective before;
--   * overage is absorbed by a later grant: the wallet absorbs;
--   * a reset: the lots expire then, and roll over at most reset_max_rollover; where
--     reset_min_rollover is more than what is left, a lot of the difference is granted.
CREATE FUNCTION grant_lots(p jsonb, i jsonb)
RETURNS TABLE (id text, grant_id text, amount numeric, priority integer, effective_at timestamptz, expires_at timestamptz,
               rollover_max numeric, rollover_until timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
    g jsonb;
    starts timestamptz;
    ends timestamptz;
    reset timestamptz := instant(i -> 'resets' ->> 0);
    upto timestamptz := instant(i ->> 'until');
    part tstzrange;
    anchor timestamptz;
    n integer;
BEGIN
    FOR g IN SELECT jsonb_array_elements(i -> 'grants') LOOP
        PERFORM only_keys(g, 'id', 'amount', 'priority', 'effective_at', 'expires_at', 'deleted_at', 'voided_at', 'recurrence',
                          'reset_max_rollover', 'reset_min_rollover');
        grant_id := g ->> 'id';
        priority := (g ->> 'priority')::integer;
        starts := greatest(instant(g ->> 'effective_at'), instant(i ->> 'start'));
        ends := least(instant(g ->> 'expires_at'), instant(g ->> 'deleted_at'), instant(g ->> 'voided_at'));
        -- what is left of it at the start, or all of it where it begins later
        amount := CASE WHEN instant(g ->> 'effective_at') <= instant(i ->> 'start')
                       THEN coalesce(i -> 'starting_balances' ->> grant_id, g ->> 'amount') ELSE g ->> 'amount' END;
        anchor := instant(g -> 'recurrence' ->> 'anchor');
        IF g ? 'recurrence' THEN
            PERFORM only_keys(g -> 'recurrence', 'interval', 'anchor');
        END IF;
        n := 0;
        LOOP
            part := CASE WHEN g ? 'recurrence' THEN meter.period(starts, anchor, every(g -> 'recurrence'), 'UTC') ELSE tstzrange(NULL, NULL) END;
            id := format('%s/%s', grant_id, n);
            effective_at := starts;
            expires_at := least(ends, upper(part));
            rollover_max := NULL;
            rollover_until := NULL;
            IF reset >= effective_at AND (reset < expires_at OR expires_at IS NULL) THEN
                rollover_max := coalesce((g ->> 'reset_max_rollover')::numeric, 0);
                rollover_until := coalesce(expires_at, 'infinity');
                expires_at := reset;
            END IF;
            RETURN NEXT;
            starts := upper(part);
            n := n + 1;
            amount := (g ->> 'amount')::numeric;
            EXIT WHEN starts IS NULL OR starts >= ends OR starts > upto;
        END LOOP;
    END LOOP;
END
$$;

-- Usage of the run, an amount at an instant; one of an interval of the start's day is at its start.
CREATE FUNCTION run_usage(i jsonb) RETURNS TABLE (at timestamptz, amount numeric)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    u jsonb;
    part text[];
BEGIN
    FOR u IN SELECT jsonb_array_elements(i -> 'usage') LOOP
        part := regexp_match(u ->> 0, '^\[(\d\d:\d\d),\d\d:\d\d\)$');
        at := CASE WHEN part IS NULL THEN instant(u ->> 0) ELSE instant(i ->> 'start') + part[1]::interval END;
        amount := u ->> 1;
        -- the run sees what lies in it
        CONTINUE WHEN at < instant(i ->> 'start') OR at >= instant(i ->> 'until');
        RETURN NEXT;
    END LOOP;
END
$$;

CREATE FUNCTION run_wallet(p jsonb, i jsonb, upto timestamptz, topped numeric DEFAULT 0) RETURNS meter.wallet
LANGUAGE plpgsql AS $$
DECLARE
    wallet meter.wallet;
BEGIN
    SELECT coalesce(meter.wallet(id, amount, NULL, priority, effective_at, expires_at, NULL, rollover_max, rollover_until), '{}') INTO wallet
    FROM grant_lots(p, i);
    IF topped > 0 THEN
        wallet := meter.add_lots(wallet, (SELECT meter.wallet(grant_id || '/reset', topped, NULL, priority, expires_at, NULLIF(rollover_until, 'infinity'), NULL, NULL, NULL)
                                          FROM grant_lots(p, i) WHERE rollover_max IS NOT NULL));
    END IF;
    RETURN (SELECT meter.burn(meter.absorbing(wallet), at, amount) FROM (VALUES (0)) AS one LEFT JOIN run_usage(i) ON at < upto);
END
$$;

CREATE FUNCTION rate_credit_grants(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    starts timestamptz := instant(i ->> 'start');
    upto timestamptz := instant(i ->> 'until');
    seen timestamptz := upto - interval '1 microsecond';    -- what expires at the end has not, for them
    reset timestamptz := instant(i -> 'resets' ->> 0);
    since timestamptz := coalesce(reset, starts);
    wallet meter.wallet;
    before meter.wallet;
    topped numeric := 0;
    reason text;
    ours jsonb;
    got jsonb;
    options text[];
    bounds timestamptz[];
    segments jsonb := '[]';
    part_starts timestamptz;
    part_ends timestamptz;
BEGIN
    PERFORM only_keys(p, 'order', 'meter', 'reset_preserve_overage');
    PERFORM only_keys(i, 'start', 'starting_balances', 'starting_overage', 'until', 'usage', 'grants', 'resets');
    PERFORM only_value(p, 'meter', 'SUM');
    PERFORM only_value(p, 'order', '["priority asc", "expiry asc, null last", "created asc", "id asc"]');
    PERFORM only_value(i, 'starting_overage', '0');
    IF jsonb_array_length(i -> 'resets') > 1 OR reset IS NOT NULL AND jsonb_array_length(i -> 'grants') > 1 THEN
        PERFORM not_mapped('more resets or grants with a reset than one');
    END IF;
    options := ARRAY[CASE WHEN i -> 'grants' @> '[{"recurrence": {}}]' THEN 'a refill is a lot that expires at the next recurrence' END];

    IF reset IS NOT NULL THEN
        before := run_wallet(p, i, reset);
        IF NOT (p ->> 'reset_preserve_overage')::boolean AND meter.overage(before, greatest(meter.through(before), starts)) > 0 THEN
            PERFORM not_mapped('overage that a reset forgets');
        END IF;
        SELECT least(coalesce((g ->> 'reset_min_rollover')::numeric, 0), (g ->> 'reset_max_rollover')::numeric) - meter.balance(before, reset) INTO topped
        FROM jsonb_array_elements(i -> 'grants') AS g;
        IF topped > 0 THEN
            options := options || 'the minimum of a reset is a lot of what is missing'::text;
        END IF;
    END IF;
    wallet := run_wallet(p, i, upto, topped);

    -- phases between changes; a reset has one of its own, of no length
    SELECT array_agg(DISTINCT b ORDER BY b) INTO bounds
    FROM (SELECT starts AS b UNION SELECT upto
          UNION SELECT unnest(ARRAY[effective_at, expires_at, rollover_until]) FROM grant_lots(p, i)) AS all_bounds
    WHERE b BETWEEN starts AND upto;
    FOR n IN 1 .. cardinality(bounds) LOOP
        part_starts := bounds[n];
        part_ends := bounds[n + 1];
        IF part_starts = reset AND reset > starts THEN
            segments := jsonb_set(segments, '{-1,ends_with}', '"reset"') || jsonb_build_object('kind', 'rollover', 'at', utc(reset),
                'balance_at_start', num(meter.balance(run_wallet(p, i, reset, topped), reset)), 'overage_at_start', num(meter.overage(run_wallet(p, i, reset, topped), reset)));
        END IF;
        EXIT WHEN part_ends IS NULL AND (part_starts IS DISTINCT FROM reset OR reset = starts);
        before := run_wallet(p, i, part_starts, topped);
        wallet := run_wallet(p, i, coalesce(part_ends, upto), topped);
        segments := segments || jsonb_build_object('from', utc(part_starts), 'to', utc(coalesce(part_ends, upto)),
            'balance_at_start', num(meter.balance(before, part_starts)),
            'usage', num(meter.consumed(wallet) - meter.consumed(before)),
            'overage', num(meter.overage(wallet, coalesce(part_ends, upto) - interval '1 microsecond')),
            'balances', (SELECT jsonb_object_agg(grant_id, num(held)) FROM (
                SELECT split_part(id, '/', 1) AS grant_id, sum(remaining) AS held FROM meter.lots(before, part_starts) GROUP BY 1) AS b));
    END LOOP;
    wallet := run_wallet(p, i, upto, topped);
    got := jsonb_build_object(
        'balances', coalesce((SELECT jsonb_object_agg(grant_id, num(held)) FROM (
            SELECT split_part(id, '/', 1) AS grant_id, sum(remaining) AS held FROM meter.lots(wallet, seen) GROUP BY 1) AS b), '{}'),
        'overage', num(meter.overage(wallet, seen)),
        'total_balance', num(meter.balance(wallet, seen)),
        'total_grant_usage', num((SELECT coalesce(sum(spent), 0) FROM meter.lots(wallet, seen))
            - CASE WHEN reset IS NULL THEN 0
                   ELSE (SELECT coalesce(sum(spent), 0) FROM meter.lots(run_wallet(p, i, reset), reset - interval '1 microsecond')) END),
        'usage_since', utc(since),
        'usage_since_reset', num((SELECT coalesce(sum(amount), 0) FROM run_usage(i) WHERE at >= since)),
        'segments', segments,
        'segment_count', num(jsonb_array_length(segments)),
        'segment2_start_g1', segments -> 1 -> 'balances' -> 'g1',
        'segment3_start_g1', segments -> 2 -> 'balances' -> 'g1');
    got := got || jsonb_build_object('total_available', num((got ->> 'total_balance')::numeric + (got ->> 'total_grant_usage')::numeric));

    -- what they refuse and we do not
    IF EXISTS (SELECT FROM jsonb_array_elements(i -> 'grants') AS g WHERE NOT i -> 'starting_balances' ? (g ->> 'id')) THEN
        reason := 'lots hold what was granted; there are no balances beside them that could be missing';
        ours := jsonb_build_object('total_balance', (SELECT num(sum((g ->> 'amount')::numeric) - (SELECT sum(amount) FROM run_usage(i))) FROM jsonb_array_elements(i -> 'grants') AS g));
    ELSIF reset = starts THEN
        reason := 'a lot that expires at the instant at which it begins is void, and rolls nothing over';
        ours := jsonb_build_object('total_balance', num(0), 'overage', (SELECT num(sum(amount)) FROM run_usage(i)));
    END IF;
    IF reason IS NOT NULL THEN
        RETURN answer(got, NULL, reason, ours, '{"error": true}');
    END IF;
    RETURN answer(got, options);
END
$$;

-- The order in which lots are taken, seen by taking all of them. Seconds are written as "+3600.9s".
CREATE FUNCTION rate_credit_order(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    base timestamptz := instant(i ->> 'base');
    whole boolean := p -> 'order' ? 'expiry asc compared in whole seconds, null last';
    burned meter.wallet;
BEGIN
    PERFORM only_keys(p, 'order');
    PERFORM only_keys(i, 'base', 'grants');
    PERFORM only_value(p, 'order', '["priority asc", "expiry asc compared in whole seconds, null last", "created asc", "id asc"]');
    SELECT meter.spend(meter.wallet(g ->> 'id', 1, NULL, (g ->> 'priority')::integer, NULL,
                                    CASE WHEN whole THEN date_trunc('second', expires) ELSE expires END, base + (g ->> 'created')::interval, NULL, NULL),
                       base - interval '1 second', count(*))
    INTO burned
    FROM jsonb_array_elements(i -> 'grants') AS g, LATERAL (SELECT base + (g ->> 'expires')::interval AS expires) AS e;
    RETURN answer(jsonb_build_object('order', (SELECT jsonb_agg(lot ORDER BY n) FROM meter.burns(burned) WITH ORDINALITY AS b (lot, starts, ends, amount, kind, n)
                                               WHERE kind = 'spent')),
                  ARRAY[CASE WHEN whole THEN 'expires_at in whole seconds' END]);
END
$$;

-- Lago's wallets: a lot each, a fee type is a pool. An invoice takes them at one instant.
CREATE FUNCTION rate_wallet_allocation(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := '2026-01-01 00:00Z';
    burned meter.wallet;
    got jsonb;
    f record;
    w record;
    owed numeric;
    taken numeric;
    ours jsonb := '{}';
    crossing boolean;
BEGIN
    PERFORM only_keys(p, 'wallet_order', 'scope');
    PERFORM only_keys(i, 'wallets', 'fees', 'invoice_total');
    PERFORM only_value(p, 'wallet_order', '["priority asc", "created asc"]');
    PERFORM only_value(p, 'scope', 'fee type; unrestricted wallet covers all');
    CREATE TEMP TABLE lago_wallet ON COMMIT DROP AS
    SELECT x ->> 'id' AS id, (x ->> 'balance')::numeric AS balance, (x ->> 'priority')::integer AS priority, n, x -> 'fee_types' ->> 0 AS pool
    FROM jsonb_array_elements(i -> 'wallets') WITH ORDINALITY AS e (x, n);
    SELECT meter.burn(wallet, at, (fee ->> 'amount')::numeric, fee ->> 'type') INTO burned
    FROM jsonb_array_elements(i -> 'fees') AS fee,
        (SELECT meter.wallet(id, balance, pool, priority, NULL, NULL, at + n * interval '1 second', NULL, NULL) AS wallet FROM lago_wallet) AS made;
    got := jsonb_build_object('total_applied', (SELECT num(sum(spent)) FROM meter.lots(burned)),
                              'applied', (SELECT jsonb_object_agg(id, num(spent)) FROM meter.lots(burned) WHERE spent > 0));
    crossing := (SELECT bool_or(pool IS NULL) AND bool_or(pool IS NOT NULL) FROM lago_wallet);

    -- ours, by hand: each fee takes the wallets of its type, then the unrestricted ones
    FOR f IN SELECT fee ->> 'type' AS type, (fee ->> 'amount')::numeric AS amount FROM jsonb_array_elements(i -> 'fees') AS fee LOOP
        owed := f.amount;
        FOR w IN SELECT * FROM lago_wallet WHERE pool IS NULL OR pool = f.type ORDER BY pool IS NULL, priority, n LOOP
            taken := least(owed, w.balance);
            UPDATE lago_wallet SET balance = balance - taken WHERE id = w.id;
            owed := owed - taken;
            IF taken > 0 THEN
                ours := ours || jsonb_build_object(w.id, num(coalesce((ours ->> w.id)::numeric, 0) + taken));
            END IF;
        END LOOP;
    END LOOP;
    DROP TABLE lago_wallet;
    RETURN answer(got, NULL, CASE WHEN crossing THEN 'lots of the pool are taken before unrestricted ones, whatever their priority' END,
                  jsonb_build_object('applied', ours, 'total_applied', i -> 'invoice_total'), NULL);
END
$$;

-- Lago's transactions inside a wallet: granted ones go before purchased ones of the same priority.
CREATE FUNCTION rate_wallet_burn(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := '2026-01-01 00:00Z';
    by_kind boolean := (SELECT bool_and(x ->> 'id' IN ('granted', 'purchased')) FROM jsonb_array_elements(i -> 'inbound') AS x);
    burned meter.wallet;
BEGIN
    PERFORM only_keys(p, 'order');
    PERFORM only_keys(i, 'inbound', 'consume');
    PERFORM only_value(p, 'order', '["priority asc", "granted before purchased", "created asc"]');
    SELECT meter.spend(meter.wallet(x ->> 'id', (x ->> 'remaining')::numeric, NULL,
                                    2 * (x ->> 'priority')::integer + CASE WHEN by_kind AND x ->> 'id' = 'purchased' THEN 1 ELSE 0 END,
                                    NULL, NULL, at + coalesce(x ->> 'created', '0')::interval, NULL, NULL), at, (i ->> 'consume')::numeric)
    INTO burned
    FROM jsonb_array_elements(i -> 'inbound') AS x;
    RETURN answer(jsonb_build_object('remaining', (SELECT jsonb_object_agg(id, num(remaining)) FROM meter.lots(burned, at))),
                  ARRAY[CASE WHEN by_kind THEN 'granted before purchased is a priority between' END]);
END
$$;

-- Flexprice: the first grant of a period is prorated by seconds, and rounded.
CREATE FUNCTION rate_credit_proration(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    starts numeric := extract(epoch FROM instant(i ->> 'period_start'));
    whole numeric := extract(epoch FROM instant(i ->> 'period_end')) - starts;
    since numeric := extract(epoch FROM instant(i ->> 'at')) - starts;
    exact numeric;
    rounded numeric;
BEGIN
    PERFORM only_keys(p, 'strategy', 'decimals');
    PERFORM only_keys(i, 'period_start', 'period_end', 'at', 'credits');
    PERFORM only_value(p, 'strategy', 'second');
    exact := meter.prorate((i ->> 'credits')::numeric, least(since, whole)::bigint, whole::bigint, whole::bigint);
    rounded := meter.round_quantity(exact, 'round', (p ->> 'decimals')::integer);
    RETURN answer(jsonb_build_object('credits', num(rounded)), CASE WHEN rounded <> exact THEN ARRAY['round_quantity'] END);
END
$$;
