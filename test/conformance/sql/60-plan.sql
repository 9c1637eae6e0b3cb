-- What is the catalogue's: metrics over events, plans, subscriptions and what they bill. A
-- case has a customer and a plan of its own, in UTC.

CREATE SEQUENCE case_number;

-- A version of a plan with items, which are as meter.plan_item has them.
CREATE FUNCTION new_plan(name text, version integer, currency text, every interval, items jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO meter.plan (plan, version, currency, every) VALUES (name, new_plan.version, new_plan.currency, new_plan.every);
    INSERT INTO meter.plan_item (plan, version, plan_item, kind, position, amount, quantity, percent, periods, timing, metric, tariff)
    SELECT name, new_plan.version, 'item_' || n, item.kind, n, item.amount, item.quantity, item.percent, item.periods,
           coalesce(item.timing, 'arrears'), item.metric, item.tariff::meter.tariff
    FROM jsonb_array_elements(items) WITH ORDINALITY AS listed (content, n),
         LATERAL jsonb_to_record(content) AS item (kind text, amount numeric, quantity numeric, percent numeric, periods integer,
                                                   timing text, metric text, tariff text);
END
$$;

-- Events of a customer, a row of usage each; equal instants keep their order.
CREATE FUNCTION use(customer text, at timestamptz, usage meter.usage) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage)
    VALUES (customer, to_char(nextval('conformance.case_number'), 'FM000000000'), at, 'unit', usage)
$$;

-- Kill Bill: a sum by half-open period. Its boundaries are names, or dates: each interval is a
-- subscription to a plan that meters the units. The first event is at the first instant, the
-- others at the last.
CREATE FUNCTION rate_agg_sum_by_period(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    name text := 'case_' || nextval('case_number');
    names text[] := ARRAY(SELECT jsonb_array_elements_text(p -> 'boundaries'));
    days date[];
    unit text;
    span text;
    k integer;
    value record;
    got jsonb;
BEGIN
    PERFORM only_keys(p, 'boundaries');
    SELECT array_agg(CASE WHEN b ~ '^\d{4}-\d\d-\d\d$' THEN b::date ELSE date '2024-01-31' + n::integer END ORDER BY n) INTO days
    FROM unnest(names) WITH ORDINALITY AS boundary (b, n);
    FOR unit IN SELECT * FROM jsonb_object_keys(i) LOOP
        INSERT INTO meter.metric (metric, aggregation, unit) VALUES (name || '_' || unit, 'sum', unit);
        FOR span IN SELECT * FROM jsonb_object_keys(i -> unit) LOOP
            SELECT n INTO k FROM generate_subscripts(names, 1) AS n
            WHERE span IN (names[n] || '-' || names[n + 1], 'after ' || names[n]) OR span = 'before ' || names[n] AND n = 1;
            IF k IS NULL OR span LIKE 'after %' AND k < cardinality(names) THEN
                PERFORM not_mapped('the interval "%s"', span);
            END IF;
            FOR value IN SELECT x::numeric AS quantity, n FROM jsonb_array_elements_text(i -> unit -> span) WITH ORDINALITY AS e (x, n) LOOP
                PERFORM use(name, CASE
                    WHEN span LIKE 'before %' THEN days[k]::timestamptz - interval '1 microsecond'
                    WHEN value.n = 1 OR span LIKE 'after %' THEN days[k]::timestamptz
                    ELSE days[k + 1]::timestamptz - interval '1 microsecond' END, meter.usage(unit, value.quantity));
            END LOOP;
        END LOOP;
    END LOOP;
    -- a period of the plan is longer than any interval, and each is a part of one
    PERFORM new_plan(name, 1, 'USD', '1000 years', (
        SELECT jsonb_agg(jsonb_build_object('kind', 'usage', 'metric', name || '_' || u, 'tariff', 'at 1') ORDER BY u) FROM jsonb_object_keys(i) AS u));
    FOR k IN 1 .. cardinality(days) - 1 LOOP
        PERFORM meter.subscribe(name, name, 1, days[k], days[k + 1], '2000-01-01');
    END LOOP;
    SELECT jsonb_object_agg(measured.unit, measured.quantities) INTO got
    FROM (SELECT substr(line.metric, length(name) + 2) AS unit, jsonb_agg(num(line.measured) ORDER BY lower(line.period)) AS quantities
          FROM meter.rate_lines(ARRAY[name], days[1:1], days[cardinality(days):]) AS line
          GROUP BY line.metric) AS measured;
    RETURN answer(got);
END
$$;

-- Lago's weighted sum: events say by how much a level changes; here they say what it is then.
CREATE FUNCTION rate_agg_weighted_sum(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    name text := 'case_' || nextval('case_number');
    recurring boolean := coalesce((p ->> 'recurring')::boolean, false);
    since timestamptz := p ->> 'from';
    until timestamptz := date_trunc('second', replace(p ->> 'to', ' (rounded up to the second)', '')::timestamptz + interval '1 second');
    days integer;
    got record;
    aggregation numeric;
    options text[] := '{}';
BEGIN
    PERFORM only_keys(p, 'from', 'to', 'period_days', 'recurring', 'initial_value');
    PERFORM only_keys(i, 'events', 'prior_events');
    IF since <> since::date::timestamptz OR until <> until::date::timestamptz
        OR coalesce(p ->> 'initial_value' = 'from prior events', false) <> (i ? 'prior_events') THEN
        PERFORM not_mapped('a weighted sum with %s', p::text);
    END IF;
    INSERT INTO meter.metric (metric, aggregation, unit, recurring) VALUES
        (name || '_weighted', 'time_weighted', 'level', recurring), (name || '_latest', 'latest', 'level', recurring), (name || '_events', 'count', NULL, false);
    PERFORM new_plan(name, 1, 'USD', '1000 years', jsonb_build_array(
        jsonb_build_object('kind', 'usage', 'metric', name || '_weighted', 'tariff', 'at 1'),
        jsonb_build_object('kind', 'usage', 'metric', name || '_latest', 'tariff', 'at 1'),
        jsonb_build_object('kind', 'usage', 'metric', name || '_events', 'tariff', 'at 1')));
    PERFORM meter.subscribe(name, name, 1, since::date, until::date, '2000-01-01');

    PERFORM use(name, level.at, level.usage)
    FROM (
        SELECT change.at, change.n, sum(meter.usage('level', change.value)) OVER (ORDER BY change.at, change.n) AS usage
        FROM (
            SELECT since - interval '1 day' AS at, 0 AS n, CASE WHEN NOT i ? 'prior_events' THEN (p ->> 'initial_value')::numeric END AS value
            WHERE p ->> 'initial_value' IS NOT NULL AND NOT i ? 'prior_events'
            UNION ALL
            SELECT (e ->> 0)::timestamptz, n, (e ->> 1)::numeric
            FROM jsonb_array_elements(coalesce(i -> 'prior_events', '[]') || (i -> 'events')) WITH ORDINALITY AS event (e, n)) AS change
        ORDER BY change.at, change.n) AS level;

    SELECT sum(measured) FILTER (WHERE metric LIKE '%\_weighted') AS weighted,
           sum(measured) FILTER (WHERE metric LIKE '%\_latest') AS latest,
           sum(measured) FILTER (WHERE metric LIKE '%\_events') AS events
    INTO got
    FROM meter.rate_lines(ARRAY[name], ARRAY[since::date], ARRAY[until::date]);
    IF jsonb_array_length(i -> 'events') > 0 THEN
        options := options || 'events say what there is, not the change'::text;
    END IF;
    -- a part of a period is weighed by its own time here
    days := until::date - since::date;
    aggregation := got.weighted;
    IF days <> (p ->> 'period_days')::integer THEN
        aggregation := meter.prorate(aggregation, 0, days, (p ->> 'period_days')::integer);
        options := options || 'prorated by days'::text;
    END IF;
    RETURN answer(jsonb_build_object(
            'aggregation', num(aggregation), 'event_count', num(got.events), 'carried_total', num(got.latest),
            'variation', num((
                SELECT coalesce(sum(meter.usage('level', (e ->> 1)::numeric)) -> 'level', 0)
                FROM jsonb_array_elements(i -> 'events') AS e))),
        options);
END
$$;

-- A coupon is a discount of the plan, and the base a fee. Coupons that are used up over
-- invoices are a maximum of what they give in all.
CREATE FUNCTION rate_coupon(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    name text := 'case_' || nextval('case_number');
    cents numeric := 10 ^ meter.currency_digits(coalesce(p ->> 'currency', 'USD'));
    to_units meter.tariff := format('at 1 per %s', txt(cents));
    to_cents meter.tariff := format('at %s', txt(cents));
    base numeric := coalesce(i ->> 'base_cents', i ->> 'subtotal_cents');
    coupons jsonb;
    item jsonb;
    part numeric;
    given numeric;
    taken_there numeric := 0;
    taken_here numeric := 0;
    given_there numeric := 0;
    given_here numeric := 0;
BEGIN
    IF p ? 'type' THEN
        PERFORM only_keys(p, 'type', 'amount_cents', 'percent', 'currency', 'frequency', 'frequency_duration', 'frequency_duration_remaining');
        PERFORM only_keys(i, 'base_cents', 'used_cents');
        PERFORM only_value(p, 'frequency', 'once', 'recurring', 'forever');
        PERFORM only_value(p, 'type', 'fixed', 'percentage');
        IF (p ->> 'type' = 'fixed') <> (p ? 'amount_cents') OR p ? 'amount_cents' = (p ? 'percent')
            OR i ? 'used_cents' AND (p ? 'percent' OR coalesce(p ->> 'frequency', 'once') <> 'once') THEN
            PERFORM not_mapped('a coupon of %s with %s', p::text, i::text);
        END IF;
        coupons := jsonb_build_array(
            CASE WHEN p ? 'percent' THEN jsonb_build_object('percent', p ->> 'percent')
                 ELSE jsonb_build_object('fixed', meter.charge(to_units, capped_credit(
                    (p ->> 'amount_cents')::numeric, (p ->> 'amount_cents')::numeric, coalesce((i ->> 'used_cents')::numeric, 0)))) END
            || CASE WHEN p ->> 'frequency' = 'recurring' THEN jsonb_build_object('periods', coalesce(p -> 'frequency_duration_remaining', p -> 'frequency_duration'))
                    ELSE '{}' END);
    ELSE
        PERFORM only_keys(p, 'order', 'currency');
        PERFORM only_keys(i, 'subtotal_cents', 'coupons');
        PERFORM only_value(p, 'order', 'percentages, then fixed');
        coupons := i -> 'coupons';
    END IF;
    FOR item IN SELECT * FROM jsonb_array_elements(coupons) LOOP
        PERFORM only_keys(item, 'percent', 'fixed', 'periods');
    END LOOP;

    PERFORM new_plan(name, 1, coalesce(p ->> 'currency', 'USD'), '1 month', (
        SELECT jsonb_agg(listed ORDER BY n)
        FROM (
            SELECT jsonb_build_object('kind', 'fee', 'amount', meter.charge(to_units, base)) AS listed, 0 AS n
            UNION ALL
            SELECT jsonb_build_object('kind', 'discount', 'percent', c -> 'percent', 'amount', c -> 'fixed', 'periods', c -> 'periods'), n
            FROM jsonb_array_elements(coupons) WITH ORDINALITY AS coupon (c, n)) AS listed));
    PERFORM meter.subscribe(name, name, 1, '2024-03-01', '2024-04-01');
    SELECT meter.charge(to_cents, coalesce(-sum(rated_amount), 0)) INTO given
    FROM meter.due_lines(ARRAY[name], ARRAY[date '2024-03-01'], ARRAY[date '2024-04-01'])
    WHERE kind = 'discount';

    -- what the two orders predict, in cents
    FOR item IN SELECT c FROM jsonb_array_elements(coupons) WITH ORDINALITY AS coupon (c, n) ORDER BY c ->> 'percent' IS NULL, n LOOP
        part := least(base - taken_there, coalesce((item ->> 'percent')::numeric / 100 * (base - taken_there), (item ->> 'fixed')::numeric * cents));
        taken_there := taken_there + part;
        given_there := given_there + CASE WHEN p ? 'type' THEN round(part) ELSE trunc(part) END;
        part := least(base - taken_here, coalesce((item ->> 'percent')::numeric / 100 * base, (item ->> 'fixed')::numeric * cents));
        taken_here := taken_here + part;
        given_here := given_here + round(part);
    END LOOP;
    RETURN answer(jsonb_build_object('discount_cents', num(given)), NULL,
        CASE WHEN taken_here <> taken_there THEN 'percentages are each of the charges here, and of what the ones before leave there'
             WHEN given_here <> given_there THEN 'a part of a cent is rounded here, and cut off there' END,
        jsonb_build_object('discount_cents', num(given_here)), jsonb_build_object('discount_cents', num(given_there)));
END
$$;

-- Flexprice: a change inside a period that is paid in advance. The old fee is invoiced, then
-- the subscription changes, ends or begins, and the next invoice's lines are what it comes to.
-- Dates are the zone's, whatever it is.
CREATE FUNCTION rate_proration(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    name text := 'case_' || nextval('case_number');
    since date := p ->> 'period_start';
    until date := (p ->> 'period_end')::date + 1;
    at date := i ->> 'date';
    id bigint;
    credit numeric;
    charge numeric;
    capped numeric;
    version integer;
    item jsonb;
BEGIN
    PERFORM only_keys(p, 'strategy', 'currency', 'period_start', 'period_end', 'billing', 'timezone');
    PERFORM only_keys(i, 'action', 'date', 'old', 'new', 'paid', 'previous_credits');
    PERFORM only_value(p, 'strategy', 'day, both ends inclusive');
    PERFORM only_value(p, 'billing', 'advance');
    PERFORM only_value(i, 'action', 'upgrade', 'downgrade', 'quantity_change', 'add_item', 'remove_item', 'cancellation');
    IF (i ->> 'action' = 'add_item') = (i ? 'old') OR (i ->> 'action' IN ('remove_item', 'cancellation')) = (i ? 'new') THEN
        PERFORM not_mapped('%s with %s', i ->> 'action', i::text);
    END IF;
    FOR version, item IN VALUES (1, i -> 'old'), (2, i -> 'new') LOOP
        IF item IS NOT NULL THEN
            PERFORM new_plan(name, version, p ->> 'currency', (until - since) * interval '1 day', jsonb_build_array(
                jsonb_build_object('kind', 'fee', 'timing', 'advance', 'amount', item -> 0, 'quantity', item -> 1)));
        END IF;
    END LOOP;
    IF i ? 'old' THEN
        id := meter.subscribe(name, name, 1, since, anchor => since);
        PERFORM meter.close_customers(ARRAY[name], since, since + interval '30 days');
        IF i ? 'new' THEN
            PERFORM meter.change_plan(id, name, 2, at::text, at);
        ELSE
            PERFORM meter.cancel_subscription(id, at::text, at);
        END IF;
    ELSE
        PERFORM meter.subscribe(name, name, 2, at, anchor => since);
    END IF;
    SELECT -coalesce(sum(amount) FILTER (WHERE subscription_id = id), 0), coalesce(sum(amount) FILTER (WHERE subscription_id IS DISTINCT FROM id), 0)
    INTO credit, charge
    FROM meter.preview_lines(name, at);
    capped := CASE WHEN i ? 'paid' THEN capped_credit(credit, (i ->> 'paid')::numeric, coalesce((i ->> 'previous_credits')::numeric, 0)) ELSE credit END;
    RETURN answer(jsonb_build_object('credit', num(-capped), 'charge', num(charge), 'net', num(charge - capped)),
        CASE WHEN capped <> credit THEN '{no more back than was paid}'::text[] END);
END
$$;

-- Lago: by how much a commitment is prorated, which is what one of 1 comes to where nothing
-- was used.
CREATE FUNCTION rate_commitment_proration(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    name text := 'case_' || nextval('case_number');
    zone text := coalesce(p ->> 'timezone', 'UTC');
    month date;
    step interval := CASE WHEN i ->> 'period' ~ '^\d{4}$' THEN '1 year' ELSE '1 month' END;
    whole daterange;
    since date := local_day(instant(i ->> 'from'), zone);
    until date := local_day(least(instant(i ->> 'to'), instant(i ->> 'terminated_at')), zone) + 1;
BEGIN
    PERFORM only_keys(p, 'rule', 'timezone');
    PERFORM only_keys(i, 'from', 'to', 'period', 'terminated_at');
    PERFORM only_value(p, 'rule', 'inclusive local days / period days', 'end clamped to period end');
    IF i ->> 'period' !~ '^\d{4}(-\d\d)?$' THEN
        PERFORM not_mapped('period "%s"', i ->> 'period');
    END IF;
    month := rpad(i ->> 'period', 10, '-01-01');
    whole := meter.period(month, month, step);
    IF since < lower(whole) OR until > upper(whole) THEN
        PERFORM not_mapped('%s in %s', i::text, whole::text);
    END IF;
    PERFORM new_plan(name, 1, 'USD', step, '[{"kind": "commitment", "amount": 1}]');
    PERFORM meter.subscribe(name, name, 1, since, until, lower(whole));
    RETURN answer(jsonb_build_object('coefficient', (
            SELECT num(coalesce(sum(amount), 0)) FROM meter.rate_lines(ARRAY[name], ARRAY[since], ARRAY[until]))));
END
$$;

-- A subscription of Kill Bill's kind: periods of months begin on the billing day, others with
-- the subscription. A fee of 1 that is prorated counts them.
CREATE FUNCTION billing_day_plan(p jsonb, i jsonb, OUT name text, OUT anchor date) RETURNS record
LANGUAGE plpgsql AS $$
DECLARE
    start date := i ->> 'start';
BEGIN
    PERFORM only_keys(p, 'interval', 'billing_day', 'billing');
    PERFORM only_keys(i, 'start', 'end', 'target');
    PERFORM only_value(p, 'billing', 'advance', 'arrears');
    name := 'case_' || nextval('case_number');
    anchor := CASE WHEN in_months(every(p)) THEN day_anchor(start, (p ->> 'billing_day')::integer, every(p)) ELSE start END;
    PERFORM new_plan(name, 1, 'USD', every(p), jsonb_build_array(jsonb_build_object('kind', 'fee', 'amount', 1, 'timing', p ->> 'billing')));
    PERFORM meter.subscribe(name, name, 1, start, (i ->> 'end')::date, anchor);
END
$$;

-- Kill Bill's boundaries in plain SQL, for predictions: the n-th from the first on or after the
-- start, on the billing day or its month's last.
CREATE FUNCTION kill_bill_boundary(p jsonb, start date, n integer) RETURNS date
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN in_months(every(p)) THEN
            (m + make_interval(days => least((p ->> 'billing_day')::integer, extract(day FROM m + interval '1 month - 1 day')::integer) - 1))::date
        ELSE (start + n * every(p))::date END
    FROM (SELECT date_trunc('month', start::timestamp) + every(p) * (n + CASE
            WHEN least((p ->> 'billing_day')::integer, extract(day FROM date_trunc('month', start::timestamp) + interval '1 month - 1 day')) < extract(day FROM start)
            THEN 1 ELSE 0 END) AS m) AS month
$$;

-- How many periods were billed by a date. A part is of the period that it lies in here; there,
-- one before the first boundary is of a period counted back from its own end, and one behind
-- the last of one counted on from its start, which is another where a month is short.
CREATE FUNCTION rate_billing_cycles(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    made record := billing_day_plan(p, i);
    start date := i ->> 'start';
    target date := i ->> 'target';
    step interval := every(p);
    got numeric;
    ours numeric;
    theirs numeric;
BEGIN
    SELECT coalesce(sum(amount), 0) INTO got
    FROM meter.rate_lines(ARRAY[made.name], ARRAY[start], ARRAY[target], true);

    SELECT coalesce(sum(round((part.until - cycle.since)::numeric / (cycle.until - cycle.since), 12)
                        - round((part.since - cycle.since)::numeric / (cycle.until - cycle.since), 12)), 0),
           coalesce(sum(CASE
               WHEN part.since = cycle.since AND part.until = cycle.until THEN 1
               WHEN cycle.n < 0 THEN (part.until - part.since)::numeric / (part.until - (part.until - step)::date)
               ELSE (part.until - part.since)::numeric / ((part.since + step)::date - part.since) END), 0)
    INTO ours, theirs
    FROM (SELECT n, kill_bill_boundary(p, start, n) AS since, kill_bill_boundary(p, start, n + 1) AS until FROM generate_series(-1, 1200) AS n) AS cycle,
         LATERAL (SELECT greatest(cycle.since, start) AS since, least(cycle.until, (i ->> 'end')::date) AS until) AS part
    WHERE part.since < part.until
      AND CASE p ->> 'billing' WHEN 'advance' THEN part.since ELSE part.until END <= target;
    RETURN answer(jsonb_build_object('cycles', num(got)), NULL,
        CASE WHEN round(theirs, 9) <> round(ours, 9) THEN 'a part is of the period that it lies in here, and of one counted from its own boundary there' END,
        jsonb_build_object('cycles', num(ours)), jsonb_build_object('cycles', num(round(theirs, 12))));
END
$$;

-- What is due by a date, and when the next will be.
CREATE FUNCTION rate_billing_due(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    made record := billing_day_plan(p, i);
    start date := i ->> 'start';
    target date := i ->> 'target';
    held daterange := meter.period(start, made.anchor, every(p));
    first date := CASE WHEN lower(held) = start THEN start ELSE upper(held) END;
    through date;
    got jsonb;
BEGIN
    PERFORM only_value(p, 'billing', 'arrears');
    SELECT max(upper(service)) INTO through
    FROM meter.rate_lines(ARRAY[made.name], ARRAY[start], ARRAY[target], true);
    got := jsonb_build_object('something_to_bill', through IS NOT NULL, 'first_billing_date', first, 'bill_through', through,
        'next_billing_date', upper(meter.period(coalesce(through, start), made.anchor, every(p))));
    RETURN answer(got, NULL,
        CASE WHEN through IS NULL AND first = start AND target >= start THEN 'a start on a billing day is no period of no days to bill here' END,
        jsonb_build_object('something_to_bill', false, 'first_billing_date', start, 'bill_through', NULL,
                           'next_billing_date', kill_bill_boundary(p, start, 1)),
        jsonb_build_object('something_to_bill', true, 'first_billing_date', start, 'bill_through', start,
                           'next_billing_date', kill_bill_boundary(p, start, 1)));
END
$$;
