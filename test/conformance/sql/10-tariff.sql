-- How a source's tiers become a tariff, and what a line of OpenMeter's is.

-- The engine that a case comes from, which some of its rules hang on.
CREATE FUNCTION engine(source text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN split_part(source, '/', 1);

-- The statements about tiers that the mappings below were made for.
CREATE FUNCTION check_rules(p jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM only_value(p, 'bounds',
        '%up_to inclusive%', 'adjacent decimal ranges%', 'both inclusive, integer gap between tiers');
    PERFORM only_value(p, 'flat_fee_rule',
        'every entered tier; first tier also at zero',
        'each tier whose lower boundary is crossed; tier 1 also at zero usage unless already billed by an earlier split',
        'flat fee of the single matched tier, also at zero');
END
$$;

-- The tiers as rows, after a check that they follow each other: (from, up_to]. A source
-- with integer bounds on both sides begins a tier one above the end of the last.
CREATE FUNCTION tiers(p jsonb)
RETURNS TABLE (tier integer, lower numeric, up_to numeric, price numeric, percent numeric,
               fee numeric, cap numeric, has_price boolean, has_fee boolean)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    item jsonb;
    count integer := jsonb_array_length(p -> 'tiers');
    last numeric := 0;
BEGIN
    tier := 0;
    FOR item IN SELECT * FROM jsonb_array_elements(p -> 'tiers') LOOP
        PERFORM only_keys(item, 'from', 'up_to', 'unit_price', 'flat_fee', 'rate_percent', 'cap');
        tier := tier + 1;
        lower := last;
        up_to := item ->> 'up_to';
        percent := item ->> 'rate_percent';
        price := coalesce((item ->> 'unit_price')::numeric, 0);
        fee := coalesce((item ->> 'flat_fee')::numeric, 0);
        cap := item ->> 'cap';
        has_price := item ->> 'unit_price' IS NOT NULL;
        has_fee := item ->> 'flat_fee' IS NOT NULL;
        IF (item ->> 'from')::numeric <> last
            AND NOT (coalesce(p ->> 'bounds' ~ 'integer gap', false) AND (item ->> 'from')::numeric = last + 1) THEN
            PERFORM not_mapped('tier %s begins at %s, not at %s', tier::text, item ->> 'from', last::text);
        END IF;
        IF (up_to IS NULL) <> (tier = count) THEN
            PERFORM not_mapped('only the last tier is open, and it has to be: tier %s', tier::text);
        END IF;
        IF percent IS NOT NULL AND has_price THEN
            PERFORM not_mapped('tier %s has a price and a percentage', tier::text);
        END IF;
        last := up_to;
        RETURN NEXT;
    END LOOP;
END
$$;

CREATE FUNCTION txt(x numeric) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN trim_scale(x)::text;

-- The tariff of a source's tiers. A tier's cap has no place in a tariff: see capped().
CREATE FUNCTION tariff(p jsonb, model text, options text DEFAULT '') RETURNS meter.tariff
LANGUAGE sql IMMUTABLE
RETURN (
    SELECT (CASE WHEN count(*) > 1 THEN model || ': ' ELSE '' END
        || string_agg(
            CASE WHEN up_to IS NOT NULL THEN format('up to %s ', txt(up_to))
                 WHEN tier > 1 THEN 'above '
                 ELSE '' END
            || 'at ' || coalesce(txt(percent) || '%', txt(price))
            || CASE WHEN fee <> 0 THEN ' plus ' || txt(fee) ELSE '' END,
            '; ' ORDER BY tier)
        || options)::meter.tariff
    FROM tiers(p));

-- The lines of a charge by number of tier; a tier that is not entered has no row.
CREATE FUNCTION lines(t meter.tariff, p jsonb, quantity numeric)
RETURNS TABLE (tier integer, quantity numeric, fee numeric, usage_amount numeric)
LANGUAGE sql IMMUTABLE AS $$
    SELECT i.tier, l.quantity, coalesce(l.fee, 0), l.amount - coalesce(l.fee, 0)
    FROM meter.charge_lines(t, lines.quantity) AS l
    JOIN tiers(p) AS i ON i.up_to IS NOT DISTINCT FROM l.up_to
    WHERE l.kind = 'tier'
$$;

-- What tiers charge, in plain SQL: the prediction for difference rules.
CREATE FUNCTION reference(p jsonb, model text, q numeric, fee_at_zero boolean DEFAULT true) RETURNS numeric
LANGUAGE sql IMMUTABLE
RETURN (
    SELECT coalesce(sum(
        CASE WHEN model = 'graduated'
             THEN (least(q, coalesce(up_to, q)) - lower) * coalesce(percent / 100, price)
             ELSE q * coalesce(percent / 100, price) END + fee), 0)
    FROM tiers(p)
    WHERE (q > 0 OR fee_at_zero)
      AND CASE WHEN model = 'graduated' THEN q > lower OR tier = 1
               ELSE (q > lower OR tier = 1) AND (up_to IS NULL OR q <= up_to) END);

-- The options that an engine's zero needs: Flexprice charges nothing for no usage, and
-- Meteroid's graduated tiers are entered by the first unit only.
CREATE FUNCTION zero_option(engine text, model text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN engine = 'flexprice' OR engine = 'meteroid-oss' AND model = 'graduated'
            THEN 'no fee at zero' ELSE '' END;

-- OpenMeter splits a period into lines. `first` and `last` say which part this is; a case
-- without a line is a whole period.
CREATE FUNCTION line_position(i jsonb, OUT first boolean, OUT last boolean)
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM only_value(i, 'line', 'whole period', 'first split', 'middle of period', 'last split');
    first := coalesce(i ->> 'line', 'whole period') IN ('whole period', 'first split');
    last := coalesce(i ->> 'line', 'whole period') IN ('whole period', 'last split');
    IF first AND coalesce((i ->> 'prior_quantity')::numeric, 0) <> 0 AND i ->> 'line' IS NOT NULL THEN
        PERFORM not_mapped('a first line with a prior quantity of %s', i ->> 'prior_quantity');
    END IF;
END
$$;

-- The running totals before and after a case's quantity; before is NULL where nothing was
-- billed yet. A quantity with a prior one and no line is a split behind the first.
CREATE FUNCTION totals(i jsonb, OUT before numeric, OUT after numeric)
LANGUAGE sql IMMUTABLE
RETURN (
    CASE WHEN (line_position(i)).first AND coalesce((i ->> 'prior_quantity')::numeric, 0) = 0
         THEN NULL ELSE coalesce((i ->> 'prior_quantity')::numeric, 0) END,
    coalesce((i ->> 'prior_quantity')::numeric, 0) + (i ->> 'quantity')::numeric);

-- An amount in the currency's digits; without a currency nothing is rounded.
CREATE FUNCTION money(amount numeric, currency text) RETURNS numeric
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN currency IS NULL THEN amount ELSE meter.round_money(amount, currency) END;

-- OpenMeter rounds every line to the currency, and its tests' currency is USD.
CREATE FUNCTION line_currency(engine text, p jsonb) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN coalesce(p ->> 'currency', CASE WHEN engine = 'openmeterio' THEN 'USD' END);

-- The maximum and minimum of a line, which count what earlier lines billed: money goes
-- through a tariff of its own. The minimum is due with the period's last line.
CREATE FUNCTION commit_line(p jsonb, i jsonb, gross numeric, currency text,
                            OUT net numeric, OUT discount numeric, OUT minimum_line numeric, OUT amount numeric)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    billed numeric := coalesce((i ->> 'previously_billed')::numeric, 0);
BEGIN
    net := gross;
    IF p ->> 'max_amount' IS NOT NULL THEN
        billed := money(billed, currency);
        net := meter.charge_between(
            format('at 1; maximum %s', money((p ->> 'max_amount')::numeric, currency))::meter.tariff,
            billed, billed + gross);
    END IF;
    discount := gross - net;
    minimum_line := 0;
    IF p ->> 'min_amount' IS NOT NULL AND (line_position(i)).last THEN
        minimum_line := money(
            meter.charge(format('at 1; minimum %s', p ->> 'min_amount')::meter.tariff, billed + net) - (billed + net),
            currency);
    END IF;
    amount := net + minimum_line;
END
$$;
