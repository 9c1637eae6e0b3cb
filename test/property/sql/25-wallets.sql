-- Wallets: random lots and events against a walk in PL/pgSQL that goes event by event, in the
-- order of time, and changes lots one by one, where the extension keeps a sum for each span.
-- Credits are whole units of 10^-12, instants whole hours, so few of them that events lie on
-- every kind of boundary all the time.

CREATE FUNCTION hour(n integer) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN timestamptz '2026-01-01 00:00Z' + n * interval '1 hour';

CREATE FUNCTION units(n bigint) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN n * 0.000000000001;

-- An amount below 1000, with 0 to 12 digits behind the point.
CREATE FUNCTION some_units(i bigint, salt bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE pick(i, salt, 4)
    WHEN 0 THEN h(i, salt + 1) % 1000000000000000
    WHEN 1 THEN h(i, salt + 1) % 10000 * 100000000000
    ELSE h(i, salt + 1) % 100 * 1000000000000 END;

-- Zero to four lots. NULL hours: always there, or never gone. One wallet in three has pools; one in
-- eight absorbs, and has none.
CREATE TABLE lot AS
SELECT w, i, (ARRAY['d', 'a', 'c', 'b'])[i] AS id, some_units(key, 302) AS amount,
       CASE WHEN w % 3 = 1 AND w % 8 > 0 AND pick(key, 304, 2) = 0 THEN (ARRAY['x', 'y'])[1 + pick(key, 305, 2)] END AS pool,
       pick(key, 306, 3) - 1 AS priority, starts,
       CASE WHEN pick(key, 308, 4) > 0 THEN coalesce(starts, 0) + pick(key, 309, 20) - CASE WHEN pick(key, 310, 20) = 0 THEN 5 ELSE 0 END END AS ends,
       CASE WHEN pick(key, 311, 2) = 0 THEN pick(key, 312, 3) END AS created,
       pick(key, 313, 3) = 0 AS rolls, some_units(key, 314) AS rollover_max, pick(key, 316, 20) AS rollover_hours,
       CASE WHEN pick(key, 317, 2) = 0 THEN some_units(key, 318) ELSE 0 END AS paid
FROM generate_series(1, :cases) AS w, LATERAL generate_series(1, pick(w, 300, 5)) AS i,
    LATERAL (SELECT w * 8::bigint + i AS key) AS k,
    LATERAL (SELECT CASE WHEN pick(key, 307, 10) > 0 THEN pick(key, 301, 30) END AS starts) AS s;
UPDATE lot SET rolls = rolls AND ends IS NOT NULL, paid = CASE WHEN amount > 0 THEN paid ELSE 0 END;
CREATE INDEX ON lot (w);

-- Zero to nine events, one in five gives back. A pool that no lot has is none.
CREATE TABLE spending AS
SELECT w, k, pick(key, 322, 50) AS hour, CASE WHEN pick(key, 323, 5) = 0 THEN -1 ELSE 1 END * some_units(key, 324) AS credits,
       CASE WHEN w % 3 = 1 THEN (ARRAY['x', 'y', 'z', NULL, NULL])[1 + pick(key, 326, 5)] END AS pool, pick(key, 327, 2) AS batch
FROM generate_series(1, :cases) AS w, LATERAL generate_series(1, pick(w, 321, 10)) AS k,
    LATERAL (SELECT w * 16::bigint + k AS key) AS e;

CREATE TABLE wallet AS
SELECT w, CASE WHEN w % 8 = 0 THEN meter.absorbing(wallet) ELSE wallet END AS wallet
FROM (SELECT w, coalesce(meter.wallet(id, units(amount), pool, priority, hour(starts), hour(ends), hour(created),
                                      CASE WHEN rolls THEN units(rollover_max) END, CASE WHEN rolls THEN hour(ends + rollover_hours) END, units(paid)) FILTER (WHERE id IS NOT NULL), '{}') AS wallet
      FROM generate_series(1, :cases) AS w LEFT JOIN lot USING (w)
      GROUP BY w) AS made;
CREATE TABLE burned AS
SELECT w, meter.burn(wallet, hour(hour), units(credits), pool) AS wallet
FROM wallet LEFT JOIN spending USING (w)
GROUP BY w;
ANALYZE lot, spending, wallet, burned;

-- The reference. A lot is one or two entries (before and after its rollover) in the order in which they are
-- taken, each usable in [since, until). Arrays hold lots in the order of i.
CREATE TYPE walked AS (
    spent bigint[], expired bigint[], remaining bigint[], kept bigint[],
    overage bigint, unapplied bigint,
    remaining_then bigint[], expired_then bigint[],       -- at the last event
    covered bigint[], uncovered bigint[], balance bigint[]    -- of each event, in the order of time
);

CREATE FUNCTION walk(absorbs boolean, amounts bigint[], pools integer[], starts integer[], ends integer[], rollover_max bigint[], rollover_until integer[],
                     entry_lot integer[], entry_since integer[], entry_until integer[],
                     times integer[], kinds integer[], credits bigint[], event_pools integer[]) RETURNS walked
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    spent bigint[]; expired bigint[]; remaining bigint[]; kept bigint[];
    remaining_then bigint[]; expired_then bigint[];
    covered bigint[] := '{}'; uncovered bigint[] := '{}'; balance bigint[] := '{}';
    overage bigint := 0;
    unapplied bigint := 0;
    held bigint := 0;        -- left of all lots
    n_events integer := 0;
    n integer := coalesce(cardinality(amounts), 0);
    entries integer := coalesce(cardinality(entry_lot), 0);
    taken bigint[];          -- from each lot in this span
    own bigint[];            -- taken from own lots, by each pool in this span
    asked bigint[];          -- of unrestricted lots, covered or not, by each pool in this span
    pending bigint[];        -- given back by each pool in this span before it was taken
    short bigint := 0;       -- asked in this span and not covered
    carried bigint := 0;
    c bigint; x bigint; y bigint; took bigint; lost bigint;
    lot integer; p integer;
BEGIN
    spent := array_fill(0::bigint, ARRAY[greatest(n, 1)]);
    expired := spent; remaining := spent; kept := spent; taken := spent;
    own := '{0,0,0}'; asked := own; pending := own;
    remaining_then := remaining; expired_then := expired;
    FOR item IN 1 .. coalesce(cardinality(times), 0) LOOP
        IF kinds[item] = 0 THEN
            -- a bound: what the span could not give back or take stays so
            unapplied := unapplied + pending[1] + pending[2] + pending[3];
            IF absorbs THEN carried := carried + short; ELSE overage := overage + short; END IF;
            short := 0; own := '{0,0,0}'; asked := own; pending := own;
            FOR i IN 1 .. n LOOP
                taken[i] := 0;
                IF starts[i] = times[item] THEN
                    remaining[i] := amounts[i];
                    held := held + amounts[i];
                END IF;
                IF ends[i] IS NOT NULL AND greatest(ends[i], starts[i]) = times[item] THEN
                    kept[i] := CASE WHEN rollover_until[i] > ends[i] THEN least(remaining[i], rollover_max[i]) ELSE 0 END;
                    expired[i] := expired[i] + remaining[i] - kept[i];
                    held := held - remaining[i] + kept[i];
                    remaining[i] := kept[i];
                END IF;
                IF rollover_until[i] = times[item] AND rollover_until[i] > ends[i] THEN
                    expired[i] := expired[i] + remaining[i];
                    held := held - remaining[i];
                    remaining[i] := 0;
                END IF;
            END LOOP;
            -- an absorbing wallet has no pools
            FOR e IN 1 .. entries LOOP
                EXIT WHEN carried = 0;
                CONTINUE WHEN times[item] < entry_since[e] OR times[item] >= entry_until[e];
                lot := entry_lot[e];
                x := least(remaining[lot], carried);
                remaining[lot] := remaining[lot] - x;
                spent[lot] := spent[lot] + x;
                held := held - x;
                carried := carried - x;
            END LOOP;
            CONTINUE;
        END IF;

        c := credits[item];
        p := event_pools[item] + 1;
        took := 0; lost := 0;
        IF c > 0 THEN
            x := least(c, pending[p]);
            pending[p] := pending[p] - x;
            c := c - x;
            FOR own_first IN 0 .. 1 LOOP
                IF own_first = 1 THEN
                    asked[p] := asked[p] + c;
                END IF;
                CONTINUE WHEN own_first = 0 AND p = 1;
                FOR e IN 1 .. entries LOOP
                    EXIT WHEN c = 0;
                    lot := entry_lot[e];
                    CONTINUE WHEN pools[lot] <> (CASE own_first WHEN 0 THEN p - 1 ELSE 0 END)
                        OR times[item] < entry_since[e] OR times[item] >= entry_until[e];
                    x := least(remaining[lot], c);
                    remaining[lot] := remaining[lot] - x;
                    spent[lot] := spent[lot] + x;
                    taken[lot] := taken[lot] + x;
                    took := took + x;
                    c := c - x;
                    IF own_first = 0 THEN
                        own[p] := own[p] + x;
                    END IF;
                END LOOP;
            END LOOP;
            short := short + c;
            lost := c;
        ELSE
            -- given back: what is not covered first, then the lots in the reverse order
            c := -c;
            x := least(c, asked[p]);
            c := c - x;
            asked[p] := asked[p] - x;
            y := least(x, short);
            short := short - y;
            lost := -y;
            x := x - y;
            y := least(c, own[p]);
            c := c - y;
            own[p] := own[p] - y;
            pending[p] := pending[p] + c;
            FOR e IN REVERSE entries .. 1 LOOP
                lot := entry_lot[e];
                CONTINUE WHEN times[item] < entry_since[e] OR times[item] >= entry_until[e];
                IF pools[lot] = 0 THEN
                    c := least(taken[lot], x);
                    x := x - c;
                ELSIF pools[lot] = p - 1 THEN
                    c := least(taken[lot], y);
                    y := y - c;
                ELSE
                    CONTINUE;
                END IF;
                taken[lot] := taken[lot] - c;
                spent[lot] := spent[lot] - c;
                remaining[lot] := remaining[lot] + c;
                took := took - c;
            END LOOP;
        END IF;
        held := held - took;
        n_events := n_events + 1;
        covered[n_events] := took;
        uncovered[n_events] := lost;
        balance[n_events] := held;
            remaining_then := remaining;
        expired_then := expired;
    END LOOP;
    unapplied := unapplied + pending[1] + pending[2] + pending[3];
    overage := overage + short + carried;
    RETURN ROW(spent, expired, remaining, kept, overage, unapplied, remaining_then, expired_then, covered, uncovered, balance)::walked;
END
$$;

CREATE TABLE walk_of AS
SELECT w, (walk(w % 8 = 0, amounts, pools, starts, ends, rollover_max, rollover_until, entry_lot, entry_since, entry_until,
                times, kinds, credits, event_pools)).*
FROM (SELECT w, array_agg(amount ORDER BY i) AS amounts, array_agg(coalesce(array_position('{x,y}', pool), 0) ORDER BY i) AS pools,
             array_agg(coalesce(starts, -100) ORDER BY i) AS starts, array_agg(ends ORDER BY i) AS ends,
             array_agg(rollover_max ORDER BY i) AS rollover_max, array_agg(until ORDER BY i) AS rollover_until
      FROM (SELECT *, CASE WHEN rolls AND ends > coalesce(starts, -100) THEN ends + rollover_hours END AS until FROM lot) AS l GROUP BY w) AS l
FULL JOIN (SELECT w, array_agg(i ORDER BY priority, until, created, id) AS entry_lot,
                  array_agg(since ORDER BY priority, until, created, id) AS entry_since,
                  array_agg(until ORDER BY priority, until, created, id) AS entry_until
           FROM (SELECT w, i, id, priority, coalesce(created, starts, -100) AS created, coalesce(starts, -100) AS since, coalesce(ends, 1000000) AS until FROM lot
                 UNION ALL
                 SELECT w, i, id, priority, coalesce(created, starts, -100), ends, ends + rollover_hours
                 FROM lot WHERE rolls AND ends > coalesce(starts, -100) AND rollover_max > 0) AS phase
           WHERE since < until
           GROUP BY w) AS e USING (w)
FULL JOIN (SELECT w, array_agg(t ORDER BY t, kind, k) AS times, array_agg(kind ORDER BY t, kind, k) AS kinds,
                  array_agg(credits ORDER BY t, kind, k) AS credits, array_agg(pool ORDER BY t, kind, k) AS event_pools
           FROM (SELECT w, hour AS t, 1 AS kind, k, credits,
                        CASE WHEN EXISTS (SELECT FROM lot WHERE lot.w = s.w AND lot.pool = s.pool) THEN array_position('{x,y}', pool) ELSE 0 END AS pool
                 FROM spending AS s
                 UNION
                 SELECT w, t, 0, 0, 0, 0
                 FROM lot, LATERAL (VALUES (coalesce(starts, -100)), (CASE WHEN ends > coalesce(starts, -100) THEN ends END),
                                           (CASE WHEN rolls AND rollover_max > 0 AND ends > coalesce(starts, -100) THEN ends + rollover_hours END)) AS b (t)
                 WHERE t IS NOT NULL) AS item
           GROUP BY w) AS t USING (w);
ANALYZE walk_of;

CALL must_be_empty('a wallet is what a walk event by event leaves', :cases, $$
    SELECT w, id, ours, theirs
    FROM (SELECT w, i, id, units(spent[i]) AS spent, units(expired[i]) AS expired, units(remaining[i]) AS remaining, units(kept[i]) AS kept
          FROM prop.lot JOIN prop.walk_of USING (w)) AS theirs
    FULL JOIN (SELECT w, l.id, l.spent, l.expired, l.remaining, l.rolled_over FROM prop.burned, meter.lots(wallet) AS l) AS ours USING (w, id)
    WHERE ours.spent IS DISTINCT FROM theirs.spent OR ours.expired IS DISTINCT FROM theirs.expired
       OR ours.remaining IS DISTINCT FROM theirs.remaining OR ours.rolled_over IS DISTINCT FROM theirs.kept$$);
CALL must_be_empty('and as of the last event', :cases, $$
    SELECT w, id, ours, theirs
    FROM (SELECT w, i, id, units(expired_then[i]) AS expired, units(remaining_then[i]) AS remaining
          FROM prop.lot JOIN prop.walk_of USING (w) WHERE w IN (SELECT w FROM prop.spending)) AS theirs
    FULL JOIN (SELECT w, l.id, l.expired, l.remaining FROM prop.burned, meter.lots(wallet, meter.through(wallet)) AS l
               WHERE meter.through(wallet) IS NOT NULL) AS ours USING (w, id)
    WHERE ours.expired IS DISTINCT FROM theirs.expired OR ours.remaining IS DISTINCT FROM theirs.remaining$$);
CALL must_be_empty('overage and what is unapplied are those of the walk', :cases, $$
    SELECT w, meter.overage(wallet), units(overage), meter.unapplied(wallet), units(unapplied)
    FROM prop.burned LEFT JOIN prop.walk_of USING (w)
    WHERE meter.overage(wallet) <> coalesce(units(overage), 0) OR meter.unapplied(wallet) <> coalesce(units(unapplied), 0)
       OR meter.balance(wallet, 'infinity') <> coalesce((SELECT sum(units(r)) FROM unnest(remaining) AS r), 0)$$);
CREATE TABLE event_of AS
SELECT w, k, units(credits) AS credits, row_number() OVER (PARTITION BY w ORDER BY hour, k) AS n,
       meter.coverage(wallet, hour(hour), units(credits), pool) OVER (PARTITION BY w ORDER BY hour, k) AS c,
       meter.covered(wallet, hour(hour), units(credits), pool) OVER (PARTITION BY w ORDER BY hour, k) AS alone
FROM spending JOIN wallet USING (w)
WHERE w % 8 > 0;
SELECT count(*) AS n FROM event_of \gset
CALL must_be_empty('coverage is what the walk covers of each event', :n, $$
    SELECT w, n, credits, c, units(covered[n]), units(uncovered[n]), units(balance[n])
    FROM prop.event_of JOIN prop.walk_of USING (w)
    WHERE alone <> (c).covered OR c IS DISTINCT FROM ROW(units(covered[n]), units(uncovered[n]), units(balance[n]))::meter.covered$$);
CALL must_be_empty('coverage adds up to the wallet', :cases, $$
    SELECT w FROM prop.event_of JOIN prop.burned USING (w) GROUP BY w, wallet
    HAVING sum((c).overage) <> meter.overage(wallet)
        OR sum((c).covered) <> (SELECT coalesce(sum(spent), 0) FROM meter.lots(wallet))$$);
CALL must_be_empty('granted = spent + expired + remaining; covered + overage - unapplied = consumed', :cases, $$
    SELECT w, wallet FROM prop.burned
    WHERE EXISTS (SELECT FROM meter.lots(wallet) AS l WHERE granted <> spent + expired + remaining)
       OR (SELECT coalesce(sum(spent), 0) FROM meter.lots(wallet)) + meter.overage(wallet) - meter.unapplied(wallet) <> meter.consumed(wallet)
       OR EXISTS (SELECT FROM meter.spans(wallet) WHERE consumed <> covered + overage - unapplied)
       OR (SELECT ROW(coalesce(sum(consumed), 0), coalesce(sum(covered), 0), coalesce(sum(overage), 0), coalesce(sum(unapplied), 0)) FROM meter.spans(wallet))
          <> (SELECT ROW(meter.consumed(wallet), coalesce(sum(spent), 0), meter.overage(wallet), meter.unapplied(wallet)) FROM meter.lots(wallet))
       OR EXISTS (SELECT FROM meter.lots(wallet) AS l
                  LEFT JOIN (SELECT lot, sum(amount) FILTER (WHERE kind = 'granted') AS g, sum(amount) FILTER (WHERE kind = 'spent') AS s,
                                    sum(amount) FILTER (WHERE kind = 'expired') AS e, sum(amount) FILTER (WHERE kind = 'rolled_over') AS r
                             FROM meter.burns(wallet) GROUP BY lot) AS b ON lot = id
                  WHERE granted <> coalesce(g, 0) OR spent <> coalesce(s, 0) OR expired <> coalesce(e, 0) OR rolled_over <> coalesce(r, 0))$$);
CALL must_be_empty('what was paid is recognised as a lot is used, and adds up', :cases, $$
    SELECT w, l.* FROM prop.burned, meter.lots(wallet, greatest(meter.through(wallet), hour(25))) AS l
    WHERE recognised + deferred <> paid
       OR recognised <> CASE WHEN granted > 0 THEN settle(paid * (spent + expired), granted) ELSE 0 END
    UNION ALL
    SELECT w, l.* FROM prop.burned, meter.lots(wallet) AS l
    WHERE recognised + deferred <> paid OR remaining = 0 AND deferred <> 0$$);
CALL must_be_empty('what will expire next is what is gone then', :cases, $$
    SELECT w, at, n.*, wallet FROM prop.wallet, LATERAL (SELECT hour(pick(w, 330, 30)) AS at) AS a, LATERAL meter.next_expiry(wallet, at) AS n
    WHERE n.amount IS DISTINCT FROM (
        SELECT amount FROM (SELECT b.starts, sum(b.amount) AS amount FROM meter.burns(wallet) AS b JOIN meter.lots(wallet, at) AS l ON l.id = b.lot
                            WHERE b.kind = 'expired' AND b.starts > at AND l.granted > 0 GROUP BY b.starts ORDER BY b.starts LIMIT 1) AS first)$$);

-- The same sums however they come.
CALL must_be_empty('events in another order', :cases, $$
    SELECT w FROM (SELECT w, meter.burn(wallet, hour(hour), units(credits), pool) AS again
                   FROM (SELECT * FROM prop.wallet LEFT JOIN prop.spending USING (w) ORDER BY md5(w || ' ' || k)) AS shuffled GROUP BY w) AS b
    JOIN prop.burned USING (w) WHERE again <> wallet$$);
CALL must_be_empty('in two batches, from a checkpoint, either one first', :cases, $$
    SELECT w, first FROM (
        SELECT w, first, meter.burn(checkpoint, hour(hour), units(credits), pool) FILTER (WHERE batch IS DISTINCT FROM first) AS again
        FROM (SELECT w, first, meter.burn(wallet, hour(hour), units(credits), pool) FILTER (WHERE batch IS NULL OR batch = first) AS checkpoint, wallet
              FROM (SELECT w, w / 2 % 2 AS first, wallet FROM prop.wallet) AS f LEFT JOIN prop.spending USING (w) GROUP BY w, first, wallet) AS c
        LEFT JOIN prop.spending USING (w)
        WHERE checkpoint IS NOT NULL
        GROUP BY w, first) AS b
    JOIN prop.burned USING (w) WHERE again <> wallet$$);
CALL must_be_empty('cuts change nothing where nothing is given back', :cases, $$
    SELECT w FROM (SELECT w, meter.burn(meter.with_cuts(wallet, ARRAY[hour(pick(w, 331, 50)), hour(pick(w, 332, 50))]), hour(hour), units(credits), pool) AS cut
                   FROM prop.wallet LEFT JOIN prop.spending USING (w)
                   WHERE w NOT IN (SELECT w FROM prop.spending WHERE credits < 0) GROUP BY w) AS c
    JOIN prop.burned USING (w)
    WHERE meter.overage(cut) <> meter.overage(wallet)
       OR (SELECT array_agg(l) FROM meter.lots(cut) AS l) IS DISTINCT FROM (SELECT array_agg(l) FROM meter.lots(wallet) AS l)$$);
CALL must_be_empty('through text and jsonb, with cuts and without', :cases / 4, $$
    SELECT w, wallet FROM (SELECT w, CASE WHEN w % 2 = 0 THEN wallet ELSE meter.with_cuts(wallet, ARRAY[hour(60), hour(70 + w % 5), 'infinity']) END AS wallet
                           FROM prop.burned WHERE w / 2 % 4 = 0) AS b
    WHERE wallet::text::meter.wallet <> wallet OR wallet::jsonb::meter.wallet <> wallet
       OR meter.wallet_hash(wallet) <> meter.wallet_hash(wallet::text::meter.wallet)$$);

-- One by one, from wallet to wallet.
CREATE FUNCTION spend_all(of bigint, wallet meter.wallet) RETURNS meter.wallet
LANGUAGE plpgsql AS $$
DECLARE
    s record;
BEGIN
    FOR s IN SELECT * FROM spending WHERE w = of ORDER BY hour, k LOOP
        wallet := meter.spend(wallet, hour(s.hour), units(s.credits), s.pool);
    END LOOP;
    RETURN wallet;
END
$$;
CREATE INDEX ON spending (w);
CALL must_be_empty('spent one by one', 5000, $$
    SELECT w FROM prop.wallet JOIN prop.burned AS b USING (w) WHERE w <= 5000 AND spend_all(w, wallet.wallet) <> b.wallet$$);

-- A lot that comes later is refused, or is as if it had been there from the start.
CREATE FUNCTION added(burned meter.wallet, more meter.wallet) RETURNS meter.wallet
LANGUAGE plpgsql AS $$
BEGIN
    RETURN meter.add_lots(burned, more);
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;
CREATE TABLE added_to AS
SELECT w, added(CASE WHEN w % 2 = 0 THEN meter.burn(one, hour(hour), units(credits), pool) ELSE one END, other) AS got, burned.wallet AS wanted,
       w % 2 AS unburned
FROM (SELECT w, coalesce(meter.wallet(id, units(amount), pool, priority, hour(starts), hour(ends), hour(created),
                                      CASE WHEN rolls THEN units(rollover_max) END, CASE WHEN rolls THEN hour(ends + rollover_hours) END, units(paid)) FILTER (WHERE i > 1), '{}') AS one,
             coalesce(meter.wallet(id, units(amount), pool, priority, hour(starts), hour(ends), hour(created),
                                      CASE WHEN rolls THEN units(rollover_max) END, CASE WHEN rolls THEN hour(ends + rollover_hours) END, units(paid)) FILTER (WHERE i = 1), '{}') AS other
      FROM lot WHERE w <= 20000 AND w % 8 > 0 GROUP BY w) AS halves
JOIN burned USING (w) LEFT JOIN spending USING (w)
GROUP BY w, one, other, burned.wallet;
SELECT count(*) AS n FROM added_to \gset
CALL must_be_empty('lots added to a wallet', :n, $$
    SELECT w, got, wanted FROM prop.added_to JOIN prop.wallet USING (w)
    WHERE got <> CASE unburned WHEN 1 THEN wallet ELSE wanted END OR got IS NULL AND unburned = 1
    UNION ALL
    SELECT 0, NULL, NULL WHERE (SELECT count(got) FILTER (WHERE unburned = 0) = 0 OR count(*) FILTER (WHERE got IS NULL) = 0 FROM prop.added_to)$$);
