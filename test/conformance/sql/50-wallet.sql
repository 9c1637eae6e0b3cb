-- Grants of credits, wallets and how they are taken.

-- OpenMeter's grants. Between two resets they are a wallet, in which
--   * a grant that was effective before is a lot of the balance that it has at the start, a later one
--     of its amount;
--   * a recurring grant is refilled: a lot for each recurrence, which expires at the next one, and has
--     the grant's place in the order;
--   * voided or deleted: the lot expires then;
--   * overage is absorbed by a later grant: the wallet absorbs, and begins with the overage so far.
-- At a reset a new wallet begins with what rolls over, at most reset_max_rollover and at least
-- reset_min_rollover. Their last instant is the one before the end of the run.
CREATE FUNCTION grant_lots(i jsonb, balances jsonb, since timestamptz, upto timestamptz)
RETURNS TABLE (id text, amount numeric, priority integer, effective_at timestamptz, expires_at timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
    g record;
    starts timestamptz;
    part tstzrange;
    n integer;
    recurs boolean := i -> 'grants' @> '[{"recurrence": {}}]';
BEGIN
    FOR g IN SELECT x ->> 'id' AS id, x, x -> 'recurrence' AS recurrence, instant(x ->> 'effective_at') AS effective,
                    least(instant(x ->> 'expires_at'), instant(x ->> 'deleted_at'), instant(x ->> 'voided_at')) AS ends,
                    row_number() OVER (ORDER BY (x ->> 'priority')::integer, instant(x ->> 'expires_at'), instant(x ->> 'created_at'), x ->> 'id') AS place
             FROM jsonb_array_elements(i -> 'grants') AS x
    LOOP
        PERFORM only_keys(g.x, 'id', 'amount', 'priority', 'effective_at', 'expires_at', 'created_at', 'deleted_at', 'voided_at', 'recurrence',
                          'reset_max_rollover', 'reset_min_rollover');
        priority := CASE WHEN recurs THEN g.place ELSE (g.x ->> 'priority')::integer END;
        starts := greatest(g.effective, since);
        amount := CASE WHEN g.effective <= since THEN coalesce(balances ->> g.id, g.x ->> 'amount') ELSE g.x ->> 'amount' END::numeric;
        IF jsonb_typeof(g.recurrence) = 'object' THEN
            PERFORM only_keys(g.recurrence, 'interval', 'anchor');
        END IF;
        n := 0;
        LOOP
            part := CASE WHEN jsonb_typeof(g.recurrence) = 'object'
                         THEN meter.period(starts, instant(g.recurrence ->> 'anchor'), every(g.recurrence), 'UTC') ELSE tstzrange(NULL, NULL) END;
            id := format('%s/%s', g.id, n);
            effective_at := starts;
            expires_at := least(g.ends, upper(part));
            RETURN NEXT;
            starts := upper(part);
            n := n + 1;
            amount := g.x ->> 'amount';
            EXIT WHEN starts IS NULL OR starts >= g.ends OR starts >= upto;
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

CREATE FUNCTION grant_balances(wallet meter.wallet, at timestamptz) RETURNS jsonb
LANGUAGE sql
RETURN (SELECT coalesce(jsonb_object_agg(grant_id, num(held)), '{}')
        FROM (SELECT split_part(id, '/', 1) AS grant_id, sum(remaining) AS held FROM meter.lots(wallet, at) GROUP BY 1) AS b);

CREATE FUNCTION rate_credit_grants(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    starts timestamptz := instant(i ->> 'start');
    upto timestamptz := instant(i ->> 'until');
    moment interval := '1 microsecond';
    balances jsonb := i -> 'starting_balances';
    overage numeric := coalesce((i ->> 'starting_overage')::numeric, 0);
    resets timestamptz[] := (SELECT coalesce(array_agg(instant(r) ORDER BY instant(r)), '{}') FROM jsonb_array_elements_text(i -> 'resets') AS r);
    stops timestamptz[] := resets || upto;
    phase_starts timestamptz := starts;
    bounds timestamptz[];
    fresh meter.wallet;
    wallet meter.wallet;
    before meter.wallet;
    segments jsonb := '[]';
    options text[];
    reason text;
    ours jsonb;
    got jsonb;
BEGIN
    PERFORM only_keys(p, 'order', 'meter', 'reset_preserve_overage');
    PERFORM only_keys(i, 'start', 'starting_balances', 'starting_overage', 'until', 'usage', 'grants', 'resets');
    PERFORM only_value(p, 'meter', 'SUM');
    PERFORM only_value(p, 'order', '["priority asc", "expiry asc, null last", "created asc", "id asc"]');
    options := ARRAY[CASE WHEN i -> 'grants' @> '[{"recurrence": {}}]' THEN 'a refill is a lot that expires at the next recurrence' END,
                     CASE WHEN cardinality(resets) > 0 THEN 'a reset begins a new wallet' END];

    FOR n IN 1 .. cardinality(stops) LOOP
        IF n > 1 THEN
            IF NOT (p ->> 'reset_preserve_overage')::boolean THEN
                overage := 0;
            END IF;
            SELECT jsonb_object_agg(id, num(least(most, greatest(least_kept, held)))) INTO balances
            FROM (SELECT g ->> 'id' AS id, coalesce((g ->> 'reset_max_rollover')::numeric, 0) AS most, coalesce((g ->> 'reset_min_rollover')::numeric, 0) AS least_kept,
                         coalesce((balances ->> (g ->> 'id'))::numeric, 0) AS held
                  FROM jsonb_array_elements(i -> 'grants') AS g) AS rolled;
        END IF;
        SELECT meter.absorbing(coalesce(meter.wallet(id, amount, NULL, priority, effective_at, expires_at, NULL, NULL, NULL), '{}')) INTO fresh
        FROM grant_lots(i, balances, phase_starts, stops[n]);
        IF n > 1 THEN
            segments := CASE WHEN jsonb_array_length(segments) > 0 THEN jsonb_set(segments, '{-1,ends_with}', '"reset"') ELSE segments END
                || jsonb_build_object('kind', 'rollover', 'at', utc(phase_starts), 'from', utc(phase_starts), 'to', utc(phase_starts),
                                      'balance_at_start', num(meter.balance(fresh, phase_starts)), 'overage_at_start', num(overage));
        END IF;
        IF overage > 0 THEN
            fresh := meter.spend(fresh, phase_starts, overage);
        END IF;
        -- what happens between two changes of the wallet
        SELECT array_agg(DISTINCT b ORDER BY b) INTO bounds
        FROM (SELECT phase_starts AS b UNION SELECT stops[n]
              UNION SELECT unnest(ARRAY[effective_at, expires_at]) FROM grant_lots(i, balances, phase_starts, stops[n])) AS changes
        WHERE b BETWEEN phase_starts AND stops[n];
        wallet := fresh;
        FOR k IN 1 .. greatest(cardinality(bounds) - 1, 1) LOOP
            before := wallet;
            wallet := coalesce((SELECT meter.burn(before, at, amount) FROM run_usage(i) WHERE at >= bounds[k] AND at < bounds[k + 1]), before);
            segments := segments || jsonb_build_object('from', utc(bounds[k]), 'to', utc(coalesce(bounds[k + 1], bounds[k])),
                'balance_at_start', num(meter.balance(before, bounds[k])), 'balances', grant_balances(before, bounds[k]),
                'usage', num(meter.consumed(wallet) - meter.consumed(before)),
                'overage', num(meter.overage_at(wallet, coalesce(bounds[k + 1] - moment, bounds[k]))));
        END LOOP;
        EXIT WHEN n = cardinality(stops);
        balances := grant_balances(wallet, greatest(stops[n] - moment, phase_starts));
        overage := meter.overage_at(wallet, greatest(stops[n] - moment, phase_starts));
        phase_starts := stops[n];
    END LOOP;

    got := jsonb_build_object(
        'balances', grant_balances(wallet, greatest(upto - moment, phase_starts)),
        'overage', num(meter.overage_at(wallet, greatest(upto - moment, phase_starts))),
        'total_balance', num(meter.balance(wallet, greatest(upto - moment, phase_starts))),
        'total_grant_usage', (SELECT num(coalesce(sum(spent), 0)) FROM meter.lots(wallet)),
        'usage_since', utc(phase_starts),
        'usage_since_reset', (SELECT num(coalesce(sum(amount), 0)) FROM run_usage(i) WHERE at >= phase_starts),
        'segments', segments,
        'segment_count', num(jsonb_array_length(segments)),
        'segment2_start_g1', segments -> 1 -> 'balances' -> 'g1',
        'segment3_start_g1', segments -> 2 -> 'balances' -> 'g1');
    got := got || jsonb_build_object('total_available', num((got ->> 'total_balance')::numeric + (got ->> 'total_grant_usage')::numeric));

    -- what they refuse and we do not
    IF (SELECT array_agg(g ->> 'id' ORDER BY g ->> 'id') FROM jsonb_array_elements(i -> 'grants') AS g)
       IS DISTINCT FROM (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(i -> 'starting_balances') AS k) THEN
        reason := 'lots hold what was granted; there are no balances beside them that could be missing, or too many';
        ours := jsonb_build_object('total_balance', (SELECT num(greatest(coalesce(sum((g ->> 'amount')::numeric), 0) - (SELECT coalesce(sum(amount), 0) FROM run_usage(i)), 0))
                                                     FROM jsonb_array_elements(i -> 'grants') AS g));
    ELSIF resets[1] <= starts THEN
        reason := 'a reset at the start is one like any other';
        ours := jsonb_build_object('total_balance', (SELECT num(greatest(sum(least((g ->> 'reset_max_rollover')::numeric,
                    greatest(coalesce((g ->> 'reset_min_rollover')::numeric, 0), (i -> 'starting_balances' ->> (g ->> 'id'))::numeric))) - (SELECT coalesce(sum(amount), 0) FROM run_usage(i)), 0))
                                                     FROM jsonb_array_elements(i -> 'grants') AS g));
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
    PERFORM only_keys(x, 'id', 'priority', 'created', 'expires') FROM jsonb_array_elements(i -> 'grants') AS x;
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
    PERFORM only_keys(x, 'id', 'balance', 'priority', 'fee_types') FROM jsonb_array_elements(i -> 'wallets') AS x;
    PERFORM only_keys(x, 'type', 'amount') FROM jsonb_array_elements(i -> 'fees') AS x;
    IF (i ->> 'invoice_total')::numeric <> (SELECT sum((x ->> 'amount')::numeric) FROM jsonb_array_elements(i -> 'fees') AS x) THEN
        PERFORM not_mapped('an invoice of more or less than its fees');
    END IF;
    IF EXISTS (SELECT FROM jsonb_array_elements(i -> 'wallets') AS x WHERE jsonb_array_length(x -> 'fee_types') > 1) THEN
        RETURN answer(refusal(format('SELECT meter.wallet(%L::jsonb)', jsonb_build_object('lots',
                          (SELECT jsonb_agg(jsonb_build_object('id', x -> 'id', 'amount', (x ->> 'balance')::numeric, 'pool', x -> 'fee_types'))
                           FROM jsonb_array_elements(i -> 'wallets') AS x WHERE x ? 'fee_types')))),
                      NULL, 'a lot names one pool or none: where scopes cross, what is left depends on the order of events', '{"error": "22"}', NULL);
    END IF;
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
    PERFORM only_keys(x, 'id', 'remaining', 'priority', 'created') FROM jsonb_array_elements(i -> 'inbound') AS x;
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
