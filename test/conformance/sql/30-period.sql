-- Billing periods, dates and the parts of them.

CREATE FUNCTION utc(t timestamptz) RETURNS jsonb
LANGUAGE sql STABLE
RETURN to_jsonb(to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));

CREATE FUNCTION local_day(t timestamptz, zone text) RETURNS date
LANGUAGE sql STABLE
RETURN (t AT TIME ZONE zone)::date;

-- A time that a source writes: with Z an instant, without one a date, which is UTC's.
CREATE FUNCTION instant(t text) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF t !~ '^\d{4}-\d\d-\d\d(T[0-9:.]+Z)?$' THEN
        PERFORM not_mapped('the time "%s"', t);
    END IF;
    RETURN CASE WHEN t LIKE '%Z' THEN t ELSE t || 'T00:00:00Z' END;
END
$$;

-- An anchor for "every n months on day d" from a start on: a date whose month is in phase
-- and has that day, so that a short month never loses it.
CREATE FUNCTION day_anchor(start date, day integer, every interval) RETURNS date
LANGUAGE sql IMMUTABLE
RETURN (
    SELECT d FROM (
        SELECT n, (m + least(day, extract(day FROM m + interval '1 month - 1 day'))::integer - 1)::date AS d
        FROM (SELECT n, (date_trunc('month', start::timestamp) - n * every)::date AS m
              FROM generate_series(0, 48) AS n) AS months) AS days
    ORDER BY extract(day FROM d) DESC, n LIMIT 1);

-- An interval of ISO 8601. A mixture of months and days is refused by the extension.
CREATE FUNCTION every(p jsonb) RETURNS interval
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF p ->> 'interval' IS NULL OR p ->> 'interval' !~ '^P\d+[DWMY]$' THEN
        PERFORM not_mapped('the interval "%s"', p ->> 'interval');
    END IF;
    RETURN (p ->> 'interval')::interval;
END
$$;

CREATE FUNCTION in_months(every interval) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN extract(year FROM every) <> 0 OR extract(month FROM every) <> 0;

-- Whether a date is the last of its month and stands for a later billing day.
CREATE FUNCTION on_clamped_day(start date, day integer) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN extract(day FROM start) < day
    AND date_trunc('month', start::timestamp) + interval '1 month - 1 day' = start::timestamp;

CREATE FUNCTION rate_billing_period(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM only_value(p, 'month_end', 'clamp from the anchor, never drift', 'clamp');
    PERFORM only_value(p, 'billing', 'arrears', 'advance');
    PERFORM only_value(p, 'alignment', 'calendar', 'anniversary');
    IF p ? 'anchor' THEN
        RETURN period_by_anchor(p, i);
    ELSIF p ? 'alignment' THEN
        RETURN period_by_alignment(p, i);
    ELSE
        RETURN period_by_day(p, i);
    END IF;
END
$$;

-- OpenMeter: the period of an anchor that holds a moment.
CREATE FUNCTION period_by_anchor(p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    got tstzrange;
BEGIN
    PERFORM only_keys(p, 'anchor', 'interval', 'month_end', 'timezone');
    PERFORM only_keys(i, 'at');
    got := meter.period(instant(i ->> 'at'), instant(p ->> 'anchor'), every(p), coalesce(p ->> 'timezone', 'UTC'));
    RETURN answer(jsonb_build_object('from', utc(lower(got)), 'to_exclusive', utc(upper(got)),
                                  'to_inclusive', utc(upper(got) - interval '1 second')));
END
$$;

-- Lago: calendar periods, or periods from the subscription's local date. In arrears the
-- one before the one that holds the billing date is billed, unless the subscription has
-- been terminated. A subscription's own start and end cut the period.
CREATE FUNCTION aligned_period(p jsonb, i jsonb, OUT whole tstzrange, OUT cut tstzrange)
LANGUAGE plpgsql AS $$
DECLARE
    zone text := coalesce(p ->> 'timezone', 'UTC');
    step interval := every(p);
    anchor date;
    at timestamptz := instant(i ->> 'billing_at');
BEGIN
    anchor := CASE p ->> 'alignment'
        WHEN 'calendar' THEN date '2001-01-01' -- a Monday, and the start of a year
        ELSE local_day(instant(i ->> 'subscription_at'), zone) END;
    IF coalesce(p ->> 'billing', 'arrears') = 'arrears' AND NOT i ? 'terminated_at' THEN
        at := meter.period_start(at, anchor, step, zone) - interval '1 second';
    END IF;
    whole := meter.period(at, anchor, step, zone);
    -- the first instants of local days, by the extension's own rule
    cut := whole * tstzrange(
        CASE WHEN i ? 'subscription_at' THEN meter.period_boundary(0, local_day(
            instant(coalesce(i ->> 'started_at', i ->> 'subscription_at')), zone), '1 day', zone) END,
        CASE WHEN i ? 'terminated_at' THEN meter.period_boundary(1, local_day(
            instant(i ->> 'terminated_at'), zone), '1 day', zone) END);
END
$$;

CREATE FUNCTION period_by_alignment(p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    got record;
BEGIN
    PERFORM only_keys(p, 'alignment', 'billing', 'interval', 'timezone');
    PERFORM only_keys(i, 'billing_at', 'subscription_at', 'started_at', 'terminated_at');
    SELECT * INTO got FROM aligned_period(p, i);
    RETURN answer(jsonb_build_object('from', utc(lower(got.cut)), 'to_exclusive', utc(upper(got.cut)),
                                  'to_inclusive', utc(upper(got.cut) - interval '1 second')));
END
$$;

CREATE FUNCTION rate_period_days(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    got record;
    zone text := coalesce(p ->> 'timezone', 'UTC');
BEGIN
    PERFORM only_keys(p, 'alignment', 'billing', 'interval', 'timezone');
    PERFORM only_keys(i, 'billing_at', 'subscription_at', 'started_at', 'terminated_at');
    SELECT * INTO got FROM aligned_period(p, i);
    RETURN answer(jsonb_build_object('days', num(local_day(upper(got.whole), zone) - local_day(lower(got.whole), zone))));
END
$$;

-- Meteroid, Kill Bill: a day of the month that periods begin on, and a first period that
-- begins with the subscription.
CREATE FUNCTION period_by_day(p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    step interval := every(p);
    start date := coalesce(i ->> 'start', i ->> 'invoice_date');
    at date := coalesce(i ->> 'at', i ->> 'invoice_date', i ->> 'target');
    anchor date;
    got daterange;
    answered jsonb;
BEGIN
    PERFORM only_keys(p, 'billing_day', 'interval', 'month_end', 'billing', 'first_period');
    PERFORM only_keys(i, 'start', 'at', 'invoice_date', 'target');
    IF at IS NULL OR coalesce((p ->> 'first_period')::boolean, false) AND i ? 'start' THEN
        PERFORM not_mapped('a period with input %s', i::text);
    END IF;
    anchor := day_anchor(start, (p ->> 'billing_day')::integer, step);
    IF p ->> 'billing' = 'arrears' THEN
        at := meter.period_start(at, anchor, step) - 1;
        IF at < start THEN
            RETURN answer('{"from": null, "to_exclusive": null}'::jsonb);
        END IF;
    END IF;
    got := meter.period(greatest(at, start), anchor, step);
    answered := jsonb_build_object('from', greatest(lower(got), start), 'to_exclusive', upper(got));
    IF (coalesce((p ->> 'first_period')::boolean, false) OR i ? 'at' AND at < start)
        AND on_clamped_day(start, (p ->> 'billing_day')::integer) THEN
        RETURN answer(answered, NULL, 'a start on the day that stands for the billing day opens no period of zero days here',
                      answered, jsonb_build_object('from', start, 'to_exclusive', start));
    END IF;
    RETURN answer(answered);
END
$$;

-- The zone changes while a period is open: it began in the old zone and ends in the new one.
CREATE FUNCTION rate_billing_period_tz_change(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    month date;
    old_period tstzrange;
    new_period tstzrange;
BEGIN
    PERFORM only_keys(p, 'alignment', 'interval');
    PERFORM only_keys(i, 'billing_month', 'new_timezone', 'old_timezone', 'previous_charges_to');
    IF p ->> 'alignment' <> 'calendar' OR p ->> 'interval' <> 'P1M' THEN
        PERFORM not_mapped('a change of zone with %s', p::text);
    END IF;
    month := (i ->> 'billing_month') || '-01';
    old_period := meter.period(meter.period_boundary(0, month, every(p), i ->> 'old_timezone'),
                               month, every(p), i ->> 'old_timezone');
    new_period := meter.period(meter.period_boundary(0, month, every(p), i ->> 'new_timezone'),
                               month, every(p), i ->> 'new_timezone');
    IF lower(old_period) <> instant(i ->> 'previous_charges_to') + interval '1 second' THEN
        PERFORM not_mapped('a gap behind %s', i ->> 'previous_charges_to');
    END IF;
    RETURN answer(jsonb_build_object(
            'charges_from', utc(lower(old_period)),
            'charges_to_before_change', utc(upper(old_period) - interval '1 second'),
            'charges_to_after_change', utc(upper(new_period) - interval '1 second')));
END
$$;

CREATE FUNCTION rate_bucket_starts(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    start date := i ->> 'start';
BEGIN
    PERFORM only_keys(p, 'interval', 'anchor', 'month_end');
    PERFORM only_keys(i, 'start', 'end_exclusive');
    PERFORM only_value(p, 'month_end', 'clamp, return to anchor day');
    RETURN answer(jsonb_build_object('starts', (
            SELECT jsonb_agg(lower(b) ORDER BY b)
            FROM meter.periods(start, (i ->> 'end_exclusive')::date, coalesce((p ->> 'anchor')::date, start), every(p)) AS b)));
END
$$;

-- A moment and a term, which may be negative, or a number of terms. A term that mixes
-- months, days and hours is refused here.
CREATE FUNCTION rate_date_add(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    part text[] := regexp_match(p ->> 'duration', '^(?:(\d+) x )?(P.*)$');
    term interval;
    number bigint := coalesce(part[1]::bigint, 1);
    start text := i ->> 'start';
BEGIN
    PERFORM only_keys(p, 'duration');
    PERFORM only_keys(i, 'start');
    term := part[2]::interval;
    IF (extract(year FROM term) <> 0 OR extract(month FROM term) <> 0)::integer
        + (extract(day FROM term) <> 0)::integer
        + (extract(epoch FROM term - date_trunc('day', term)) <> 0)::integer <> 1 THEN
        RETURN answer(refusal(format('SELECT meter.period_boundary(1, %L::timestamptz, %L, ''UTC'')', instant(start), term)),
                   NULL, 'a term that mixes months, days and hours, or is none, is refused here',
                   '{"error": "22"}'::jsonb);
    END IF;
    IF term < interval '0' THEN
        term := -term;
        number := -number;
    END IF;
    RETURN answer(jsonb_build_object('end', CASE
            WHEN start LIKE '%Z' THEN utc(meter.period_boundary(number, instant(start), term, 'UTC'))
            ELSE to_jsonb(meter.period_boundary(number, start::date, term)) END));
END
$$;

-- Flexprice: the end of a number of periods, counted from the one that holds the period's
-- start. The day and the time are the anchor's, so the start is taken at the anchor's time.
CREATE FUNCTION rate_next_billing_date(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    step interval := every(p);
    count integer := coalesce((p ->> 'count')::integer, 1);
    zone text := coalesce(nullif(p ->> 'timezone', ''), 'UTC');
    local_form boolean := i ? 'anchor_local';
    anchor timestamptz;
    start timestamptz;
    at timestamptz;
    number bigint;
    next timestamptz;
    there timestamp;
    d timestamp;
    a timestamp;
    aligned boolean;
    reason text;
BEGIN
    PERFORM only_keys(p, 'interval', 'count', 'timezone');
    IF local_form THEN
        PERFORM only_keys(i, 'anchor_local', 'period_start_local', 'subscription_end');
        anchor := (i ->> 'anchor_local')::timestamp AT TIME ZONE zone;
        start := (i ->> 'period_start_local')::timestamp AT TIME ZONE zone;
    ELSE
        PERFORM only_keys(i, 'anchor', 'period_start', 'subscription_end');
        anchor := instant(i ->> 'anchor');
        start := instant(i ->> 'period_start');
    END IF;
    a := anchor AT TIME ZONE zone;
    d := date_trunc('day', start AT TIME ZONE zone);
    at := (d + (a - date_trunc('day', a))) AT TIME ZONE zone;
    number := meter.period_number(at, anchor, step, zone);
    aligned := meter.period_boundary(number, anchor, step, zone) = at;
    -- a first month that is cut short is one period, however many make a term
    IF NOT aligned AND step = interval '1 month'
        AND date_trunc('month', meter.period_boundary(number + 1, anchor, step, zone) AT TIME ZONE zone) = date_trunc('month', d) THEN
        count := 1;
    END IF;
    next := meter.period_boundary(number + count, anchor, step, zone);

    -- Flexprice counts quarters and years from the start's month or year, whatever the anchor's phase
    IF NOT aligned AND in_months(step) AND step <> interval '1 month' THEN
        reason := 'a start off the anchor''s phase: periods follow the anchor here, the start there';
        there := CASE
            WHEN step < interval '1 year' AND start < anchor THEN a
            WHEN step < interval '1 year' THEN date_trunc('month', d) + count * step
            ELSE make_date((extract(year FROM d) + count * extract(year FROM step))::integer,
                           extract(month FROM a)::integer, 1) END;
        IF there <> a THEN
            there := there
                + make_interval(days => least(extract(day FROM a), extract(day FROM there + interval '1 month - 1 day'))::integer - 1)
                + (a - date_trunc('day', a));
        END IF;
    END IF;

    IF i ? 'subscription_end' THEN
        next := least(next, instant(i ->> 'subscription_end'));
        there := least(there, instant(i ->> 'subscription_end') AT TIME ZONE zone);
    END IF;
    IF next AT TIME ZONE zone = there THEN
        reason := NULL;
    END IF;
    RETURN answer(CASE WHEN local_form
            THEN jsonb_build_object('next_local', to_char(next AT TIME ZONE zone, 'YYYY-MM-DD"T"HH24:MI:SS'))
            ELSE jsonb_build_object('next', utc(next)) END,
        NULL, reason,
        CASE WHEN local_form
            THEN jsonb_build_object('next_local', to_char(next AT TIME ZONE zone, 'YYYY-MM-DD"T"HH24:MI:SS'))
            ELSE jsonb_build_object('next', utc(next)) END,
        CASE WHEN local_form
            THEN jsonb_build_object('next_local', to_char(there, 'YYYY-MM-DD"T"HH24:MI:SS'))
            ELSE jsonb_build_object('next', utc(there AT TIME ZONE zone)) END);
END
$$;

-- Kill Bill: the first boundary at or after the start. Periods of days do not look at the
-- billing day.
CREATE FUNCTION rate_first_billing_date(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    step interval := every(p);
    start date := i ->> 'start';
    got daterange;
BEGIN
    PERFORM only_keys(p, 'billing_day', 'interval');
    PERFORM only_keys(i, 'start');
    got := meter.period(start,
        CASE WHEN in_months(step) THEN day_anchor(start, (p ->> 'billing_day')::integer, step) ELSE start END, step);
    RETURN answer(jsonb_build_object('first_billing_date', CASE WHEN lower(got) = start THEN start ELSE upper(got) END));
END
$$;

CREATE FUNCTION rate_whole_periods(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM only_keys(p, 'interval');
    PERFORM only_keys(i, 'from', 'to');
    RETURN answer(jsonb_build_object('periods',
            num(meter.period_number((i ->> 'to')::date, (i ->> 'from')::date, every(p)))));
END
$$;

-- Meteroid: how many boundaries lie in (start, at]; a first part period is a cycle. Where
-- a short month's last day stands for the billing day, a cycle of no days is counted there.
CREATE FUNCTION rate_elapsed_cycles(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    step interval := every(p);
    start date := i ->> 'start';
    at date := i ->> 'at';
    day integer := p ->> 'billing_day';
    anchor date := day_anchor(start, day, step);
    got bigint;
BEGIN
    PERFORM only_keys(p, 'billing_day', 'interval');
    PERFORM only_keys(i, 'start', 'at');
    got := CASE WHEN at <= start THEN 0
                ELSE meter.period_number(at, anchor, step) - meter.period_number(start, anchor, step) END;
    RETURN answer(jsonb_build_object('cycles', num(got)), NULL,
        CASE WHEN on_clamped_day(start, day) AND at > start
             THEN 'a start on the day that stands for the billing day opens no cycle of zero days here' END,
        jsonb_build_object('cycles', num(got)), jsonb_build_object('cycles', num(got + 1)));
END
$$;

-- The part of a whole, as a factor: days over days.
CREATE FUNCTION rate_proration_factor(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    since date := i ->> 'from';
    until date := i ->> 'to';
    whole daterange;
    part daterange;
    month_days integer;
    factor numeric;
BEGIN
    PERFORM only_keys(p, 'basis', 'interval');
    IF p ->> 'basis' = 'days, half-open; none means no proration' THEN
        PERFORM only_keys(i, 'full', 'partial');
        whole := daterange((i -> 'full' ->> 0)::date, (i -> 'full' ->> 1)::date);
        part := daterange((i -> 'partial' ->> 0)::date, (i -> 'partial' ->> 1)::date);
        -- a part that is not less than the whole is not prorated: a factor of none
        IF isempty(whole) OR NOT isempty(part) AND upper(part) - lower(part) >= upper(whole) - lower(whole) THEN
            RETURN answer('{"factor": null}'::jsonb);
        END IF;
        factor := CASE WHEN part <@ whole THEN meter.prorate(1, part, whole)
                       ELSE meter.prorate(1, 0, upper(part) - lower(part), upper(whole) - lower(whole)) END;
        RETURN answer(jsonb_build_object('factor', num(factor)));
    END IF;
    PERFORM only_keys(i, 'from', 'to');
    IF p ->> 'basis' = 'days / days of the first period, 9 places half up' THEN
        whole := meter.period(since, since, every(p));
        factor := meter.prorate(1, 0, until - since, upper(whole) - lower(whole));
        RETURN answer(jsonb_build_object('factor', num(meter.round_quantity(factor, 'round', 9))),
                   '{round_quantity to 9 digits}');
    ELSIF p ->> 'basis' = '30-day months, 9 places half up' AND p ->> 'interval' = 'P1M' THEN
        -- the start's month counts 30 days, whatever it has
        month_days := upper(meter.period(since, date_trunc('month', since::timestamp)::date, '1 month'))
            - date_trunc('month', since::timestamp)::date;
        factor := meter.prorate(1, 0, until - since - (month_days - 30), 30);
        RETURN answer(jsonb_build_object('factor', num(meter.round_quantity(factor, 'round', 9))),
                   '{30 days a month, round_quantity to 9 digits}');
    END IF;
    PERFORM not_mapped('proration by %s', p::text);
END
$$;

-- Flexprice: the next beginning of a calendar period.
CREATE FUNCTION rate_calendar_anchor(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    zone text := coalesce(nullif(p ->> 'timezone', ''), 'UTC');
    monday date := '2001-01-01'; -- and the start of a year
    next timestamptz;
BEGIN
    PERFORM only_keys(p, 'interval', 'timezone', 'week_start');
    PERFORM only_keys(i, 'start');
    PERFORM only_value(p, 'week_start', 'Monday');
    next := upper(meter.period(instant(i ->> 'start'), monday, every(p), zone));
    RETURN answer(jsonb_build_object('anchor', utc(next)));
END
$$;

-- Days of a zone's calendar, however many hours they have: the fields are its clock's.
CREATE FUNCTION rate_calendar_days(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    zone text := p ->> 'timezone';
BEGIN
    PERFORM only_keys(p, 'timezone', 'rule');
    PERFORM only_keys(i, 'start_fields', 'end_fields');
    PERFORM only_value(p, 'rule', 'calendar date difference, clock time ignored');
    RETURN answer(jsonb_build_object('days', num(meter.period_number(
        (i ->> 'end_fields')::timestamp AT TIME ZONE zone, (i ->> 'start_fields')::timestamp::date, '1 day', zone))));
END
$$;
