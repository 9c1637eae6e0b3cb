-- The plans of all that one preview runs, by auto_explain: see billing.sh. Variable: customer.

\set ON_ERROR_STOP on
LOAD 'auto_explain';
SET jit = off;
SELECT count(*) FROM meter.preview_lines(:'customer', '2025-12-29 12:00+00');
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_nested_statements = on;
SET auto_explain.log_analyze = on;
SET client_min_messages = log;
SELECT count(*) FROM meter.preview_lines(:'customer', '2025-12-29 12:00+00');
