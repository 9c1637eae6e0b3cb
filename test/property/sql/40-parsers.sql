-- Parsers: in(out(x)) = x, and mutated literals are a value or an error of class 22. The
-- binary side takes a client of its own (see mutate.pl), which calls the same probes.

-- Fails with a state of our own where a value that was let in is not what it should be.
CREATE FUNCTION must(holds boolean, what text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF holds IS NOT TRUE THEN
        RAISE EXCEPTION 'not so: %', what USING ERRCODE = 'PR001';
    END IF;
END
$$;

-- A statement on an accepted value may refuse it with an error of class 22, and nothing else.
CREATE FUNCTION may_refuse(statement text, x anyelement) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement USING x;
EXCEPTION WHEN data_exception THEN
    NULL;
END
$$;

CREATE FUNCTION probe(x meter.usage) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM must(x::text::meter.usage = x, 'in(out(x)) = x');
    PERFORM must(x::text::meter.usage::text = x::text, 'out(in(out(x))) = out(x)');
    PERFORM must(x::jsonb::meter.usage = x, 'through jsonb');
    PERFORM must(meter.usage_hash(x) = meter.usage_hash(x::text::meter.usage), 'hash');
    PERFORM must(-(-x) = x, '- - x');
    PERFORM may_refuse('SELECT $1 + $1, $1 - $1, meter.usage_cmp($1, -$1), $1 -> ''input_tokens'', $1 ? ''x''', x);
    PERFORM may_refuse('SELECT count(*) FROM meter.each($1)', x);
    PERFORM may_refuse('SELECT sum(u) FROM unnest(ARRAY[$1, $1, ''{"x": 1}'']) AS u', x);
    PERFORM may_refuse('SELECT meter.cost(card, ''item1'', ''2026-05-01'', $1), meter.unpriced(card, ''item1'', ''2026-05-01'', $1)
                        FROM prop.probe_card', x);
    RETURN x::text;
END
$$;

CREATE FUNCTION probe(x meter.tariff) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    q numeric;
BEGIN
    PERFORM must(x::text::meter.tariff = x, 'in(out(x)) = x');
    PERFORM must(x::text::meter.tariff::text = x::text, 'out(in(out(x))) = out(x)');
    PERFORM must(x::jsonb::meter.tariff = x, 'through jsonb');
    PERFORM must(meter.tariff_hash(x) = meter.tariff_hash(x::text::meter.tariff), 'hash');
    FOREACH q IN ARRAY '{0, 0.000000000001, 100.5, 1234567, 170141183460469231731687303.715884105727}'::numeric[] LOOP
        PERFORM may_refuse(format('SELECT prop.must(meter.charge($1, %1$s) = (SELECT sum(amount) FROM meter.charge_lines($1, %1$s)), ''lines'')', q), x);
        PERFORM may_refuse(format('SELECT meter.overage($1, %s)', q), x);
    END LOOP;
    PERFORM may_refuse('SELECT meter.total_charge($1, n), meter.charge_between($1, 5, 4) FROM generate_series(1, 3) AS n', x);
    PERFORM may_refuse('SELECT meter.charges_by_period($1, ''2026-01-15'', 5::bigint, ''2026-01-31''::timestamptz, ''1 month'', ''UTC'')', x);
    RETURN x::text;
END
$$;

CREATE FUNCTION probe(x meter.rate_card) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM must(x::text::meter.rate_card = x, 'in(out(x)) = x');
    PERFORM must(x::text::meter.rate_card::text = x::text, 'out(in(out(x))) = out(x)');
    PERFORM must(x::jsonb::meter.rate_card = x, 'through jsonb');
    PERFORM must(meter.rate_card_hash(x) = meter.rate_card_hash(x::text::meter.rate_card), 'hash');
    PERFORM may_refuse('SELECT meter.cost($1, item, at, usage, variant), meter.unpriced($1, item, at, usage, variant),
                               (SELECT count(*) FROM meter.cost_lines($1, item, at, usage, variant))
                        FROM prop.probe_event', x);
    PERFORM may_refuse('SELECT meter.total_cost($1, item, at, usage, variant) FROM prop.probe_event', x);
    RETURN x::text;
END
$$;

CREATE FUNCTION probe(x meter.wallet) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM must(x::text::meter.wallet = x, 'in(out(x)) = x');
    PERFORM must(x::text::meter.wallet::text = x::text, 'out(in(out(x))) = out(x)');
    PERFORM must(x::jsonb::meter.wallet = x, 'through jsonb');
    PERFORM must(meter.wallet_hash(x) = meter.wallet_hash(x::text::meter.wallet), 'hash');
    PERFORM may_refuse('SELECT prop.must(granted = spent + expired + remaining AND paid = recognised + deferred, ''lots'') FROM meter.lots($1)', x);
    PERFORM may_refuse('SELECT prop.must(meter.consumed($1) = coalesce(sum(covered + overage - unapplied), 0), ''spans'') FROM meter.spans($1)', x);
    PERFORM may_refuse('SELECT count(*) FROM meter.burns($1)', x);
    PERFORM may_refuse('SELECT meter.balance($1, ''2026-01-02''), meter.balance($1, ''infinity'', ''x''), meter.next_expiry($1, ''2026-01-02''), meter.overage($1), meter.unapplied($1)', x);
    PERFORM may_refuse('SELECT prop.must(meter.consumed(meter.spend($1, ''2030-01-01'', 5, ''x'')) = meter.consumed($1) + 5, ''spend'')', x);
    PERFORM may_refuse('SELECT prop.must(meter.consumed(meter.burn($1, ''2026-01-02'', n)) = meter.consumed($1) - 5, ''burn'') FROM (VALUES (2), (-7)) AS v (n)', x);
    PERFORM may_refuse('SELECT meter.with_cuts($1, ''{2026-01-01, 2030-01-01}''), meter.add_lots($1, ''{"lots": [{"id": "another", "amount": 5}]}''), meter.absorbing($1)', x);
    PERFORM may_refuse('SELECT meter.coverage($1, ''2030-01-01''::timestamptz + n * interval ''1 hour'', n - 2) OVER (ORDER BY n) FROM generate_series(1, 3) AS n', x);
    RETURN x::text;
END
$$;

CREATE FUNCTION probe(x meter.breakdown) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM must(x::text::meter.breakdown::text = x::text, 'out(in(out(x))) = out(x)');
    PERFORM must(meter.breakdown_send(x::text::meter.breakdown) = meter.breakdown_send(x), 'in(out(x)) is sent as x');
    PERFORM must(x::jsonb::meter.breakdown::text = x::text, 'through jsonb');
    PERFORM must(meter.add(x, '[]')::text = x::text AND meter.add('[]', x)::text = x::text, 'x + nothing');
    PERFORM must((SELECT meter.sum(b) FROM unnest(ARRAY[x, NULL, '[]']) AS b)::text = x::text, 'the sum of x alone');
    PERFORM must((SELECT count(*) FROM meter.entries(x)) = jsonb_array_length(x::jsonb), 'entries');
    PERFORM must(NOT EXISTS (SELECT FROM meter.entries(x) WHERE meter.mentions(x, item, action) <> (item IS NOT NULL OR action IS NOT NULL)), 'mentions');
    PERFORM may_refuse('SELECT prop.must(meter.add($1, $1)::text = (SELECT meter.sum(b) FROM unnest(ARRAY[$1, $1]) AS b)::text, ''x + x'')', x);
    PERFORM may_refuse('SELECT meter.add($1, ''[{"item": "item1", "events": 1, "usage": {"x": 1}}]''), meter.mentions($1, ''item1'', '''')', x);
    RETURN x::text;
END
$$;

-- States: what an aggregate does with them, outside of an aggregate, leaves them as they are.
CREATE FUNCTION probe_state(x anyelement, statements text[]) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    before text := x::text;
    statement text;
    again text;
BEGIN
    EXECUTE format('SELECT $1::text::%s::text', pg_typeof(x)) INTO again USING x;
    PERFORM must(again = before, 'in(out(x)) = x');
    FOREACH statement IN ARRAY statements LOOP
        PERFORM may_refuse(statement, x);
        PERFORM must(x::text = before, 'the state is as it was');
    END LOOP;
    RETURN before;
END
$$;
CREATE FUNCTION probe(x meter.usage_state) RETURNS text LANGUAGE sql RETURN probe_state(x, ARRAY[
    'SELECT meter.usage_sum_final($1)',
    'SELECT meter.usage_sum_final(meter.usage_sum_combine($1, $1)), meter.usage_sum_combine(NULL, $1), meter.usage_sum_combine($1, NULL)',
    'SELECT meter.usage_sum_final(meter.usage_sum_transition($1, ''{"input_tokens": 5, "mine": 0.5}''))']);
CREATE FUNCTION probe(x meter.event_sums_state) RETURNS text LANGUAGE sql RETURN probe_state(x, ARRAY[
    'SELECT meter.event_sums_final($1)',
    'SELECT meter.event_sums_final(meter.event_sums_combine($1, $1)), meter.event_sums_combine(NULL, $1), meter.event_sums_combine($1, NULL)',
    'SELECT meter.event_sums_final(meter.event_sums_add($1, card, card, ''item1'', ''item1'', ''2026-05-01'', ''{"input_tokens": 5, "mine": 0.5}'', NULL, 1::smallint)) FROM prop.probe_card']);
CREATE FUNCTION probe(x meter.breakdown_state) RETURNS text LANGUAGE sql RETURN probe_state(x, ARRAY[
    'SELECT meter.breakdown_sum_final($1), meter.break_down_final($1)',
    'SELECT meter.breakdown_sum_final(meter.breakdown_sum_combine($1, $1)), meter.breakdown_sum_combine(NULL, $1), meter.breakdown_sum_combine($1, NULL)',
    'SELECT meter.breakdown_sum_final(meter.breakdown_sum_add($1, ''[{"item": "item1", "events": 1, "usage": {"x": 1}}, {"events": 1, "usage": {"mine": 0.5}}]''))',
    'SELECT meter.break_down_final(meter.break_down_add($1, card, card, ''item1'', ''item1'', ''2026-05-01'', ''{"input_tokens": 5, "mine": 0.5}'', NULL, 1::smallint, NULL, NULL, NULL)) FROM prop.probe_card']);
CREATE FUNCTION probe(x meter.rate_card_state) RETURNS text LANGUAGE sql RETURN probe_state(x, ARRAY[
    'SELECT meter.rate_card_final($1)',
    'SELECT meter.rate_card_final(meter.rate_card_combine($1, meter.rate_card_add(NULL, ''another'', ''x'', 1, 2)))',
    'SELECT meter.rate_card_combine(NULL, $1), meter.rate_card_combine($1, NULL), meter.rate_card_combine($1, $1)',
    'SELECT meter.rate_card_final(meter.rate_card_add($1, ''another'', ''x'', 1, 2))']);
CREATE FUNCTION probe(x meter.amount_state) RETURNS text LANGUAGE sql RETURN probe_state(x, ARRAY[
    'SELECT meter.amount_state_final($1)',
    'SELECT meter.amount_state_final(meter.amount_state_combine($1, $1)), meter.amount_state_combine(NULL, $1), meter.amount_state_combine($1, NULL)',
    'SELECT meter.amount_state_final(meter.total_cost_add($1, card, ''item1'', ''2026-05-01'', ''{"input_tokens": 5}'')) FROM prop.probe_card']);
CREATE FUNCTION probe(x meter.charge_state) RETURNS text LANGUAGE sql RETURN probe_state(x, ARRAY[
    'SELECT meter.total_charge_final($1)',
    'SELECT meter.total_charge_final(meter.total_charge_combine($1, $1)), meter.total_charge_combine(NULL, $1), meter.total_charge_combine($1, NULL)',
    'SELECT meter.total_charge_final(meter.total_charge_accum($1, ''at 1'', 5))']);
CREATE FUNCTION probe(x meter.period_sums) RETURNS text LANGUAGE sql RETURN probe_state(x, ARRAY[
    'SELECT meter.charges_by_period_final($1)',
    'SELECT meter.charges_by_period_final(meter.charges_by_period_combine($1, $1))',
    'SELECT meter.charges_by_period_combine(NULL, $1), meter.charges_by_period_combine($1, NULL)',
    'SELECT meter.charges_by_period_final(meter.charges_by_period_accum($1, ''at 1'', ''2026-05-01'', 5::numeric, ''2026-01-31''::timestamptz, ''1 month'', ''UTC''))']);
CREATE FUNCTION probe(x meter.value_list) RETURNS text LANGUAGE sql RETURN probe_state(x, ARRAY[
    'SELECT meter.gini_final($1)', 'SELECT meter.top_share_final($1)',
    'SELECT meter.gini_final(meter.value_list_combine($1, $1)), meter.value_list_combine(NULL, $1), meter.value_list_combine($1, NULL)',
    'SELECT meter.gini_final(meter.gini_accum($1, 5))', 'SELECT meter.top_share_final(meter.top_share_accum($1, 5, 0.5))']);
CREATE FUNCTION probe(x meter.wallet_lots) RETURNS text LANGUAGE sql RETURN probe_state(x, ARRAY[
    'SELECT meter.wallet_final($1)',
    'SELECT meter.wallet_combine(NULL, $1), meter.wallet_combine($1, NULL), meter.wallet_combine($1, $1)',
    'SELECT meter.wallet_final(meter.wallet_accum($1, ''another'', 5, ''x'', 1, NULL, ''2026-01-31'', NULL, NULL, NULL))']);
CREATE FUNCTION probe(x meter.wallet_book) RETURNS text LANGUAGE sql RETURN probe_state(x, ARRAY[
    'SELECT meter.wallet_book_final($1)',
    'SELECT meter.wallet_book_combine(NULL, $1), meter.wallet_book_combine($1, NULL), meter.wallet_book_combine($1, $1)',
    'SELECT meter.wallet_book_final(meter.wallet_book_combine($1, $1))',
    'SELECT meter.wallet_book_final(meter.wallet_book_accum($1, ''another'', ''{}''::meter.wallet))',
    'SELECT meter.lots(meter.burn($1, c, ''2026-05-01'', 5)) FROM (VALUES (''1'')) AS v (c)']);
CREATE FUNCTION probe(x meter.burn_state) RETURNS text LANGUAGE sql RETURN probe_state(x, ARRAY[
    'SELECT meter.lots(meter.burn_final($1))',
    'SELECT meter.burn_final(meter.burn_combine($1, $1)), meter.burn_combine(NULL, $1), meter.burn_combine($1, NULL)',
    'SELECT meter.spans(meter.burn_final(meter.burn_accum($1, ''{}'', ''2026-05-01'', 5)))',
    'SELECT meter.spans(meter.burn_final(meter.burn_accum($1, ''{}'', ''2026-05-01'', 5::numeric, ''x'')))']);

-- What is mutated: values of every kind, short ones mostly.
CREATE TABLE probe_card AS
SELECT meter.rate_card(item, unit, price, per, valid, variant, context_from, daily_from, daily_until, precedence) AS card
FROM rate_row WHERE card = 1 AND item = 'item1';
CREATE TABLE probe_event AS
SELECT item, at, usage, variant FROM event WHERE id <= 5
UNION ALL VALUES ('item1', timestamptz '2026-05-01 23:00Z', '{"input_tokens": 5, "mine": 0.5, "requests": 1}'::meter.usage, 'standard');

CREATE TABLE sample (type text, n bigint, literal text, PRIMARY KEY (type, n));
INSERT INTO sample SELECT 'meter.usage', id, usage::text FROM event WHERE id <= 200;
INSERT INTO sample SELECT 'meter.tariff', id, tariff::text FROM tariff WHERE id <= 200;
INSERT INTO sample
SELECT 'meter.rate_card', row_number() OVER (ORDER BY c, k), card::text
FROM (SELECT card AS c, k, meter.rate_card(item, unit, price, per, valid, variant, context_from, daily_from, daily_until, precedence) AS card
      FROM (SELECT *, row_number() OVER (PARTITION BY card ORDER BY item, variant, unit, valid, context_from, daily_from, precedence) / 4 AS k
            FROM rate_row WHERE card <= 3) AS r
      WHERE k < 60 GROUP BY card, k) AS c;
INSERT INTO sample SELECT 'meter.wallet', w, wallet::text FROM burned WHERE w <= 200;
INSERT INTO sample
SELECT 'meter.breakdown', n, meter.sum(breakdown)::text
FROM (SELECT id / 100 AS n, row_number() OVER (PARTITION BY id / 100 ORDER BY id) AS k, breakdown
      FROM plain_row WHERE id BETWEEN 1 AND 19999 AND breakdown IS NOT NULL) AS r
WHERE k <= 1 + n % 3 GROUP BY n;
DO $$
DECLARE
    a record;
BEGIN
    -- the states of few rows
    FOR a IN SELECT DISTINCT ON (type) * FROM prop.aggregate_of WHERE n NOT IN (5, 14, 15, 16) ORDER BY type, n DESC LOOP
        EXECUTE format('INSERT INTO prop.sample SELECT %L, row_number() OVER (ORDER BY g, k), prop.state_%s(%s)::text
                        FROM (%s) AS r WHERE k < 20 GROUP BY g, k', a.type, a.n, a.arguments,
            CASE a.source
            WHEN 'row' THEN 'SELECT *, row_number() OVER (PARTITION BY g ORDER BY id) / 3 AS k FROM prop.plain_row WHERE g < 12 AND id > 0'
            ELSE 'SELECT *, row_number() OVER (PARTITION BY g ORDER BY item, variant, unit, valid, context_from, daily_from, precedence) / 3 AS k
                  FROM prop.card_row WHERE g < 12' END);
    END LOOP;
END
$$;
DELETE FROM sample WHERE literal IS NULL;
