-- The demo: a real trace of LLM requests in a table as any application has it, rated where it is.
-- `make demo` runs it. Standing in the project's root: psql -v ON_ERROR_STOP=1 -f demo/demo.sql
\set ON_ERROR_STOP on
\pset pager off
\pset footer off
\pset null '-'
\pset border 1
SET timezone = 'UTC';
SET client_min_messages = warning;

\ir load.sql
\ir cost.sql
\ir margin.sql
\ir credit.sql
\ir explain.sql
\ir invoice.sql
\ir report.sql
