-- Revenue in a schema that Stripe Sync Engine keeps. These are the columns that are read, of the types
-- that its migrations give them; test/stripe/run makes the tables by the migrations themselves.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT meter.attach_stripe();
CREATE SCHEMA stripe;
CREATE TYPE stripe.invoice_status AS ENUM ('draft', 'open', 'paid', 'uncollectible', 'void');
CREATE TABLE stripe.customers (id text PRIMARY KEY, name text, metadata jsonb);
CREATE TABLE stripe.invoices (id text PRIMARY KEY, customer text, currency text, status stripe.invoice_status, created integer, status_transitions jsonb, subtotal integer, total bigint, tax integer, total_tax_amounts jsonb, charge text, payment_intent text, lines jsonb);
CREATE TABLE stripe.credit_notes (id text PRIMARY KEY, invoice text, currency text, status text, created integer, total integer, total_excluding_tax integer, tax_amounts jsonb, refund text, lines jsonb);
CREATE TABLE stripe.charges (id text PRIMARY KEY, invoice text);
CREATE TABLE stripe.refunds (id text PRIMARY KEY, charge text, payment_intent text, amount integer, currency text, status text, created integer);
SELECT meter.attach_stripe();
CREATE TABLE stripe.invoice_payments (id text PRIMARY KEY, invoice text, payment jsonb);
\getenv abs_srcdir PG_ABS_SRCDIR
\cd :abs_srcdir
\i stripe/data.sql

-- In another schema, by another key; and what is gone is an error, not a lesser figure.
ALTER SCHEMA stripe RENAME TO billing;
SELECT count(*) FROM meter.revenue_line;
SELECT meter.attach_stripe('billing', 'stripe', 'no such key');
SELECT DISTINCT customer_id FROM meter.revenue_line ORDER BY customer_id;
SELECT meter.detach_revenue('stripe');
SELECT meter.detach_revenue('stripe');
SELECT count(*) FROM meter.revenue_line;
