-- The charge models. Every function takes (engine, parameters, input) and answers an outcome.

-- A quantity below zero is an error here; the other engines bill it in their own ways.
CREATE FUNCTION negative_refused(t meter.tariff, quantity numeric) RETURNS outcome
LANGUAGE sql
RETURN answer(
    refusal(format('SELECT meter.charge(%L::meter.tariff, %L)', t, quantity)),
    NULL, 'a negative quantity is refused here', '{"error": "22"}'::jsonb, NULL);

CREATE FUNCTION rate_standard(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    currency text := line_currency(engine, p);
    t meter.tariff;
    total record;
    exact numeric;
    gross numeric;
    line record;
    options text[];
BEGIN
    PERFORM only_keys(p, 'unit_price', 'currency', 'max_amount', 'min_amount');
    PERFORM only_keys(i, 'quantity', 'line', 'prior_quantity', 'previously_billed');
    t := format('at %s', p ->> 'unit_price');
    IF (i ->> 'quantity')::numeric < 0 THEN
        RETURN negative_refused(t, (i ->> 'quantity')::numeric);
    END IF;
    SELECT * INTO total FROM totals(i);
    exact := meter.charge_between(t, total.before, total.after);
    gross := money(exact, currency);
    IF gross <> exact THEN
        options := '{round_money}';
    END IF;
    SELECT * INTO line FROM commit_line(p, i, gross, currency);
    RETURN answer(jsonb_build_object(
            'amount', num(line.amount),
            'gross', num(gross),
            'max_spend_discount', num(line.discount),
            'min_spend_line', num(nullif(line.minimum_line, 0)),
            'unit_amount', num(coalesce(gross / nullif(total.after - coalesce(total.before, 0), 0), 0))),
        options);
END
$$;

-- The price comes with the event (Lago: in minor units), or is a factor of the metered value.
CREATE FUNCTION rate_dynamic(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    currency text := line_currency(engine, p);
    q numeric := i ->> 'quantity';
    total record;
    exact numeric;
    gross numeric;
    line record;
    options text[];
BEGIN
    PERFORM only_keys(p, 'price_source', 'multiplier', 'currency', 'max_amount', 'min_amount');
    PERFORM only_keys(i, 'quantity', 'currency_subunit', 'precise_total_amount_cents',
                      'line', 'prior_quantity', 'previously_billed');
    PERFORM only_value(p, 'price_source', 'sum of per-event precise_total_amount_cents');
    IF (p ? 'price_source') = (p ? 'multiplier') THEN
        PERFORM not_mapped('either a price source or a multiplier');
    END IF;
    IF q < 0 THEN
        RETURN negative_refused('at 1', q);
    END IF;
    IF p ? 'price_source' THEN
        exact := meter.charge(format('at 1 per %s', i ->> 'currency_subunit')::meter.tariff,
                              (i ->> 'precise_total_amount_cents')::numeric);
    ELSE
        SELECT * INTO total FROM totals(i);
        exact := meter.charge_between(format('at %s', p ->> 'multiplier')::meter.tariff, total.before, total.after);
    END IF;
    gross := money(exact, currency);
    IF gross <> exact THEN
        options := '{round_money}';
    END IF;
    SELECT * INTO line FROM commit_line(p, i, gross, currency);
    RETURN answer(jsonb_build_object(
            'amount', num(line.amount),
            'gross', num(gross),
            'max_spend_discount', num(line.discount),
            'min_spend_line', num(nullif(line.minimum_line, 0)),
            'unit_amount', num(coalesce(gross / nullif(q, 0), 0))),
        options);
END
$$;

-- Tiers that each price what lies in them, or percentages that do.
--
-- A split line bills from one running total to another: charge_between, with a NULL
-- before on the first line, so that a fee at zero is billed once. OpenMeter rounds the
-- lines, Meteroid the sum.
CREATE FUNCTION rate_graduated(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    currency text := line_currency(engine, p);
    option text := zero_option(engine, 'graduated');
    q numeric := i ->> 'quantity';
    t meter.tariff;
    total record;
    exact numeric;
    gross numeric := 0;
    line record;
    options text[] := '{}';
    tier_lines jsonb := '[]';
    detail jsonb := '[]';
    seg record;
BEGIN
    PERFORM only_keys(p, 'bounds', 'flat_fee_rule', 'tiers', 'currency', 'max_amount', 'min_amount');
    PERFORM only_keys(i, 'quantity', 'line', 'prior_quantity', 'previously_billed');
    PERFORM check_rules(p);
    t := tariff(p, 'graduated', CASE WHEN option <> '' THEN '; ' || option ELSE '' END);
    IF q < 0 THEN
        RETURN negative_refused(t, q);
    END IF;
    IF EXISTS (SELECT FROM tiers(p) WHERE cap IS NOT NULL) THEN
        RETURN rate_capped(engine, 'graduated', p, i);
    END IF;
    SELECT * INTO total FROM totals(i);
    exact := meter.charge_between(t, total.before, total.after);

    FOR seg IN
        SELECT s.tier, s.price, s.has_price, s.has_fee,
               CASE WHEN s.tier = 1 AND b.tier IS NULL OR a.quantity > coalesce(b.quantity, 0) OR a.fee > coalesce(b.fee, 0)
                    THEN coalesce(a.quantity, 0) - coalesce(b.quantity, 0) END AS quantity,
               greatest(coalesce(total.before, 0), s.lower) = s.lower AS at_boundary,
               coalesce(a.fee, 0) - coalesce(b.fee, 0) AS fee,
               coalesce(a.usage_amount, 0) - coalesce(b.usage_amount, 0) AS usage_amount
        FROM tiers(p) AS s
        LEFT JOIN lines(t, p, total.after) AS a USING (tier)
        LEFT JOIN lines(t, p, coalesce(total.before, 0)) AS b ON b.tier = s.tier AND total.before IS NOT NULL
        WHERE a.tier IS NOT NULL OR s.tier = 1
        ORDER BY s.tier
    LOOP
        exact := exact - seg.fee - seg.usage_amount;
        IF engine = 'openmeterio' THEN
            IF money(seg.fee, currency) + money(seg.usage_amount, currency) <> seg.fee + seg.usage_amount THEN
                options := '{round_money}';
            END IF;
            seg.fee := money(seg.fee, currency);
            seg.usage_amount := money(seg.usage_amount, currency);
        END IF;
        gross := gross + seg.fee + seg.usage_amount;

        -- as Lago shows it: the tiers that are entered
        IF seg.quantity IS NOT NULL THEN
            tier_lines := tier_lines || jsonb_build_object(
                'tier', num(seg.tier), 'quantity', num(seg.quantity),
                'flat', num(seg.fee), 'usage_amount', num(seg.usage_amount));
        END IF;
        -- as OpenMeter shows it: a tier's usage, then its fee, where the tier has the one or the other
        IF seg.quantity > 0 OR seg.tier = 1 AND total.after = 0 THEN
            IF seg.has_price THEN
                detail := detail || jsonb_build_object(
                    'kind', 'usage', 'tier', num(seg.tier), 'quantity', num(coalesce(seg.quantity, 0)),
                    'unit_price', num(seg.price), 'amount', num(seg.usage_amount));
            END IF;
            IF seg.has_fee AND seg.at_boundary AND (seg.tier > 1 OR total.before IS NULL) THEN
                detail := detail || jsonb_build_object(
                    'kind', 'flat', 'tier', num(seg.tier), 'quantity', num(1),
                    'unit_price', num(seg.fee), 'amount', num(seg.fee));
            END IF;
        END IF;
    END LOOP;
    IF exact <> 0 THEN
        RAISE EXCEPTION 'the lines of % do not add up to the charge: % is left', t, exact;
    END IF;
    IF engine <> 'openmeterio' AND money(gross, currency) <> gross THEN
        options := options || 'round_money'::text;
        gross := money(gross, currency);
    END IF;
    IF option <> '' AND gross <> meter.charge_between(tariff(p, 'graduated'), total.before, total.after) THEN
        options := options || option;
    END IF;

    SELECT * INTO line FROM commit_line(p, i, gross, currency);
    RETURN answer(jsonb_build_object(
            'amount', num(line.amount),
            'gross', num(gross),
            'flat', (SELECT num(sum((x ->> 'flat')::numeric)) FROM jsonb_array_elements(tier_lines) AS x),
            'max_spend_discount', num(line.discount),
            'min_spend_line', num(nullif(line.minimum_line, 0)),
            'tier_lines', tier_lines,
            'lines', detail,
            'unit_amount', num(coalesce(gross / nullif(total.after - coalesce(total.before, 0), 0), 0))),
        options);
END
$$;

CREATE FUNCTION rate_graduated_percentage(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM tiers(p) WHERE percent IS NULL) THEN
        PERFORM not_mapped('a tier without a percentage');
    END IF;
    RETURN rate_graduated(engine, p, i);
END
$$;

-- The tier that the quantity lies in prices all of it. OpenMeter bills volume tiers with the
-- period's last line only.
CREATE FUNCTION rate_volume(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    currency text := line_currency(engine, p);
    option text := zero_option(engine, 'volume');
    q numeric := i ->> 'quantity';
    t meter.tariff;
    hit record;
    exact numeric;
    flat numeric;
    usage_amount numeric;
    gross numeric;
    line record;
    options text[] := '{}';
    detail jsonb := '[]';
BEGIN
    PERFORM only_keys(p, 'bounds', 'flat_fee_rule', 'tiers', 'currency', 'max_amount', 'min_amount');
    PERFORM only_keys(i, 'quantity', 'line', 'prior_quantity', 'previously_billed');
    PERFORM check_rules(p);
    t := tariff(p, 'volume', CASE WHEN option <> '' THEN '; ' || option ELSE '' END);
    IF q < 0 THEN
        RETURN negative_refused(t, q);
    END IF;
    IF EXISTS (SELECT FROM tiers(p) WHERE cap IS NOT NULL) THEN
        RETURN rate_capped(engine, 'volume', p, i);
    END IF;
    IF coalesce((i ->> 'prior_quantity')::numeric, 0) <> 0 THEN
        PERFORM not_mapped('volume tiers with a prior quantity of %s', i ->> 'prior_quantity');
    END IF;
    IF NOT (line_position(i)).last THEN
        RETURN answer('{"amount": "0", "gross": "0", "lines": [], "min_spend_line": null, "max_spend_discount": "0"}'::jsonb,
                   '{billed at the end of the period}');
    END IF;

    exact := meter.charge(t, q);
    SELECT s.tier, s.price, s.fee AS tier_fee, s.has_price, s.has_fee, l.quantity, l.fee, l.usage_amount
    INTO hit
    FROM lines(t, p, q) AS l JOIN tiers(p) AS s USING (tier);
    IF exact <> coalesce(hit.fee + hit.usage_amount, 0) THEN
        RAISE EXCEPTION 'the line of % at % does not add up to the charge %', t, q, exact;
    END IF;
    flat := coalesce(hit.fee, 0);
    usage_amount := coalesce(hit.usage_amount, 0);
    IF engine = 'openmeterio' THEN
        flat := money(flat, currency);
        usage_amount := money(usage_amount, currency);
        gross := flat + usage_amount;
    ELSE
        gross := money(flat + usage_amount, currency);
    END IF;
    IF gross <> exact THEN
        options := options || 'round_money'::text;
    END IF;
    IF option <> '' AND exact <> meter.charge(tariff(p, 'volume'), q) THEN
        options := options || option;
    END IF;
    IF hit.has_fee THEN
        detail := detail || jsonb_build_object('kind', 'flat', 'tier', num(hit.tier), 'quantity', num(1),
                                               'unit_price', num(hit.tier_fee), 'amount', num(flat));
    END IF;
    IF hit.has_price AND q > 0 THEN
        detail := detail || jsonb_build_object('kind', 'usage', 'tier', num(hit.tier), 'quantity', num(q),
                                               'unit_price', num(hit.price), 'amount', num(usage_amount));
    END IF;

    SELECT * INTO line FROM commit_line(p, i, gross, currency);
    RETURN answer(jsonb_build_object(
            'amount', num(line.amount),
            'gross', num(gross),
            'tier', num(hit.tier),
            'flat', num(flat),
            'usage_amount', num(usage_amount),
            'max_spend_discount', num(line.discount),
            'min_spend_line', num(nullif(line.minimum_line, 0)),
            'lines', detail,
            'unit_amount', num(coalesce(gross / nullif(q, 0), 0))),
        options,
        CASE WHEN p ->> 'bounds' ~ 'integer gap'
                  AND EXISTS (SELECT FROM tiers(p) WHERE q > up_to AND q < floor(up_to) + 1)
             THEN 'a fraction between integer bounds lies in the upper tier here and in none there' END,
        jsonb_build_object('amount', num(meter_free_round(reference(p, 'volume', q), currency))),
        '{"amount": "0"}');
END
$$;

-- Half away from zero in plain SQL, for predictions.
CREATE FUNCTION meter_free_round(amount numeric, currency text) RETURNS numeric
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN currency IS NULL THEN amount
            WHEN currency IN ('JPY', 'KRW', 'VND', 'CLP') THEN round(amount)
            ELSE round(amount, 2) END;

-- A cap on a tier (Meteroid): a tariff's maximum is one for all of it, so each tier is a
-- tariff of its own for the part that lies in it.
CREATE FUNCTION rate_capped(engine text, model text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    currency text := line_currency(engine, p);
    option text := zero_option(engine, model);
    q numeric := i ->> 'quantity';
    exact numeric;
BEGIN
    PERFORM only_keys(p, 'bounds', 'flat_fee_rule', 'tiers', 'currency');
    PERFORM only_keys(i, 'quantity');
    SELECT coalesce(sum(meter.charge(
        format('at %s plus %s%s%s', txt(s.price), txt(s.fee), '; maximum ' || txt(s.cap),
               CASE WHEN option <> '' THEN '; ' || option ELSE '' END)::meter.tariff, l.quantity)), 0)
    INTO exact
    FROM lines(tariff(p, model, CASE WHEN option <> '' THEN '; ' || option ELSE '' END), p, q) AS l
    JOIN tiers(p) AS s USING (tier);
    RETURN answer(jsonb_build_object('amount', num(money(exact, currency))),
        ARRAY['maximum, a tariff a tier'] || CASE WHEN money(exact, currency) <> exact THEN ARRAY['round_money'] END,
        NULL, NULL, NULL);
END
$$;

CREATE FUNCTION rate_volume_tier_lookup(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM only_keys(p, 'bounds', 'tiers');
    PERFORM only_keys(i, 'quantity');
    PERFORM check_rules(p);
    RETURN answer(jsonb_build_object('tier',
            (SELECT num(tier) FROM lines(tariff(p, 'volume'), p, (i ->> 'quantity')::numeric))));
END
$$;

-- The tier is that of the full units; its price goes to the prorated ones.
CREATE FUNCTION rate_volume_prorated(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    whole numeric := i ->> 'full_quantity';
    part numeric := i ->> 'prorated_quantity';
    hit record;
    amount numeric;
BEGIN
    PERFORM only_keys(p, 'bounds', 'flat_fee_rule', 'tiers');
    PERFORM only_keys(i, 'full_quantity', 'prorated_quantity');
    PERFORM check_rules(p);
    IF whole < 0 OR part < 0 THEN
        RETURN negative_refused(tariff(p, 'volume'), least(whole, part));
    END IF;
    SELECT s.price, l.fee INTO hit
    FROM lines(tariff(p, 'volume'), p, whole) AS l JOIN tiers(p) AS s USING (tier);
    amount := meter.charge(format('at %s plus %s', txt(hit.price), txt(hit.fee))::meter.tariff, part);
    RETURN answer(jsonb_build_object(
            'amount', num(amount),
            'flat', num(hit.fee),
            'usage_amount', num(amount - hit.fee),
            'effective_per_unit', num(coalesce((amount - hit.fee) / nullif(whole, 0), 0)),
            'unit_amount', num(coalesce(amount / nullif(whole, 0), 0))),
        '{price of the full quantity''s tier}');
END
$$;

-- Lago's prorated tiers: an event is priced by the tiers that its full units move through,
-- at the share of them that its prorated value is; fees follow the highest running total.
-- Lago passes over an event that added before the period and is worth nothing in it, and
-- over its removal. A negative total is billed as nothing.
CREATE FUNCTION rate_graduated_prorated(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    prices meter.tariff;
    fees meter.tariff;
    bare jsonb;
    full_units numeric;
    part numeric;
    running numeric := 0;
    highest numeric := 0;
    amount numeric := 0;
    usage_amount numeric;
    n integer := jsonb_array_length(i -> 'events_full');
    dipped boolean := false;
BEGIN
    PERFORM only_keys(p, 'rule', 'tiers', 'bounds');
    PERFORM only_keys(i, 'events_full', 'events_prorated');
    PERFORM only_value(p, 'rule',
        'tier entered by running full units; priced on prorated value per event; flat fee by the maximum running full units reached');
    PERFORM check_rules(p);
    IF jsonb_array_length(i -> 'events_prorated') <> n THEN
        PERFORM not_mapped('as many prorated values as events');
    END IF;
    bare := jsonb_build_object('tiers',
        (SELECT jsonb_agg(x || '{"flat_fee": null}') FROM jsonb_array_elements(p -> 'tiers') AS x));
    prices := tariff(bare, 'graduated');
    bare := jsonb_build_object('tiers',
        (SELECT jsonb_agg(x || '{"unit_price": "0"}') FROM jsonb_array_elements(p -> 'tiers') AS x));
    fees := tariff(bare, 'graduated');

    FOR k IN 0 .. n - 1 LOOP
        full_units := i -> 'events_full' ->> k;
        part := i -> 'events_prorated' ->> k;
        CONTINUE WHEN part = 0 AND (full_units > 0 OR running + full_units < 0);
        running := running + full_units;
        highest := greatest(highest, running);
        IF running < 0 THEN
            dipped := true;
        ELSIF full_units <> 0 AND NOT dipped THEN
            amount := amount + round(
                meter.charge_between(prices, running - full_units, running) * part / full_units, 12);
        END IF;
    END LOOP;
    IF running < 0 THEN
        RETURN answer('{"amount": "0"}'::jsonb, '{a negative total is nothing}');
    ELSIF dipped THEN
        RETURN answer(refusal(format('SELECT meter.charge_between(%L, 0, -1)', prices)), NULL,
                   'a running total below zero is refused here', '{"error": "22"}'::jsonb, NULL);
    END IF;
    RETURN answer(jsonb_build_object('amount', num(greatest(amount, 0) + meter.charge(fees, highest))),
               '{priced event by event}');
END
$$;

-- From one running total to another, tier by tier, with what was charged before each part.
CREATE FUNCTION rate_graduated_incremental(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    t meter.tariff;
    since numeric := i ->> 'from_exclusive';
    until numeric := i ->> 'to_inclusive';
    segments jsonb;
BEGIN
    PERFORM only_keys(p, 'bounds', 'tiers', 'currency');
    PERFORM only_keys(i, 'from_exclusive', 'to_inclusive');
    PERFORM check_rules(p);
    t := tariff(p, 'graduated');
    SELECT coalesce(jsonb_agg(jsonb_build_object(
            'tier', num(s.tier),
            'quantity', num(least(until, coalesce(s.up_to, until)) - greatest(since, s.lower)),
            'boundary', s.lower >= since,
            'total_before', num(CASE WHEN greatest(since, s.lower) = 0 THEN 0
                                     ELSE meter.charge(t, greatest(since, s.lower)) END)) ORDER BY s.tier), '[]')
    INTO segments
    FROM tiers(p) AS s
    WHERE since < until AND s.lower < until AND (s.up_to IS NULL OR s.up_to > since)
       OR until = 0 AND s.tier = 1;
    RETURN answer(jsonb_build_object(
            'cumulative_amount', num(meter.charge(t, until)),
            'amount', num(meter.charge_between(t, nullif(since, 0), until)),
            'segments', segments));
END
$$;

-- A metered quantity in other units, rounded: settled to 12 digits, then rounded.
CREATE FUNCTION convert(c jsonb, quantity numeric, OUT converted numeric, OUT invoiced numeric)
LANGUAGE plpgsql AS $$
DECLARE
    factor numeric := c ->> 'factor';
    digits integer := coalesce((c ->> 'precision')::integer, 0);
BEGIN
    PERFORM only_keys(c, 'op', 'factor', 'rounding', 'precision');
    converted := round(CASE c ->> 'op' WHEN 'divide' THEN quantity / factor
                                       WHEN 'multiply' THEN quantity * factor END, 12);
    invoiced := CASE c ->> 'rounding'
        WHEN 'none' THEN converted
        WHEN 'ceiling' THEN meter.round_quantity(converted, 'ceil', digits)
        WHEN 'floor' THEN meter.round_quantity(converted, 'floor', digits)
        WHEN 'half_up' THEN meter.round_quantity(converted, 'round', digits) END;
    IF invoiced IS NULL THEN
        PERFORM not_mapped('conversion %s', c::text);
    END IF;
END
$$;

CREATE FUNCTION rate_unit_conversion(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    c record;
BEGIN
    PERFORM only_keys(i, 'quantity');
    SELECT * INTO c FROM convert(p, (i ->> 'quantity')::numeric);
    RETURN answer(jsonb_build_object('converted', num(c.converted), 'invoiced', num(c.invoiced)));
END
$$;

-- Convert, round, take off what is free, then price.
CREATE FUNCTION rate_converted(model text, engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    free text := coalesce('; free ' || (p ->> 'usage_discount'), '');
    currency text := line_currency(engine, p);
    c record;
    t meter.tariff;
    exact numeric;
    line record;
BEGIN
    PERFORM only_keys(p, 'convert', 'usage_discount', 'currency', 'bounds', 'max_amount', 'min_amount',
                      CASE model WHEN 'standard' THEN 'unit_price' ELSE 'tiers' END);
    PERFORM only_keys(i, 'quantity', 'line', 'previously_billed');
    IF NOT (line_position(i)).first AND i ->> 'line' <> 'last split' THEN
        PERFORM not_mapped('a conversion on the line "%s"', i ->> 'line');
    END IF;
    SELECT * INTO c FROM convert(p -> 'convert', (i ->> 'quantity')::numeric);
    t := CASE model WHEN 'standard' THEN (format('at %s', p ->> 'unit_price') || free)::meter.tariff
                    ELSE tariff(p, model, free) END;
    exact := meter.charge(t, c.invoiced);
    SELECT * INTO line FROM commit_line(p, i, money(exact, currency), currency);
    RETURN answer(jsonb_build_object(
            'amount', num(line.amount),
            'billed_quantity', num(meter.charge(('at 1' || free)::meter.tariff, c.invoiced)),
            'converted', num(c.converted)),
        CASE WHEN money(exact, currency) <> exact THEN '{round_money}'::text[] END);
END
$$;

CREATE FUNCTION rate_standard_converted(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE sql RETURN rate_converted('standard', engine, p, i);

CREATE FUNCTION rate_graduated_converted(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE sql RETURN rate_converted('graduated', engine, p, i);

CREATE FUNCTION rate_volume_converted(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE sql RETURN rate_converted('volume', engine, p, i);

-- Packages, rounded up or down.
-- A price per package, which is charged when it is started, or when it is full.
CREATE FUNCTION package_tariff(p jsonb) RETURNS meter.tariff
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM only_value(p, 'rounding', 'up', 'down');
    RETURN format('at %s per %s %s', p ->> 'package_price', CASE p ->> 'rounding' WHEN 'down' THEN 'full' ELSE 'started' END, p ->> 'package_size');
END
$$;

CREATE FUNCTION rate_package(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    currency text := line_currency(engine, p);
    free text := coalesce('; free ' || (p ->> 'free_units'), '');
    word text;
    t meter.tariff;
    q numeric := i ->> 'quantity';
    total record;
    exact numeric;
    gross numeric;
    paid numeric;
    line record;
BEGIN
    PERFORM only_keys(p, 'package_price', 'package_size', 'rounding', 'free_units', 'currency', 'max_amount', 'min_amount');
    PERFORM only_keys(i, 'quantity', 'line', 'prior_quantity', 'previously_billed');
    PERFORM only_value(p, 'rounding', 'up', 'down');
    word := CASE p ->> 'rounding' WHEN 'down' THEN 'full' ELSE 'started' END;
    t := format('at %s per %s %s%s', p ->> 'package_price', word, p ->> 'package_size', free);
    IF q < 0 THEN
        RETURN negative_refused(t, q);
    END IF;
    SELECT * INTO total FROM totals(i);
    exact := meter.charge_between(t, total.before, total.after);
    gross := money(exact, currency);
    paid := meter.charge_between(('at 1' || free)::meter.tariff, total.before, total.after);
    SELECT * INTO line FROM commit_line(p, i, gross, currency);
    RETURN answer(jsonb_build_object(
            'amount', num(line.amount),
            'gross', num(gross),
            'packages', num(meter.charge_between(
                format('at 1 per %s %s%s', word, p ->> 'package_size', free)::meter.tariff, total.before, total.after)),
            'paid_units', num(paid),
            'max_spend_discount', num(line.discount),
            'min_spend_line', num(nullif(line.minimum_line, 0)),
            'unit_amount', num(coalesce(gross / nullif(paid, 0), 0))),
        CASE WHEN gross <> exact THEN '{round_money}'::text[] END);
END
$$;

CREATE FUNCTION rate_package_count(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM only_keys(p, 'package_size');
    PERFORM only_keys(i, 'quantity');
    RETURN answer(jsonb_build_object('packages', num(meter.charge(
            format('at 1 per started %s', p ->> 'package_size')::meter.tariff, (i ->> 'quantity')::numeric))));
END
$$;

-- Kill Bill's blocks: a tier is max_blocks blocks of block_size wide. With ALL_TIERS units
-- beyond a bounded last tier are dropped, which is a last tier at 0; with TOP_TIER they are
-- priced at the last tier, which is then open.
CREATE FUNCTION blocks_tariff(p jsonb) RETURNS meter.tariff
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    item jsonb;
    n integer := jsonb_array_length(p -> 'tiers');
    k integer := 0;
    up_to numeric := 0;
    text_form text;
    all_tiers boolean := p ->> 'policy' = 'ALL_TIERS';
BEGIN
    PERFORM only_value(p, 'policy', 'ALL_TIERS', 'TOP_TIER');
    PERFORM only_value(p, 'beyond_last_tier', 'priced at the last tier');
    IF p ->> 'policy' IS NULL OR all_tiers AND p ? 'beyond_last_tier' THEN
        PERFORM not_mapped('block tiers with %s', (p - 'tiers')::text);
    END IF;
    text_form := CASE WHEN all_tiers THEN 'graduated: ' ELSE 'volume: ' END;
    FOR item IN SELECT * FROM jsonb_array_elements(p -> 'tiers') LOOP
        PERFORM only_keys(item, 'block_price', 'block_size', 'max_blocks');
        k := k + 1;
        up_to := up_to + (item ->> 'block_size')::numeric * (item ->> 'max_blocks')::numeric;
        IF up_to IS NULL AND k < n THEN
            PERFORM not_mapped('an unlimited tier before the last');
        END IF;
        text_form := text_form
            || CASE WHEN up_to IS NULL OR k = n AND NOT all_tiers THEN 'above' ELSE 'up to ' || txt(up_to) END
            || format(' at %s per started %s', item ->> 'block_price', item ->> 'block_size')
            || CASE WHEN k < n THEN '; ' WHEN up_to IS NOT NULL AND all_tiers THEN '; above at 0' ELSE '' END;
    END LOOP;
    RETURN text_form;
END
$$;

CREATE FUNCTION rate_graduated_blocks(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    t meter.tariff;
    q numeric := i ->> 'quantity';
    n integer := jsonb_array_length(p -> 'tiers');
BEGIN
    PERFORM only_keys(p, 'policy', 'tiers', 'beyond_last_tier');
    PERFORM only_keys(i, 'quantity');
    t := blocks_tariff(p);
    IF q < 0 THEN
        RETURN negative_refused(t, q);
    END IF;
    RETURN answer(jsonb_build_object(
            'amount', num(meter.charge(t, q)),
            'tier_amounts', (
                SELECT coalesce(jsonb_agg(num(amount) ORDER BY up_to NULLS LAST), '["0"]')
                FROM (SELECT * FROM meter.charge_lines(t, q) WHERE kind = 'tier' ORDER BY up_to NULLS LAST LIMIT n) AS l)));
END
$$;

CREATE FUNCTION rate_volume_blocks(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE sql RETURN rate_graduated_blocks(engine, p, i);

-- Cumulative quantities: every run bills what is new. Usage that comes late is billed as the
-- difference to what was billed already.
CREATE FUNCTION rate_delta(t meter.tariff, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    runs jsonb;
BEGIN
    PERFORM only_keys(i, 'cumulative_quantities');
    PERFORM only_value(p, 'method',
        'rate cumulative usage, subtract what was booked, book the difference on the current period');
    SELECT jsonb_agg(num(meter.charge_between(t, before, after)) ORDER BY n) INTO runs
    FROM (SELECT n, q::numeric AS after, lag(q::numeric) OVER (ORDER BY n) AS before
          FROM jsonb_array_elements_text(i -> 'cumulative_quantities') WITH ORDINALITY AS e (q, n)) AS r;
    RETURN answer(jsonb_build_object('amount_per_run', runs), NULL);
END
$$;

CREATE FUNCTION rate_volume_delta(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM only_keys(p, 'method', 'tiers', 'bounds');
    PERFORM check_rules(p);
    RETURN rate_delta(tariff(p, 'volume'), p, i);
END
$$;

CREATE FUNCTION rate_graduated_delta(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM only_keys(p, 'method', 'tiers', 'bounds', 'flat_fee_rule');
    PERFORM check_rules(p);
    RETURN rate_delta(tariff(p, 'graduated'), p, i);
END
$$;

CREATE FUNCTION rate_standard_delta(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM only_keys(p, 'method', 'unit_price');
    RETURN rate_delta(format('at %s', p ->> 'unit_price')::meter.tariff, p, i);
END
$$;

CREATE FUNCTION rate_package_delta(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM only_keys(p, 'method', 'package_price', 'package_size', 'rounding');
    RETURN rate_delta(package_tariff(p), p, i);
END
$$;

CREATE FUNCTION rate_usage_delta(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    t meter.tariff;
    item jsonb;
    bills jsonb := '[]';
BEGIN
    PERFORM only_keys(p, 'policy', 'tiers', 'beyond_last_tier');
    PERFORM only_keys(i, 'periods');
    t := blocks_tariff(p);
    FOR item IN SELECT * FROM jsonb_array_elements(i -> 'periods') LOOP
        PERFORM only_keys(item, 'already_billed', 'usage');
        bills := bills || (
            SELECT num(meter.total_charge(t, u::numeric) - coalesce((item ->> 'already_billed')::numeric, 0))
            FROM jsonb_array_elements_text(item -> 'usage') AS u);
    END LOOP;
    RETURN answer(jsonb_build_object('to_bill', bills), NULL);
END
$$;

-- Lago's percentage. The free part is worked out here by Lago's rule (an event limit and an
-- amount limit, over running totals); a tariff takes it off and prices the rest. The fixed
-- part is a price per event. With limits per event each event is a charge of its own.
CREATE FUNCTION rate_percentage(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    q numeric := i ->> 'quantity';
    events numeric := coalesce((i ->> 'event_count')::numeric, jsonb_array_length(i -> 'events'));
    totals numeric[];
    fixed numeric := coalesce((p ->> 'fixed_fee_per_event')::numeric, 0);
    free_amount numeric := coalesce((p ->> 'free_amount')::numeric, 0);
    free_events integer := coalesce((p ->> 'free_events')::integer, 0);
    below integer;
    last numeric;
    free_units numeric;
    free_count integer;
    percentage_amount numeric;
    fixed_amount numeric;
    t meter.tariff;
BEGIN
    PERFORM only_keys(p, 'rate_percent', 'fixed_fee_per_event', 'free_amount', 'free_events',
                      'min_max_enabled', 'per_event_min', 'per_event_max');
    PERFORM only_keys(i, 'quantity', 'event_count', 'running_total_of_free_events', 'events');
    IF q < 0 THEN
        RETURN negative_refused(format('at %s%%', p ->> 'rate_percent'), q);
    END IF;
    IF coalesce((p ->> 'min_max_enabled')::boolean, false)
        AND coalesce(p ->> 'per_event_min', p ->> 'per_event_max') IS NOT NULL THEN
        RETURN rate_percentage_per_event(p, i);
    END IF;

    SELECT coalesce(array_agg(x::numeric ORDER BY n), '{}') INTO totals
    FROM jsonb_array_elements_text(coalesce(i -> 'running_total_of_free_events', '[]')) WITH ORDINALITY AS r (x, n);
    last := coalesce(totals[cardinality(totals)], 0);
    free_units := CASE
        WHEN last = 0 THEN 0
        WHEN free_events > 0 AND free_events < cardinality(totals) THEN totals[free_events]
        WHEN free_amount = 0 OR last <= free_amount THEN last
        ELSE free_amount END;
    SELECT count(*) INTO below FROM unnest(totals) AS x WHERE x < free_amount;
    free_count := coalesce(least(nullif(free_events, 0), nullif(below, 0)), 0);

    t := format('at %s%%; free %s', p ->> 'rate_percent', free_units);
    percentage_amount := meter.charge(t, q);
    fixed_amount := CASE WHEN q = 0 THEN 0
        ELSE meter.charge(format('at %s; free %s', fixed, free_count)::meter.tariff, events) END;
    RETURN answer(jsonb_build_object(
            'amount', num(percentage_amount + fixed_amount),
            'percentage_amount', num(percentage_amount),
            'fixed_fee_total', num(fixed_amount),
            'free_units', num(free_units),
            'free_events', num(least(free_count, events)),
            'paid_units', num(greatest(q - free_units, 0)),
            'paid_events', num(events - least(free_count, events)),
            'unit_amount', num(coalesce((percentage_amount + fixed_amount) / nullif(q, 0), 0))),
        CASE WHEN cardinality(totals) > 0 THEN '{free part from running totals}'::text[] END);
END
$$;

CREATE FUNCTION rate_percentage_per_event(p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    t meter.tariff;
    value numeric;
    free_amount numeric := coalesce((p ->> 'free_amount')::numeric, 0);
    free_events integer := coalesce((p ->> 'free_events')::integer, 0);
    amount numeric;
    total numeric := 0;
    per_event jsonb := '[]';
BEGIN
    IF i ->> 'quantity' IS NOT NULL
        AND (SELECT sum(x::numeric) FROM jsonb_array_elements_text(i -> 'events') AS x) <> (i ->> 'quantity')::numeric THEN
        PERFORM not_mapped('the events do not add up to the quantity');
    END IF;
    t := format('at %s%%', p ->> 'rate_percent')
        || CASE WHEN coalesce((p ->> 'fixed_fee_per_event')::numeric, 0) <> 0
                THEN ' plus ' || (p ->> 'fixed_fee_per_event') ELSE '' END
        || coalesce('; maximum ' || (p ->> 'per_event_max'), '')
        || coalesce('; minimum ' || (p ->> 'per_event_min'), '');
    FOR value IN SELECT x::numeric FROM jsonb_array_elements_text(i -> 'events') WITH ORDINALITY AS e (x, n) ORDER BY n LOOP
        IF free_events > 0 OR free_amount > 0 THEN
            free_events := free_events - 1;
            IF free_amount <= 0 OR free_amount > value THEN
                free_amount := greatest(free_amount - value, 0);
                CONTINUE;
            END IF;
            value := value - free_amount;
            free_amount := 0;
            free_events := 0;
        END IF;
        amount := meter.charge(t, value);
        total := total + amount;
        per_event := per_event || num(amount);
    END LOOP;
    RETURN answer(jsonb_build_object('amount', num(total), 'per_event', per_event,
            'unit_amount', num(coalesce(total / nullif((i ->> 'quantity')::numeric, 0), 0))),
        '{a charge an event}');
END
$$;

-- Kill Bill's capacity: the first tier whose every limit holds the unit's peak, which is the
-- highest of the tiers that the units need. The number of a unit's tier is a stairstep.
CREATE FUNCTION rate_stairstep_capacity(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    item jsonb;
    unit text;
    n integer := jsonb_array_length(p -> 'tiers');
    steps text;
    level integer;
    needed integer := 0;
    last numeric;
    bounded boolean;
BEGIN
    PERFORM only_keys(p, 'rule', 'tiers');
    PERFORM only_keys(i, 'peaks');
    PERFORM only_value(p, 'rule', 'first tier whose every limit is >= the peak of that unit; the tier price is flat; limits inclusive; zero when all peaks are zero');
    FOR item IN SELECT * FROM jsonb_array_elements(p -> 'tiers') LOOP
        PERFORM only_keys(item, 'limits', 'price');
    END LOOP;
    FOR unit IN SELECT jsonb_object_keys(i -> 'peaks') LOOP
        steps := '';
        last := 0;
        bounded := true;
        FOR k IN 0 .. n - 1 LOOP
            IF NOT p -> 'tiers' -> k -> 'limits' ? unit THEN
                PERFORM not_mapped('tier %s has no limit for "%s"', k::text, unit);
            END IF;
            IF bounded AND p -> 'tiers' -> k -> 'limits' ->> unit IS NULL THEN
                steps := steps || format('above at 0 plus %s', k + 1);
                bounded := false;
            ELSIF bounded AND (p -> 'tiers' -> k -> 'limits' ->> unit)::numeric > last THEN
                last := p -> 'tiers' -> k -> 'limits' ->> unit;
                steps := steps || format('up to %s at 0 plus %s; ', last, k + 1);
            ELSIF NOT bounded AND p -> 'tiers' -> k -> 'limits' ->> unit IS NOT NULL
                OR (p -> 'tiers' -> k -> 'limits' ->> unit)::numeric < last THEN
                PERFORM not_mapped('limits of "%s" that do not rise', unit);
            END IF;
        END LOOP;
        IF bounded THEN
            steps := steps || format('above at 0 plus %s', n + 1);
        END IF;
        level := meter.charge(
            ((CASE WHEN steps LIKE 'above%' THEN replace(steps, 'above ', '') ELSE 'volume: ' || steps END)
             || '; no fee at zero')::meter.tariff,
            (i -> 'peaks' ->> unit)::numeric);
        needed := greatest(needed, level);
    END LOOP;
    IF needed > n THEN
        PERFORM not_mapped('a peak above the last limit');
    END IF;
    RETURN answer(jsonb_build_object(
            'amount', num(CASE WHEN needed = 0 THEN 0 ELSE (p -> 'tiers' -> (needed - 1) ->> 'price')::numeric END)),
        '{no fee at zero}');
END
$$;

-- What is included, as OpenMeter's usage discount shows it.
CREATE FUNCTION rate_included_units(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    t meter.tariff;
    prior numeric := coalesce((i ->> 'prior_quantity')::numeric, 0);
    q numeric := i ->> 'quantity';
    net_prior numeric;
    net numeric;
BEGIN
    PERFORM only_keys(p, 'included');
    PERFORM only_keys(i, 'prior_quantity', 'quantity');
    t := format('at 1; free %s', p ->> 'included');
    net_prior := meter.charge(t, prior);
    net := meter.charge_between(t, prior, prior + q);
    RETURN answer(jsonb_build_object(
            'applied_before', num(prior - net_prior), 'applied_now', num(q - net),
            'net_prior', num(net_prior), 'net_quantity', num(net)));
END
$$;

-- The discount that keeps a line, on top of what was billed, at a maximum.
CREATE FUNCTION rate_max_spend(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    gross numeric;
    line record;
BEGIN
    PERFORM only_keys(p, 'unit_price', 'currency');
    PERFORM only_keys(i, 'quantity', 'billed_before', 'max_spend');
    gross := meter.round_money(
        meter.charge(format('at %s', p ->> 'unit_price')::meter.tariff, (i ->> 'quantity')::numeric), p ->> 'currency');
    SELECT * INTO line FROM commit_line(jsonb_build_object('max_amount', i ->> 'max_spend'),
                        jsonb_build_object('previously_billed', i ->> 'billed_before'), gross, p ->> 'currency');
    RETURN answer(jsonb_build_object('discount', num(line.discount), 'amount', num(line.net), 'gross', num(gross)));
END
$$;

-- What is missing to a minimum, prorated by days, in whole cents.
CREATE FUNCTION rate_min_spend_true_up(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    word text := CASE WHEN p ? 'min_amount_units' THEN 'units' ELSE 'cents' END;
    days integer := (i ->> 'to_inclusive')::date - (i ->> 'from')::date + 1;
    minimum numeric;
    used numeric;
    true_up numeric;
    got jsonb;
BEGIN
    PERFORM only_keys(p, 'period_days', 'min_amount_cents', 'min_amount_units', 'unit_to_fiat');
    PERFORM only_keys(i, 'from', 'to_inclusive', 'used_cents', 'used_units');
    IF (p ? 'min_amount_units') = (p ? 'min_amount_cents') OR NOT i ? ('used_' || word) THEN
        PERFORM not_mapped('a minimum and what was used in the same unit');
    END IF;
    minimum := meter.prorate((p ->> ('min_amount_' || word))::numeric, 0, days, (p ->> 'period_days')::numeric);
    used := i ->> ('used_' || word);
    true_up := meter.round_quantity(
        meter.charge(format('at 1; minimum %s', minimum)::meter.tariff, used) - used, 'round', 0);
    got := jsonb_build_object('true_up_' || word, num(true_up));
    IF word = 'units' THEN
        got := got || jsonb_build_object('true_up_cents',
            num(meter.charge(format('at %s', p ->> 'unit_to_fiat')::meter.tariff, true_up)));
    END IF;
    RETURN answer(got, NULL);
END
$$;

CREATE FUNCTION rate_quantity_rounding(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM only_keys(p, 'function', 'precision');
    PERFORM only_keys(i, 'quantity');
    PERFORM only_value(p, 'function', 'round', 'ceil', 'floor');
    RETURN answer(jsonb_build_object('quantity', num(
            CASE WHEN p ->> 'function' IS NULL THEN (i ->> 'quantity')::numeric
                 ELSE meter.round_quantity((i ->> 'quantity')::numeric, p ->> 'function',
                                           coalesce((p ->> 'precision')::integer, 0)) END)));
END
$$;

-- A currency that ISO 4217 knows rounds by itself; for any other the digits are given.
CREATE FUNCTION rate_currency_rounding(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    digits integer := p ->> 'precision';
    amount numeric := i ->> 'amount';
    iso integer;
    given numeric;
BEGIN
    PERFORM only_keys(p, 'currency', 'precision', 'tie');
    PERFORM only_keys(i, 'amount');
    PERFORM only_value(p, 'tie', 'away from zero');
    given := meter.round_quantity(amount, 'round', digits);
    BEGIN
        iso := scale(trim_scale(meter.round_money(0.1111111111, p ->> 'currency')));
    EXCEPTION WHEN OTHERS THEN
        IF SQLSTATE NOT LIKE '22%' THEN
            RAISE;
        END IF;
        RETURN answer(jsonb_build_object('amount', num(given)), '{round_quantity with digits}');
    END;
    IF iso = digits OR digits IS NULL THEN
        RETURN answer(jsonb_build_object('amount', num(meter.round_money(amount, p ->> 'currency'))), NULL);
    END IF;
    RETURN answer(jsonb_build_object('amount', num(meter.round_money(amount, p ->> 'currency'))), NULL,
        format('%s has %s digits in ISO 4217 and %s there', p ->> 'currency', iso, digits),
        jsonb_build_object('amount', num(round(amount, iso))),
        jsonb_build_object('amount', num(round(amount, digits))));
END
$$;

-- A flat fee with a trial at the start: the days behind it, over the days of the period.
CREATE FUNCTION rate_fee_proration(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    month date := (substring(p ->> 'period' FROM '^\d{4}-\d\d') || '-01')::date;
    whole daterange := meter.period(month, month, '1 month');
    since date := greatest(lower(whole), (i ->> 'subscription_start')::date + coalesce((p ->> 'trial_days')::integer, 0));
    until date := upper(whole);
    exact numeric;
BEGIN
    PERFORM only_keys(p, 'period', 'plan_amount_cents', 'trial_days');
    PERFORM only_keys(i, 'subscription_start', 'terminated_at');
    IF (p ->> 'period') !~ format('^\d{4}-\d\d( \(%s days\))?$', upper(whole) - lower(whole)) THEN
        PERFORM not_mapped('period "%s"', p ->> 'period');
    END IF;
    until := least(until, (i ->> 'terminated_at')::timestamptz::date + 1);
    exact := CASE WHEN since < until
        THEN meter.prorate((p ->> 'plan_amount_cents')::numeric, daterange(since, until), whole) ELSE 0 END;
    RETURN answer(jsonb_build_object('precise', num(exact), 'amount_cents', num(meter.round_quantity(exact, 'round', 0))));
END
$$;

-- Flexprice's buckets: a value for each, which is charged by itself. Here that is what
-- charges_by_period does with events: a bucket is an hour of its own.
CREATE FUNCTION rate_bucketed(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    option text := zero_option(engine, p ->> 'model');
    t meter.tariff;
    amount numeric;
BEGIN
    CASE p ->> 'model'
        WHEN 'standard' THEN
            PERFORM only_keys(p, 'model', 'bucket_agg', 'unit_price');
            t := format('at %s', p ->> 'unit_price');
        WHEN 'package' THEN
            PERFORM only_keys(p, 'model', 'bucket_agg', 'package_price', 'package_size', 'rounding');
            t := package_tariff(p);
        WHEN 'graduated', 'volume' THEN
            PERFORM only_keys(p, 'model', 'bucket_agg', 'tiers', 'bounds', 'flat_fee_rule');
            PERFORM check_rules(p);
            t := tariff(p, p ->> 'model', CASE WHEN option <> '' THEN '; ' || option ELSE '' END);
        ELSE
            PERFORM not_mapped('buckets of %s', p ->> 'model');
    END CASE;
    PERFORM only_keys(i, 'bucket_values');
    PERFORM only_value(p, 'bucket_agg', 'max, priced per bucket', 'sum, priced per bucket');
    SELECT coalesce(sum(period.charge), 0) INTO amount
    FROM (
        SELECT meter.charges_by_period(t, timestamptz '2024-01-01Z' + n * interval '1 hour', value::numeric,
                                       date '2024-01-01', interval '1 hour', 'UTC') AS periods
        FROM jsonb_array_elements_text(i -> 'bucket_values') WITH ORDINALITY AS bucket (value, n)) AS charged,
        unnest(charged.periods) AS period;
    RETURN answer(jsonb_build_object('amount', num(amount)));
END
$$;

-- Flexprice's commitment with an overage factor: what usage costs up to the commitment, and
-- what is beyond times the factor. A plan's commitment has no such factor, so the money goes
-- through a tariff of its own: two tiers, and a minimum where what is missing is charged. A
-- window is a commitment by itself; a bucket of the day has its own price and commitment.
-- Without a price the input is one number, which is money.
CREATE FUNCTION rate_commitment(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    windowed boolean := coalesce((p ->> 'windowed')::boolean, false);
    bucket jsonb := coalesce(p -> 'bucket', '{}');
    hours text[] := regexp_match(bucket ->> 'hours_utc', '^(\d\d:\d\d)-(\d\d:\d\d)$');
    seen record;
    term jsonb;
    committed numeric;
    factor text;
    price meter.tariff;
    money_tariff meter.tariff;
    line record;
    amount numeric := 0;
    utilized numeric := 0;
    overage numeric := 0;
    true_up numeric := 0;
BEGIN
    PERFORM only_keys(p, 'unit_price', 'commitment_amount', 'commitment_quantity', 'overage_factor', 'true_up', 'windowed', 'bucket');
    PERFORM only_keys(bucket, 'hours_utc', 'unit_price', 'commitment_amount', 'commitment_quantity', 'overage_factor', 'true_up');
    IF NOT p ? 'unit_price' AND NOT windowed THEN
        i := jsonb_build_object('quantity', (SELECT string_agg(value, ' and ') FROM jsonb_each_text(i)));
        p := p || '{"unit_price": "1"}';
    END IF;
    PERFORM only_keys(i, 'quantity', 'window_quantities', 'windows');
    IF (SELECT count(*) FROM jsonb_object_keys(i)) <> 1 OR windowed = (i ? 'quantity') OR NOT p ? 'unit_price'
        OR p ? 'bucket' AND (hours IS NULL OR hours[1] >= hours[2]) THEN
        PERFORM not_mapped('a commitment with %s and %s', p::text, i::text);
    END IF;
    FOR seen IN
        SELECT NULL::text AS at, (i ->> 'quantity')::numeric AS quantity WHERE i ? 'quantity'
        UNION ALL
        SELECT NULL, q::numeric FROM jsonb_array_elements_text(i -> 'window_quantities') AS q
        UNION ALL
        SELECT w ->> 0, (w ->> 1)::numeric FROM jsonb_array_elements(i -> 'windows') AS w
    LOOP
        term := CASE
            WHEN seen.at >= hours[1] AND seen.at < hours[2]
                THEN p - CASE WHEN bucket ?| '{commitment_amount,commitment_quantity}' THEN '{commitment_amount,commitment_quantity}'::text[] ELSE '{}' END || bucket
            ELSE p END;
        IF (term ? 'commitment_amount') = (term ? 'commitment_quantity') THEN
            PERFORM not_mapped('a commitment of an amount or a quantity: %s', term::text);
        END IF;
        price := format('at %s', term ->> 'unit_price');
        committed := coalesce((term ->> 'commitment_amount')::numeric, meter.charge(price, (term ->> 'commitment_quantity')::numeric));
        factor := coalesce(term ->> 'overage_factor', '1');
        money_tariff := CASE WHEN committed > 0 THEN format('graduated: up to %s at 1; above at %s', txt(committed), factor) ELSE format('at %s', factor) END
            || CASE WHEN (term ->> 'true_up')::boolean THEN format('; minimum %s', txt(committed)) ELSE '' END;
        FOR line IN SELECT * FROM meter.charge_lines(money_tariff, meter.charge(price, seen.quantity)) LOOP
            amount := amount + line.amount;
            IF line.kind = 'minimum' THEN
                true_up := true_up + line.amount;
            ELSIF line.up_to IS NULL THEN
                overage := overage + line.amount;
            ELSE
                utilized := utilized + line.amount;
            END IF;
        END LOOP;
    END LOOP;
    RETURN answer(jsonb_build_object('amount', num(amount), 'utilized', num(utilized), 'overage', num(overage), 'true_up', num(true_up)),
        CASE WHEN windowed THEN '{a tariff of money, a charge a window}' ELSE '{a tariff of money}'::text[] END);
END
$$;

-- Meteroid: a discount's parts of an invoice's lines, in whole cents.
CREATE FUNCTION rate_discount_distribution(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    subtotal numeric;
    discount numeric;
    net jsonb;
BEGIN
    PERFORM only_keys(p, 'rule');
    PERFORM only_keys(i, 'lines_cents', 'discount_cents');
    PERFORM only_value(p, 'rule', 'proportional floor, then one cent each by largest remainder');
    SELECT coalesce(sum(x::numeric), 0) INTO subtotal FROM jsonb_array_elements_text(i -> 'lines_cents') AS x;
    discount := meter.charge(format('at 1; maximum %s', subtotal)::meter.tariff, (i ->> 'discount_cents')::numeric);
    -- nothing is split over nothing, which allocate refuses
    IF discount = 0 THEN
        RETURN answer(jsonb_build_object('net_cents', i -> 'lines_cents'));
    END IF;
    SELECT jsonb_agg(num(amount - part) ORDER BY n) INTO net
    FROM (
        SELECT n, x::numeric AS amount, meter.allocate(discount, x::numeric, 0) OVER (ORDER BY n) AS part
        FROM jsonb_array_elements_text(i -> 'lines_cents') WITH ORDINALITY AS line (x, n)) AS parts;
    RETURN answer(jsonb_build_object('net_cents', net));
END
$$;

-- Never more back than was paid: credits go through a maximum, on top of those before.
CREATE FUNCTION capped_credit(credit numeric, paid numeric, previous numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE
RETURN meter.charge_between(format('at 1; maximum %s', paid)::meter.tariff, previous, previous + credit);

CREATE FUNCTION rate_proration_credit_cap(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    credit numeric := i ->> 'credit';
BEGIN
    PERFORM only_keys(p, 'rule');
    PERFORM only_keys(i, 'credit', 'paid', 'previous_credits');
    PERFORM only_value(p, 'rule', 'min(credit, paid - previous credits), floor 0');
    RETURN answer(jsonb_build_object('credit', num(
            capped_credit(greatest(credit, 0), (i ->> 'paid')::numeric, (i ->> 'previous_credits')::numeric))),
        CASE WHEN credit < 0 THEN '{a negative total is nothing}'::text[] END);
END
$$;
