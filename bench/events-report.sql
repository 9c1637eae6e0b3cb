-- The report of the tasks of events.sh, in Markdown.

\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
SET search_path = bench, pg_catalog;

\qecho '| task | ratio | on CPU | goal | met? | ms | CPU ms | rounds |'
\qecho '|---|---|---|---|---|---|---|---|'
SELECT format('| %s %s | %s | %s | %s | %s | %s | %s | %s |', task, title,
    to_char(ratio, 'FM999,990.000'), coalesce(to_char(cpu_ratio, 'FM999,990.000'), ''), goal,
    CASE WHEN goal IS NULL THEN '' WHEN round((CASE base WHEN 'ms' THEN cpu_ratio ELSE ratio END)::numeric, 3) <= goal THEN 'yes' ELSE 'no' END,
    CASE WHEN task LIKE 'B%' THEN to_char(wall, 'FM999,990') || ' bytes' ELSE to_char(wall, 'FM999,999,990.00') END,
    coalesce(to_char(cpu, 'FM999,999,990'), ''), rounds)
FROM event_result
ORDER BY task;
