-- The report, in Markdown. Variables: events, the number of events; fewer, that of the smaller run or 0.

\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
SET search_path = bench, pg_catalog;

CREATE FUNCTION pg_temp.times(double precision) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN coalesce(to_char($1, 'FM990.00'), '');

CREATE FUNCTION pg_temp.ms(double precision) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN coalesce(to_char($1, 'FM999,999,990'), '');

\qecho '| task | meter | best plain SQL | numeric SQL | DuckDB | floor | goal | met? | growth |'
\qecho '|---|---|---|---|---|---|---|---|---|'
WITH wide AS (
    SELECT task,
        max(ratio) FILTER (WHERE kind = 'meter') AS meter,
        max(ratio) FILTER (WHERE kind = 'plain') AS plain,
        max(ratio) FILTER (WHERE kind = 'numeric') AS "numeric",
        max(ratio) FILTER (WHERE kind = 'duckdb') AS duckdb
    FROM result
    WHERE events = :events
    GROUP BY task
)
SELECT format('| %s %s | %s | %s | %s | %s | %s | %s | %s | %s |', task.task, title,
    pg_temp.times(meter), pg_temp.times(plain), pg_temp.times("numeric"), pg_temp.times(duckdb),
    pg_temp.times(least(floors.ratio, 1e9)), goal,
    CASE WHEN goal IS NULL OR meter IS NULL THEN ''
        WHEN round(meter::numeric, 2) > goal THEN 'no'
        WHEN task.task = 'T3' AND meter > duckdb THEN 'no: DuckDB is faster'
        ELSE 'yes' END,
    (SELECT pg_temp.times(large.wall / small.wall)
     FROM result AS large JOIN result AS small USING (name)
     WHERE name = task.task || '.meter' AND large.events = :events AND small.events = :fewer))
FROM wide
JOIN task USING (task)
LEFT JOIN result AS floors ON floors.events = :events AND floors.name = floor
WHERE compare IS NOT NULL
ORDER BY task.task;

\qecho ''
SELECT format('With two workers T1 takes %s of its serial time, F3 takes %s: %s.', pg_temp.times(cost), pg_temp.times(sum),
    CASE WHEN cost <= sum * 1.1 THEN 'they help as they help F3' ELSE 'they help less than they help F3' END)
FROM (SELECT max(ratio) FILTER (WHERE name = 'T1.workers') / max(ratio) FILTER (WHERE name = 'T1.meter') AS cost,
          max(ratio) FILTER (WHERE name = 'F3.workers') AS sum
      FROM result
      WHERE events = :events) AS with_workers
WHERE cost IS NOT NULL;

\qecho ''
\qecho 'Every query: medians of its rounds, as multiples of its base (F3, for T1u F3u) and in milliseconds, by the'
\qecho 'wall clock and by the processor''s, and the factor by which it grows with ten times the events.'
\qecho ''
\qecho '| query | what | times base | on CPU | ms | CPU ms | rounds | growth |'
\qecho '|---|---|---|---|---|---|---|---|'
SELECT format('| %s | %s | %s | %s | %s | %s | %s | %s |', name, CASE kind WHEN 'meter' THEN title WHEN 'floor' THEN title
        WHEN 'workers' THEN 'two workers' WHEN 'plain' THEN 'best plain SQL' WHEN 'numeric' THEN 'numeric SQL'
        WHEN 'duckdb' THEN 'DuckDB' END,
    pg_temp.times(r.ratio), pg_temp.times(r.cpu_ratio), pg_temp.ms(r.wall), pg_temp.ms(r.cpu), r.rounds, pg_temp.times(r.wall / small.wall))
FROM result AS r
JOIN task USING (task)
LEFT JOIN (SELECT name, wall FROM result WHERE events = :fewer) AS small USING (name)
WHERE events = :events
ORDER BY r.task, array_position('{floor,meter,workers,plain,numeric,duckdb}', kind);
